package sip

import (
	"strings"
	"testing"

	"github.com/roomline/roomline/bridge"
)

func TestSIPpTransfersByRefer(t *testing.T) {
	b := startAgent(t, nil)
	_, wait := sipp(t, "uac_refer.xml", "-s", "lobby", "-m", "3", "-r", "20", b.Addr().String())
	var lines []bridge.Line
	for range 3 {
		c := b.incoming()
		if err := c.Answer(); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, c.Line)
	}
	for _, l := range lines {
		expect(t, l, bridge.LineAnswered)
		if e := expect(t, l, bridge.LineDigit); e.Digit.Key != '9' {
			t.Errorf("key %q", e.Digit.Key)
		}
		busy := expect(t, l, bridge.LineReferred).Referral
		busy.Accept()
		busy.Progress(180, "Ringing")
		busy.Progress(486, "Busy Here")
		free := expect(t, l, bridge.LineReferred).Referral
		free.Accept()
		free.Progress(200, "OK")
		if busy.To != "1001" || free.To != "1002" {
			t.Errorf("transfers to %q and %q", busy.To, free.To)
		}
		expectEnd(t, l, bridge.CauseNormal)
	}
	wait()
}

func TestSIPpRedirects(t *testing.T) {
	a := startAgent(t, nil)
	addr, wait := sipp(t, "uas_302.xml", "-m", "1")
	waitForPort(t, addr)
	out := a.dial(bridge.DialSpec{To: "sip:phone@" + addr, From: "alice"})
	if e := expectEnd(t, out, bridge.CauseRedirected); strings.Join(e.Contacts, " ") != "+15550001 +15550002" {
		t.Errorf("contacts %q", e.Contacts)
	}
	wait()
}

func TestSIPpAnswersFromTwoForks(t *testing.T) {
	a := startAgent(t, nil)
	addr, wait := sipp(t, "uas_fork.xml", "-m", "1")
	waitForPort(t, addr)
	out := a.dial(bridge.DialSpec{To: "sip:phone@" + addr, From: "alice"})
	expect(t, out, bridge.LineRinging)
	expect(t, out, bridge.LineAnswered)
	expectEnd(t, out, bridge.CauseNormal) // SIPp hangs up when the late one is out of the way
	wait()
}

func TestBaresipTransfersACall(t *testing.T) {
	b := startAgent(t, nil)
	command := baresip(t, b.uri("lobby"))
	c := b.incoming()
	if err := c.Answer(); err != nil {
		t.Fatal(err)
	}
	expect(t, c.Line, bridge.LineAnswered)
	command("transfer", "sip:1002@example.com")
	for {
		e := <-c.Events()
		if e.Kind == bridge.LineReferred {
			if e.Referral.To != "1002" {
				t.Errorf("%+v", e.Referral)
			}
			e.Referral.Accept()
			e.Referral.Progress(180, "Ringing")
			e.Referral.Progress(200, "OK")
		}
		if e.Kind == bridge.LineEnded || e.Kind == 0 {
			if e.Cause != bridge.CauseNormal {
				t.Errorf("%+v", e)
			}
			return
		}
	}
}

func TestBaresipIsTransferred(t *testing.T) {
	b := startAgent(t, nil)
	baresip(t, b.uri("lobby"))
	c := b.incoming()
	if err := c.Answer(); err != nil {
		t.Fatal(err)
	}
	expect(t, c.Line, bridge.LineAnswered)
	result := make(chan error, 1)
	go func() { result <- c.Refer(t.Context(), b.uri("elsewhere"), nil) }()
	second := b.incoming()
	if second.To != "elsewhere" {
		t.Errorf("baresip called %q", second.To)
	}
	if err := second.Answer(); err != nil {
		t.Fatal(err)
	}
	if err := <-result; err != nil {
		t.Errorf("Refer: %v", err)
	}
}
