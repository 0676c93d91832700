package main

import (
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/phone"
)

// stopping begins to stop the house, as SIGTERM does, and returns what is closed at its end.
func (h *house) stopping() <-chan struct{} {
	stopped := make(chan struct{})
	go func() { defer close(stopped); h.stop() }()
	return stopped
}

func (h *house) readyz() (status int, draining bool) {
	var answer struct{ Draining bool }
	status = h.ask("GET", "/readyz", nil, &answer)
	return status, answer.Draining
}

func TestPeerDefect05DrainingGatewayRefusesCallsAndLetsLiveOnesEnd(t *testing.T) {
	same := kept(t, "")
	h := startHouse(t, "", same, func(s *settings) { s.Drain = "60s" })
	p := softphone(t, phone.Config{})
	c := h.calls(p, "lobby", phone.DialOptions{})
	c.Speak(phone.Tone(phoneHz, phoneDB))
	guest := h.enter("lobby", "ann")
	guest.Speak(phone.Tone(guestHz, guestDB))
	hears(t, "the guest", guest.Heard, phoneHz, phoneDB)
	hears(t, "the phone", c.Heard, guestHz, guestDB)

	began := time.Now()
	stopped := h.stopping()
	h.until("readyz says no", func() bool { status, draining := h.readyz(); return status == 503 && draining })
	w := h.newPeer()
	d := w.invite("lobby", 40000)
	w.sendDraft(d)
	m := w.final("INVITE")
	w.ack(d, m)
	if m.code != 503 || !strings.Contains(strings.ToLower(m.start+m.value("Warning")), "shutting down") {
		t.Errorf("a new INVITE was answered %q, warning %q", m.start, m.value("Warning"))
	}
	if status := h.ask("POST", "/v1/calls", map[string]any{"to": "+15551234567"}, nil); status != http.StatusServiceUnavailable {
		t.Errorf("POST /v1/calls: status %d", status)
	}
	var page struct{ Items []bridge.Refusal }
	h.until("the refused INVITE is listed", func() bool {
		h.ask("GET", "/v1/refused", nil, &page)
		return len(page.Items) == 1
	})
	if page.Items[0].Cause != bridge.CauseShutdown {
		t.Errorf("listed as %+v", page.Items[0])
	}
	at := len(c.Heard())
	h.until("the live call goes on", func() bool { return len(c.Heard()) > at+8000 })
	hears(t, "the guest", guest.Heard, phoneHz, phoneDB)
	hears(t, "the phone", c.Heard, guestHz, guestDB)
	select {
	case <-stopped:
		t.Fatal("the gateway stopped under a live call")
	default:
	}
	c.Hangup()
	select {
	case <-stopped:
	case <-time.After(20 * time.Second):
		t.Fatal("the gateway does not stop after its last call")
	}
	if d := time.Since(began); d > 40*time.Second {
		t.Errorf("stopping took %v", d)
	}
	again := startHouse(t, "", same)
	if cdr := again.cdrs(1)[0]; cdr.Cause != bridge.CauseNormal {
		t.Errorf("CDR %+v", cdr)
	}
}

// One peer never answers our BYE, another one never acknowledged our answer, a
// third lets its phone ring on: none of them may keep the gateway.
func TestPeerDefect05StuckCallsDoNotKeepTheGateway(t *testing.T) {
	silent := serve(t, func(w *sipPeer, m sipMessage) {
		if m.method == "INVITE" {
			w.reply(m, "180 Ringing", "srv", "", "")
		}
	})
	var plan exits
	plan.add("+15550006000", silent, "", "")
	same := kept(t, "")
	h := startHouse(t, plan.String(), same, func(s *settings) { s.Drain = "300ms" })
	noBye := h.newPeer()
	noBye.call("lobby", 40000)
	noAck := h.newPeer()
	noAck.sendDraft(noAck.invite("lobby", 40002))
	noAck.response(200, "INVITE")
	rec := h.dial(map[string]any{"to": "+15550006000", "room": "lobby"})
	h.awaitState(rec.ID, bridge.StateRinging)
	h.until("three calls live", func() bool { return len(h.exchange.Calls()) == 3 })

	began := time.Now()
	select {
	case <-h.stopping():
	case <-time.After(30 * time.Second):
		t.Fatal("stuck calls keep the gateway")
	}
	t.Logf("stopped after %v", time.Since(began))
	again := startHouse(t, "", same)
	for _, cdr := range again.cdrs(3) {
		if cdr.Cause != bridge.CauseShutdown || cdr.EndedAt == nil {
			t.Errorf("CDR %+v", cdr)
		}
	}
}

// The real command with a real signal.
func TestSIGTERMEndsServeWithinItsDrainTime(t *testing.T) {
	web, sip, browsers, metrics := closedPort(t), closedPort(t), closedPort(t), closedPort(t)
	ended := make(chan int, 1)
	var out string
	go func() {
		var status int
		out, status = commandLine(t, "serve", "--data", t.TempDir(), "--http", web, "--sip", sip, "--webrtc-udp", browsers,
			"--metrics", metrics, "--drain", "500ms", "--admin-key", "key-of-the-test-4713", "--log-level", "debug")
		ended <- status
	}()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	eventually(t, "serve is ready", 15*time.Second, func() bool {
		res, err := client.Get("http://" + metrics + "/readyz")
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == 200
	})
	c, err := softphone(t, phone.Config{}).Dial(within(t, 15*time.Second), "sip:lobby@"+sip, phone.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case status := <-ended:
		if status != 0 {
			t.Errorf("exit status %d: %s", status, out)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("serve does not end")
	}
	select {
	case <-c.Ended():
		if r := c.Report(); r.Reason == "" && r.Cause == bridge.CauseNone {
			t.Errorf("the phone heard nothing of the end: %+v", r)
		}
	case <-time.After(10 * time.Second):
		t.Error("the phone was not hung up")
	}
	if !strings.Contains(out, "draining") || strings.Contains(out, "key-of-the-test-4713") {
		t.Errorf("log: %s", out)
	}
	for _, addr := range []string{web, sip, metrics} {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Errorf("%s is not given back: %v", addr, err)
			continue
		}
		l.Close()
	}
}
