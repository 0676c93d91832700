package sip

import (
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/sip/grammar"
)

// rackOf is the RAck header line for a reliable response.
func rackOf(m message) string { return "RAck: " + m.value("rseq") + " " + m.value("cseq") + "\r\n" }

// ring begins an inbound call of a wire's with more header lines.
func (w *wire) ring(a *agent, extra, body string) (call, draft) {
	w.t.Helper()
	d := w.invite()
	d.extra, d.body = extra, body
	w.sendDraft(d)
	c := a.incoming()
	d.extra = ""
	return c, d
}

// prack acknowledges a reliable response to d; it counts d's CSeq on.
func (w *wire) prack(d *draft, m message, body string) {
	w.t.Helper()
	p := d.within("PRACK", m)
	d.cseq = p.cseq
	p.extra, p.body = rackOf(m), body
	w.sendDraft(p)
}

// ackOK acknowledges a 200 to the INVITE with number 1.
func (w *wire) ackOK(d draft, ok message) {
	w.t.Helper()
	ack := d.within("ACK", ok)
	ack.cseq = 1
	w.sendDraft(ack)
}

func TestEarlyMediaWaitsForItsPrack(t *testing.T) {
	bubble(t, nil, func(t *testing.T, n *memNet, a *agent) {
		w := n.wire(t, a.Addr())
		c, d := w.ring(a, "Supported: 100rel\r\n", sampleSDP("127.0.0.1", 40000, ""))
		for range 2 {
			if err := c.Early(); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Answer(); err != nil {
			t.Fatal(err)
		}
		m := w.response(183, "INVITE")
		if m.value("require") != "100rel" || len(m.Body) == 0 || m.value("contact") == "" {
			t.Errorf("183: %+v", m.Fields)
		}
		begin := time.Now()
		for i, want := range []time.Duration{1, 3, 7} {
			again := w.response(183, "INVITE")
			if d := time.Since(begin); d != want*sipmsg.T1 || again.value("rseq") != m.value("rseq") {
				t.Errorf("repetition %d after %v with RSeq %s", i, d, again.value("rseq"))
			}
		}
		for _, seen := range w.seen {
			if seen.code == 200 {
				t.Fatal("the 200 did not wait for the PRACK")
			}
		}
		if p := c.Media().Params(); !p.Send || p.Remote.Port() != 40000 {
			t.Errorf("early media %+v", p)
		}
		w.prack(&d, m, "")
		w.response(200, "PRACK")
		ok := w.response(200, "INVITE")
		if len(ok.Body) != 0 {
			t.Error("the 200 carries SDP although the 183 settled it")
		}
		w.ackOK(d, ok)
		expect(t, c.Line, bridge.LineEarly)
		expect(t, c.Line, bridge.LineAnswered)
		c.End(bridge.CauseNormal, "")
		w.reply(w.request("BYE"), 200, "OK", "", "", "")
		expectEnd(t, c.Line, bridge.CauseNormal)
	})
}

func TestRequiredReliabilityHoldsForEveryProvisional(t *testing.T) {
	bubble(t, nil, func(t *testing.T, n *memNet, a *agent) {
		w := n.wire(t, a.Addr())
		c, d := w.ring(a, "Require: 100rel\r\n", sampleSDP("127.0.0.1", 40000, ""))
		c.Ring()
		c.Early()
		ringing := w.response(180, "INVITE")
		w.silence(50*time.Millisecond, func(m message) bool { return m.code == 183 })
		w.prack(&d, ringing, "")
		early := w.response(183, "INVITE")
		first, _ := strconv.Atoi(ringing.value("rseq"))
		second, _ := strconv.Atoi(early.value("rseq"))
		if first == 0 || second != first+1 {
			t.Errorf("RSeq %d, then %d", first, second)
		}
		w.prack(&d, early, "")
		w.response(200, "PRACK")
		expect(t, c.Line, bridge.LineEarly)
		c.End(bridge.CauseBusy, "")
		w.response(486, "INVITE")
		expectEnd(t, c.Line, bridge.CauseBusy)
	})
}

func TestAnswerDoesNotWaitForThePrackOfA180(t *testing.T) {
	bubble(t, nil, func(t *testing.T, n *memNet, a *agent) {
		w := n.wire(t, a.Addr())
		c, d := w.ring(a, "Require: 100rel\r\n", sampleSDP("127.0.0.1", 40000, ""))
		c.Ring()
		ringing := w.response(180, "INVITE")
		c.Answer()
		ok := w.response(200, "INVITE")
		if len(ok.Body) == 0 {
			t.Error("the 200 carries no SDP")
		}
		w.prack(&d, ringing, "") // late, and still right
		w.response(200, "PRACK")
		w.ackOK(d, ok)
		expect(t, c.Line, bridge.LineAnswered)
		w.silence(3*time.Second, func(m message) bool { return m.code == 180 })
		w.prack(&d, ringing, "")
		w.response(481, "PRACK")
	})
}

func TestPrackThatMatchesNothingIs481(t *testing.T) {
	bubble(t, nil, func(t *testing.T, n *memNet, a *agent) {
		w := n.wire(t, a.Addr())
		c, d := w.ring(a, "Supported: 100rel\r\n", sampleSDP("127.0.0.1", 40000, ""))
		c.Early()
		m := w.response(183, "INVITE")
		for _, rack := range []string{"", "RAck: 1\r\n", "RAck: 0 1 INVITE\r\n", "RAck: " + m.value("rseq") + " 2 INVITE\r\n",
			"RAck: " + m.value("rseq") + " 1 UPDATE\r\n", "RAck: " + m.value("rseq") + "9 1 INVITE\r\n"} {
			p := d.within("PRACK", m)
			d.cseq, p.extra = p.cseq, rack
			w.sendDraft(p)
			w.response(481, "PRACK")
		}
		end := expectEnd(t, c.Line, bridge.CauseSignalling)
		if gone := w.response(504, "INVITE"); end.SIPCode != 504 || !strings.Contains(gone.phrase, "no PRACK") {
			t.Errorf("%+v, %s", end, gone.start)
		}
	})
}

func TestEarlyOfferIsAnsweredInPrack(t *testing.T) {
	bubble(t, nil, func(t *testing.T, n *memNet, a *agent) {
		w := n.wire(t, a.Addr())
		c, d := w.ring(a, "Supported: 100rel\r\n", "")
		c.Early()
		m := w.response(183, "INVITE")
		up := d.within("UPDATE", m) // an offer while ours is open
		d.cseq, up.body = up.cseq, sampleSDP("127.0.0.1", 40006, "")
		w.sendDraft(up)
		w.response(491, "UPDATE")
		w.prack(&d, m, sampleSDP("127.0.0.1", 40004, ""))
		w.response(200, "PRACK")
		expect(t, c.Line, bridge.LineEarly)
		if p := c.Media().Params(); p.Remote.Port() != 40004 {
			t.Errorf("early media %+v", p)
		}
		c.Answer()
		w.ackOK(d, w.response(200, "INVITE"))
		expect(t, c.Line, bridge.LineAnswered)
	})
	bubble(t, nil, func(t *testing.T, n *memNet, a *agent) {
		w := n.wire(t, a.Addr())
		c, d := w.ring(a, "Supported: 100rel\r\n", "")
		c.Early()
		w.prack(&d, w.response(183, "INVITE"), "")
		w.response(400, "PRACK")
		w.response(488, "INVITE")
		expectEnd(t, c.Line, bridge.CauseIncompatible)
	})
}

func TestEarlyMediaWithoutReliability(t *testing.T) {
	bubble(t, nil, func(t *testing.T, n *memNet, a *agent) {
		w := n.wire(t, a.Addr())
		c, d := w.ring(a, "", sampleSDP("127.0.0.1", 40000, ""))
		c.Early()
		m := w.response(183, "INVITE")
		if m.value("require") != "" || m.value("rseq") != "" {
			t.Errorf("the caller does not know of reliability: %+v", m.Fields)
		}
		expect(t, c.Line, bridge.LineEarly)
		c.Answer()
		ok := w.response(200, "INVITE")
		if string(ok.Body) != string(m.Body) {
			t.Error("the 200 describes something else than the 183")
		}
		w.ackOK(d, ok)
		expect(t, c.Line, bridge.LineAnswered)

		c, _ = w.ring(a, "", "")
		if c.Early() == nil {
			t.Error("early media without an offer and without 100rel")
		}
		c.End(bridge.CauseBusy, "")
	})
}

func TestOfferInPrackIsAnswered(t *testing.T) {
	bubble(t, nil, func(t *testing.T, n *memNet, a *agent) {
		w := n.wire(t, a.Addr())
		c, d := w.ring(a, "Supported: 100rel\r\n", sampleSDP("127.0.0.1", 40000, ""))
		c.Early()
		w.prack(&d, w.response(183, "INVITE"), sampleSDP("127.0.0.1", 40008, ""))
		if m := w.response(200, "PRACK"); len(m.Body) == 0 || c.Media().Params().Remote.Port() != 40008 {
			t.Errorf("answer %q, media %+v", m.Body, c.Media().Params())
		}
		c.End(bridge.CauseBusy, "")
	})
}

func TestReliableResponsesAreAcknowledgedInOrder(t *testing.T) {
	bubble(t, nil, func(t *testing.T, n *memNet, a *agent) {
		w := n.wire(t, a.Addr())
		out := a.dial(bridge.DialSpec{To: "sip:x@" + w.addr(), From: "alice"})
		inv := w.request("INVITE")
		if !inList(inv.value("supported"), "100rel") {
			t.Errorf("Supported: %s", inv.value("supported"))
		}
		reliable := func(code int, tag string, rseq int, body string) {
			w.reply(inv, code, "Progress", tag, "Require: 100rel\r\nRSeq: "+strconv.Itoa(rseq)+"\r\n", body)
			synctest.Wait()
		}
		reliable(180, "one", 7, "")
		reliable(180, "one", 7, "")                                  // repeated
		reliable(183, "one", 9, sampleSDP("127.0.0.1", 40020, ""))   // one is missing
		reliable(183, "one", 8, sampleSDP("127.0.0.1", 40010, ""))   // the missing one
		reliable(183, "two", 100, sampleSDP("127.0.0.1", 40030, "")) // another fork counts by itself
		var got []string
		for range 3 {
			p := w.request("PRACK")
			got = append(got, grammar.TagOf(p.value("to"))+" "+p.value("rack")+" "+p.value("cseq"))
			w.reply(p, 200, "OK", "", "", "")
		}
		inviteSeq, _ := strconv.Atoi(grammar.SeqOf(inv.value("cseq")))
		s := func(n int) string { return strconv.Itoa(inviteSeq + n) }
		want := []string{"one 7 " + s(0) + " INVITE " + s(1) + " PRACK", "one 8 " + s(0) + " INVITE " + s(2) + " PRACK", "two 100 " + s(0) + " INVITE " + s(1) + " PRACK"}
		if strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("PRACKs %q, want %q", got, want)
		}
		w.silence(time.Second, func(m message) bool { return m.Method == "PRACK" })
		expect(t, out, bridge.LineRinging)
		expect(t, out, bridge.LineEarly)
		w.reply(inv, 200, "OK", "one", "", sampleSDP("127.0.0.1", 40099, "")) // means nothing any more
		expect(t, out, bridge.LineAnswered)
		if p := out.Media().Params(); p.Remote.Port() != 40010 {
			t.Errorf("the fork that answered agreed to port 40010: %+v", p)
		}
		out.End(bridge.CauseNormal, "")
		bye := w.request("BYE")
		if want := s(3) + " BYE"; bye.value("cseq") != want {
			t.Errorf("BYE has CSeq %s, want %s", bye.value("cseq"), want)
		}
		w.reply(bye, 200, "OK", "", "", "")
		expectEnd(t, out, bridge.CauseNormal)
	})
}

func FuzzRAck(f *testing.F) {
	f.Add("7 1 INVITE")
	f.Add("  7\t1  INVITE ")
	f.Add("4294967303 1 INVITE")
	invite := sipmsg.NewRequest(sipmsg.INVITE, sipmsg.Uri{Host: "example.com"})
	invite.AppendHeader(&sipmsg.CSeqHeader{SeqNo: 1, MethodName: sipmsg.INVITE})
	f.Fuzz(func(t *testing.T, rack string) {
		prack := sipmsg.NewRequest(sipmsg.PRACK, sipmsg.Uri{Host: "example.com"})
		prack.AppendHeader(sipmsg.NewHeader("RAck", rack))
		if p := (&unacked{rseq: 7}); p.acknowledgedBy(prack, invite) && !strings.Contains(rack, "7") {
			t.Errorf("%q acknowledges 7", rack)
		}
	})
}
