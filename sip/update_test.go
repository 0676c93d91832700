package sip

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/sip/grammar"
)

func TestUpdateWithinACall(t *testing.T) {
	bubble(t, nil, func(t *testing.T, n *memNet, a *agent) {
		w := n.wire(t, a.Addr())
		line, d, ok := w.call(a)
		update := func(extra, body string) draft {
			u := d.within("UPDATE", ok)
			d.cseq, u.extra, u.body = u.cseq, extra, body
			return u
		}
		w.sendDraft(update("", sampleSDP("127.0.0.1", 40050, "")+"a=sendonly\r\n"))
		if m := w.response(200, "UPDATE"); !strings.Contains(string(m.Body), "a=recvonly") || m.value("contact") == "" {
			t.Errorf("held by UPDATE, answered %q, %+v", m.Body, m.Fields)
		}
		expect(t, line, bridge.LineHeld)
		if p := line.Media().Params(); p.Remote.Port() != 40050 || p.Send {
			t.Errorf("media %+v", p)
		}
		w.sendDraft(update("", sampleSDP("127.0.0.1", 40050, "m=audio 40050 RTP/AVP 3\r\n")))
		w.response(488, "UPDATE") // the session stays
		if p := line.Media().Params(); p.Remote.Port() != 40050 || p.Send {
			t.Errorf("after a refused offer: %+v", p)
		}
		w.sendDraft(update("", sampleSDP("127.0.0.1", 40050, "")))
		w.response(200, "UPDATE")
		expect(t, line, bridge.LineResumed)

		u := update("Require: foo\r\n", "")
		w.sendDraft(u)
		if m := w.response(420, "UPDATE"); m.value("unsupported") != "foo" {
			t.Errorf("Unsupported: %s", m.value("unsupported"))
		}
		old := d.within("UPDATE", ok)
		old.cseq = 1
		w.sendDraft(old)
		w.response(500, "UPDATE")

		moved := n.wire(t, a.Addr()) // a target refresh without SDP
		moved.sendDraft(update("", ""))
		if m := moved.response(200, "UPDATE"); len(m.Body) != 0 {
			t.Errorf("answer %q to no offer", m.Body)
		}
		line.End(bridge.CauseNormal, "")
		moved.reply(moved.request("BYE"), 200, "OK", "", "", "")
		expectEnd(t, line, bridge.CauseNormal)
	})
}

func TestUpdateBeforeTheAnswer(t *testing.T) {
	bubble(t, nil, func(t *testing.T, n *memNet, a *agent) {
		w := n.wire(t, a.Addr())
		c, d := w.ring(a, "Supported: 100rel\r\n", sampleSDP("127.0.0.1", 40000, ""))
		c.Ring()
		ringing := w.response(180, "INVITE")
		offer := func(port int) {
			u := d.within("UPDATE", ringing)
			d.cseq, u.body = u.cseq, sampleSDP("127.0.0.1", port, "")
			w.sendDraft(u)
		}
		offer(40002) // its own offer in the INVITE has no answer yet
		if m := w.response(500, "UPDATE"); m.value("retry-after") == "" {
			t.Error("500 without Retry-After")
		}
		c.Early()
		w.prack(&d, w.response(183, "INVITE"), "")
		w.response(200, "PRACK")
		offer(40004)
		w.response(200, "UPDATE")
		if p := c.Media().Params(); p.Remote.Port() != 40004 {
			t.Errorf("early media after UPDATE: %+v", p)
		}
		c.Answer()
		w.ackOK(d, w.response(200, "INVITE"))
		expect(t, c.Line, bridge.LineEarly)
		expect(t, c.Line, bridge.LineAnswered)
		if p := c.Media().Params(); p.Remote.Port() != 40004 {
			t.Errorf("after the answer: %+v", p)
		}
	})
}

func TestUpdateFromAForkBeforeTheAnswer(t *testing.T) {
	bubble(t, nil, func(t *testing.T, n *memNet, a *agent) {
		w := n.wire(t, a.Addr())
		out := a.dial(bridge.DialSpec{To: "sip:x@" + w.addr()})
		inv := w.request("INVITE")
		w.reply(inv, 183, "Progress", "one", "", sampleSDP("127.0.0.1", 40010, ""))
		expect(t, out, bridge.LineEarly)
		d := draft{uri: "sip:x@" + w.to.String(), callID: inv.value("call-id"), fromTag: "one", toTag: grammar.TagOf(inv.value("from"))}
		update := func(fork string, port, code int) {
			t.Helper()
			d.cseq++
			u := d
			u.method, u.branch, u.fromTag, u.body = "UPDATE", "z9hG4bK"+unique("b"), fork, sampleSDP("127.0.0.1", port, "")
			w.sendDraft(u)
			w.response(code, "UPDATE")
		}
		update("one", 40012, 491) // our offer is open: an unreliable response does not answer it
		w.reply(inv, 183, "Progress", "one", "Require: 100rel\r\nRSeq: 1\r\n", sampleSDP("127.0.0.1", 40010, ""))
		w.reply(w.request("PRACK"), 200, "OK", "", "", "")
		synctest.Wait()
		update("one", 40014, 200)
		update("stranger", 40016, 481)
		if p := out.Media().Params(); p.Remote.Port() != 40014 {
			t.Errorf("early media after UPDATE: %+v", p)
		}
		w.reply(inv, 200, "OK", "one", "", "")
		expect(t, out, bridge.LineAnswered)
		if p := out.Media().Params(); p.Remote.Port() != 40014 {
			t.Errorf("after the answer: %+v", p)
		}
	})
}

func TestUpdateMeetsOurOffer(t *testing.T) {
	bubble(t, nil, func(t *testing.T, n *memNet, a *agent) {
		w := n.wire(t, a.Addr())
		line, d, ok := w.call(a)
		held := make(chan error, 1)
		go func() { held <- line.Hold(t.Context(), true) }()
		inv := w.request("INVITE")
		u := d.within("UPDATE", ok)
		u.body = sampleSDP("127.0.0.1", 40060, "")
		w.sendDraft(u)
		w.response(491, "UPDATE")
		w.reply(inv, 491, "Request Pending", "", "", "") // and it meets theirs
		begin := time.Now()
		inv = w.request("INVITE")
		if d := time.Since(begin); d > 2*time.Second {
			t.Errorf("who does not own the Call-ID waits 2 s at most, not %v", d)
		}
		w.reply(inv, 200, "OK", "", "", sampleSDP("127.0.0.1", 40000, "")+"a=recvonly\r\n")
		if err := <-held; err != nil {
			t.Error(err)
		}
	})
}
