package sip

import (
	"strings"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/sip/grammar"
	"github.com/roomline/roomline/sip/sdp"
)

func TestResponsesIntroduceThemselves(t *testing.T) {
	b := startAgent(t, func(c *Config) { c.UserAgent = "Roomline/test" })
	w := newWire(t, b.Addr())
	d := w.invite()
	d.method, d.body = "OPTIONS", ""
	w.sendDraft(d)
	m := w.response(200, "OPTIONS")
	if m.value("server") != "Roomline/test" || !strings.Contains(m.value("allow"), "INVITE") || m.value("accept") != "application/sdp" {
		t.Errorf("OPTIONS answer: %+v", m.Fields)
	}
	if _, n := m.Get("supported"); n != 1 {
		t.Error("no Supported")
	}
	if via := m.value("via"); !strings.Contains(via, "rport="+portOf(w.addr())) || !strings.Contains(via, "received=127.0.0.1") {
		t.Errorf("Via %s", via)
	}
}

func portOf(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }

func TestRetransmittedInviteIsOneCall(t *testing.T) {
	b := startAgent(t, nil)
	w := newWire(t, b.Addr())
	d := w.invite()
	for range 5 {
		w.sendDraft(d)
	}
	c := b.incoming()
	c.Ring()
	ringing := w.response(180, "INVITE")
	w.sendDraft(d)
	again := w.response(180, "INVITE")
	if again.value("to") != ringing.value("to") {
		t.Error("the repeated 180 has another tag")
	}
	select {
	case <-b.calls:
		t.Fatal("a retransmission became a second call")
	case <-time.After(150 * time.Millisecond):
	}
	c.End(bridge.CauseBusy, "")
	busy := w.response(486, "INVITE")
	if grammar.TagOf(busy.value("to")) != grammar.TagOf(ringing.value("to")) {
		t.Error("180 and 486 differ in their tag")
	}
	w.sendDraft(d.ackOf(busy))
}

// ackOf is the ACK of a failure: the INVITE's own branch.
func (d draft) ackOf(m message) draft {
	d.method, d.body, d.extra, d.toTag = "ACK", "", "", grammar.TagOf(m.value("to"))
	return d
}

func TestMergedInviteIs482(t *testing.T) {
	b := startAgent(t, nil)
	w := newWire(t, b.Addr())
	d := w.invite()
	w.sendDraft(d)
	c := b.incoming()
	d.branch += "other"
	w.sendDraft(d)
	w.sendDraft(d.ackOf(w.response(482, "INVITE")))
	c.End(bridge.CauseBusy, "")
	w.response(486, "INVITE")
}

func TestAnswerIsRepeatedUntilAck(t *testing.T) {
	b := startAgent(t, nil)
	w := newWire(t, b.Addr())
	d := w.invite()
	w.sendDraft(d)
	c := b.incoming()
	c.Answer()
	first := w.response(200, "INVITE")
	for range 3 {
		if again := w.response(200, "INVITE"); string(again.Body) != string(first.Body) {
			t.Error("the repeated 200 says something else")
		}
	}
	w.sendDraft(d.within("ACK", first))
	expect(t, c.Line, bridge.LineAnswered)
	w.silence(900*time.Millisecond, func(m message) bool { return m.code == 200 })
}

func TestLostAckEndsTheCallWithBye(t *testing.T) {
	b := startAgent(t, nil)
	w := newWire(t, b.Addr())
	w.sendDraft(w.invite())
	c := b.incoming()
	c.Answer()
	bye := w.request("BYE")
	if !strings.Contains(bye.value("reason"), "cause=111") {
		t.Errorf("Reason %s", bye.value("reason"))
	}
	w.reply(bye, 200, "OK", "", "", "")
	expectEnd(t, c.Line, bridge.CauseSignalling)
}

func TestHangingUpBeforeTheAckWaitsForIt(t *testing.T) {
	b := startAgent(t, nil)
	w := newWire(t, b.Addr())
	d := w.invite()
	w.sendDraft(d)
	c := b.incoming()
	c.Answer()
	c.End(bridge.CauseNormal, "")
	ok := w.response(200, "INVITE")
	w.silence(250*time.Millisecond, func(m message) bool { return m.Method == "BYE" })
	w.sendDraft(d.within("ACK", ok))
	w.reply(w.request("BYE"), 200, "OK", "", "", "")
	expectEnd(t, c.Line, bridge.CauseNormal)
}

func TestCancelRaces(t *testing.T) {
	b := startAgent(t, nil)
	cancel := func(d draft) draft { d.method, d.body = "CANCEL", ""; return d }
	t.Run("while it rings", func(t *testing.T) {
		w := newWire(t, b.Addr())
		d := w.invite()
		w.sendDraft(d)
		c := b.incoming()
		c.Ring()
		ringing := w.response(180, "INVITE")
		w.sendDraft(cancel(d))
		ok := w.response(200, "CANCEL")
		gone := w.response(487, "INVITE")
		if grammar.TagOf(gone.value("to")) != grammar.TagOf(ringing.value("to")) || grammar.TagOf(ok.value("to")) != grammar.TagOf(gone.value("to")) {
			t.Errorf("tags differ: %s, %s, %s", ringing.value("to"), gone.value("to"), ok.value("to"))
		}
		w.sendDraft(d.ackOf(gone))
		expectEnd(t, c.Line, bridge.CauseCanceled)
	})
	t.Run("at once", func(t *testing.T) {
		for range 20 {
			w := newWire(t, b.Addr())
			d := w.invite()
			w.sendDraft(d)
			w.sendDraft(cancel(d))
			w.sendDraft(d.ackOf(w.response(487, "INVITE")))
			w.await(200)
		}
		for len(b.calls) > 0 {
			c := <-b.calls
			expectEnd(t, c.Line, bridge.CauseCanceled)
		}
	})
	t.Run("after the answer", func(t *testing.T) {
		w := newWire(t, b.Addr())
		d := w.invite()
		w.sendDraft(d)
		c := b.incoming()
		c.Answer()
		ok := w.response(200, "INVITE")
		w.sendDraft(cancel(d))
		w.response(200, "CANCEL")
		w.sendDraft(d.within("ACK", ok))
		expect(t, c.Line, bridge.LineAnswered)
		w.sendDraft(d.within("BYE", ok))
		w.response(200, "BYE")
		expectEnd(t, c.Line, bridge.CauseNormal)
	})
	t.Run("of nothing", func(t *testing.T) {
		w := newWire(t, b.Addr())
		w.sendDraft(cancel(w.invite()))
		w.response(481, "CANCEL")
	})
}

// await returns a response that came already or is still to come.
func (w *wire) await(code int) message {
	w.t.Helper()
	for _, m := range w.seen {
		if m.code == code {
			return m
		}
	}
	return w.response(code, "CANCEL")
}

func TestByeInEarlyDialog(t *testing.T) {
	b := startAgent(t, nil)
	w := newWire(t, b.Addr())
	d := w.invite()
	w.sendDraft(d)
	c := b.incoming()
	c.Ring()
	w.sendDraft(d.within("BYE", w.response(180, "INVITE")))
	deadline := time.Now().Add(patience)
	codes := map[int]bool{}
	for !(codes[200] && codes[487]) && time.Now().Before(deadline) {
		if m, ok := w.receive(time.Until(deadline)); ok {
			codes[m.code] = true
		}
	}
	if !codes[200] || !codes[487] {
		t.Errorf("saw %v", codes)
	}
	expectEnd(t, c.Line, bridge.CauseCanceled)
}

func TestRequestsOutsideAnyDialogAre481(t *testing.T) {
	b := startAgent(t, nil)
	w := newWire(t, b.Addr())
	for _, method := range []string{"BYE", "INVITE", "OPTIONS", "INFO", "UPDATE"} {
		d := w.invite()
		d.method, d.toTag, d.body = method, "unknown", ""
		w.sendDraft(d)
		m := w.response(481, method)
		if method == "INVITE" {
			w.sendDraft(d.ackOf(m))
		}
	}
	d := w.invite()
	d.method, d.toTag, d.body = "ACK", "unknown", ""
	w.sendDraft(d)
	w.silence(150*time.Millisecond, func(message) bool { return true })
}

func TestMethodsThatAreNotBuilt(t *testing.T) {
	b := startAgent(t, nil)
	w := newWire(t, b.Addr())
	for method, code := range map[string]int{"INFO": 481, "UPDATE": 481, "REFER": 403, "PRACK": 481, "NOTIFY": 481,
		"MESSAGE": 405, "REGISTER": 405, "SUBSCRIBE": 405, "PUBLISH": 405, "FROBNICATE": 501} {
		d := w.invite()
		d.method, d.body = method, ""
		w.sendDraft(d)
		if m := w.response(code, method); m.value("allow") != allowed {
			t.Errorf("%s: Allow is %q", method, m.value("allow"))
		}
	}
}

func TestInvitesThatCannotBeServed(t *testing.T) {
	b := startAgent(t, nil)
	w := newWire(t, b.Addr())
	audio := func(rest string) string { return sampleSDP("127.0.0.1", 40000, rest) }
	for _, c := range []struct {
		name, extra, body, words string
		code                     int
	}{
		{"hops used up", "MF0", audio(""), "hops", 483},
		{"unknown extension", "Require: 100rel, foo\r\n", audio(""), "extension foo is", 420},
		{"foreign body", "Content-Type: text/plain\r\n", "hello", "application/sdp", 415},
		{"compressed body", "Content-Encoding: gzip\r\n", audio(""), "gzip", 415},
		{"broken SDP", "", "v=0\r\nthis is not SDP\r\n", "RFC 8866", 400},
		{"no common codec", "", audio("m=audio 40000 RTP/AVP 9\r\na=rtpmap:9 G722/8000\r\n"), "codec", 488},
		{"no audio", "", audio("m=video 40000 RTP/AVP 31\r\n"), "no audio", 488},
		{"encrypted media", "", audio("m=audio 40000 RTP/SAVP 0\r\n"), "offer RTP/AVP", 488},
		{"IPv6 only", "", sampleSDP("2001:db8::1", 40000, ""), "IP6", 488},
		{"media at a name", "", strings.ReplaceAll(audio(""), "IN IP4 127.0.0.1\r\nt=", "IN IP4 pc.example\r\nt="), "IP address", 488},
	} {
		d := w.invite()
		d.extra, d.body = c.extra, c.body
		text := w.text(d)
		if c.extra == "MF0" {
			d.extra = ""
			text = strings.Replace(w.text(d), "Max-Forwards: 70", "Max-Forwards: 0", 1)
		}
		w.send(text)
		m := w.response(c.code, "INVITE")
		if !strings.Contains(m.phrase, c.words) || !strings.Contains(m.value("warning"), c.words) {
			t.Errorf("%s: %q, Warning %q do not say %q", c.name, m.start, m.value("warning"), c.words)
		}
		w.sendDraft(d.ackOf(m))
		select {
		case r := <-b.refusals:
			if r.SIPCode != c.code || !strings.Contains(r.Reason, c.words) || r.From != "bob" || r.To != "lobby" ||
				r.SIPCallID != d.callID || r.Source != w.addr() || r.ID == "" || r.Time.IsZero() {
				t.Errorf("%s: reported as %+v", c.name, r)
			}
		case <-time.After(patience):
			t.Errorf("%s: not reported", c.name)
		}
	}
	if len(b.refusals) > 0 || len(b.calls) > 0 {
		t.Error("something was reported twice or became a call")
	}
}

func TestPeerDefect10RefusalsSayWhatWasWrong(t *testing.T) {
	b := startAgent(t, func(c *Config) {
		c.Admit = func(i bridge.Invite) *bridge.Refusal {
			return &bridge.Refusal{Cause: bridge.CauseForbidden, Reason: "127.0.0.1 is not an address of any trunk"}
		}
	})
	w := newWire(t, b.Addr())
	d := w.invite()
	w.sendDraft(d)
	m := w.response(403, "INVITE")
	if m.phrase != "127.0.0.1 is not an address of any trunk" || !strings.Contains(m.value("reason"), "cause=21") {
		t.Errorf("%s, Reason %s", m.start, m.value("reason"))
	}
	w.sendDraft(d.ackOf(m))
	if r := <-b.refusals; r.Cause != bridge.CauseForbidden {
		t.Errorf("reported %+v", r)
	}
}

func TestPeerDefect04EmptyFromUser(t *testing.T) {
	b := startAgent(t, nil)
	w := newWire(t, b.Addr())
	for _, from := range []string{"<sip:example.com>", "<sip:@example.com>", `"" <sip:example.com>`, "sip:example.com", "<tel:>", "Anonymous <sip:anonymous.invalid>"} {
		d := w.invite()
		text := strings.Replace(w.text(d), `"Bob" <sip:bob@example.com>`, from, 1)
		w.send(text)
		if from == "<tel:>" {
			w.response(400, "INVITE")
			continue
		}
		c := b.incoming()
		if c.From != "" {
			t.Errorf("%s: user %q", from, c.From)
		}
		c.End(bridge.CauseBusy, "")
		w.response(486, "INVITE")
	}
}

func TestInviteIsReadForTheDialPlan(t *testing.T) {
	b := startAgent(t, nil)
	w := newWire(t, b.Addr())
	for uri, to := range map[string]string{
		"sip:a%20b@127.0.0.1":                "a b",
		"sip:+15551234;npdi@127.0.0.1":       "+15551234",
		"sip:127.0.0.1":                      "",
		"tel:+1-555-123(4);phone-context=+1": "+15551234",
		"urn:service:sos.fire":               "urn:service:sos.fire",
		"sip:Lobby@127.0.0.1;user=phone;x=y": "Lobby",
		"sip:lobby:secret@127.0.0.1:5060":    "lobby",
	} {
		d := w.invite()
		d.uri, d.extra = uri, "X-Tenant: red\r\nx-tenant: blue\r\nP-Other: 1\r\n"
		w.sendDraft(d)
		c := b.incoming()
		if c.To != to || c.FromName != "Bob" || c.Headers["X-Tenant"] != "red" {
			t.Errorf("%s: %+v", uri, c.Invite)
		}
		c.End(bridge.CauseBusy, "")
		w.response(486, "INVITE")
	}
}

func TestPeerDefect14LateOffer(t *testing.T) {
	b := startAgent(t, nil)
	w := newWire(t, b.Addr())
	d := w.invite()
	d.body = ""
	w.sendDraft(d)
	c := b.incoming()
	c.Answer()
	ok := w.response(200, "INVITE")
	offer, err := sdp.Parse(ok.Body)
	if err != nil || len(offer.Streams) != 1 || offer.Streams[0].Dir != sdp.SendRecv {
		t.Fatalf("the 200 offers %v, %v", offer, err)
	}
	ack := d.within("ACK", ok)
	ack.body = sampleSDP("127.0.0.1", 40010, "m=audio 40010 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:40\r\n")
	w.sendDraft(ack)
	expect(t, c.Line, bridge.LineAnswered)
	if p := c.Media().Params(); p.Codec != media.PCMA || p.Remote.Port() != 40010 || p.Ptime != 40*time.Millisecond {
		t.Errorf("agreed on %+v", p)
	}
	w.sendDraft(d.within("BYE", ok))
	w.response(200, "BYE")
	expectEnd(t, c.Line, bridge.CauseNormal)
}

func TestLateOfferWithoutAnswerEndsTheCall(t *testing.T) {
	b := startAgent(t, nil)
	w := newWire(t, b.Addr())
	d := w.invite()
	d.body = ""
	w.sendDraft(d)
	c := b.incoming()
	c.Answer()
	w.sendDraft(d.within("ACK", w.response(200, "INVITE")))
	w.reply(w.request("BYE"), 200, "OK", "", "", "")
	expectEnd(t, c.Line, bridge.CauseIncompatible)
}

func TestPeerDefect14OfferOfIPv6ToIPv4(t *testing.T) {
	b := startAgent(t, nil)
	w := newWire(t, b.Addr())
	d := w.invite()
	d.body = sampleSDP("2001:db8::1", 40000, "")
	w.sendDraft(d)
	m := w.response(488, "INVITE")
	if m.phrase != "media is offered at 2001:db8::1, an IP6 address, and this side speaks IP4" || !strings.HasPrefix(m.value("warning"), "301 ") {
		t.Errorf("%s, Warning %s", m.start, m.value("warning"))
	}
	w.sendDraft(d.ackOf(m))
}

func TestSDPInsideMultipartIsFound(t *testing.T) {
	b := startAgent(t, nil)
	w := newWire(t, b.Addr())
	d := w.invite()
	d.extra = "Content-Type: multipart/mixed; boundary=xx\r\n"
	d.body = "--xx\r\nContent-Type: application/pidf+xml\r\n\r\n<presence/>\r\n--xx\r\nContent-Type: application/sdp\r\n\r\n" + d.body + "\r\n--xx--\r\n"
	w.sendDraft(d)
	c := b.incoming()
	c.Answer()
	ok := w.response(200, "INVITE")
	w.sendDraft(d.within("ACK", ok))
	expect(t, c.Line, bridge.LineAnswered)
}
