package sip

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/sip/grammar"
)

// refer is a REFER in a dialog of the wire's.
func (d draft) refer(ok message, to string) draft {
	r := d.within("REFER", ok)
	r.extra = "Refer-To: " + to + "\r\nReferred-By: <sip:bob@example.com>\r\n"
	return r
}

func TestReferIsDecidedByTheBridge(t *testing.T) {
	a := startAgent(t, nil)
	w := newWire(t, a.Addr())
	l, d, ok := w.call(a)
	for _, c := range []struct {
		to, uri, number string
	}{
		{"<sip:+15551234@carrier.example;user=phone>", "sip:+15551234@carrier.example;user=phone", "+15551234"},
		{"sip:%2B15551234@carrier.example", "sip:%2B15551234@carrier.example", "+15551234"},
		{"<tel:+1-555-1234>", "tel:+1-555-1234", "+15551234"},
		{"<tel:911;phone-context=example.com>", "tel:911;phone-context=example.com", "tel:911;phone-context=example.com"},
		{"<sip:kitchen@" + a.Addr().String() + ">", "sip:kitchen@" + a.Addr().String(), "kitchen"},
		{"<sip:kitchen@elsewhere.example?X-Evil=1&Route=%3Csip:evil%3E>", "sip:kitchen@elsewhere.example", "sip:kitchen@elsewhere.example"},
	} {
		r := d.refer(ok, c.to)
		r.cseq = d.cseq + 1
		w.sendDraft(r)
		e := expect(t, l, bridge.LineReferred)
		if e.Referral.To != c.number || e.Referral.URI != c.uri || e.Referral.By != "sip:bob@example.com" || e.Referral.Replaces != nil {
			t.Errorf("%s: %+v", c.to, e.Referral)
		}
		e.Referral.Refuse(bridge.CauseForbidden, "transfers are not allowed on this trunk")
		e.Referral.Accept() // too late, no harm
		m := w.response(403, "REFER")
		if !strings.Contains(m.value("reason"), "not allowed") {
			t.Errorf("Reason: %q", m.value("reason"))
		}
		d.cseq++
	}
	w.silence(300*time.Millisecond, func(m message) bool { return m.Method == "NOTIFY" })
}

func TestReferTellsItsProgress(t *testing.T) {
	a := startAgent(t, nil)
	w := newWire(t, a.Addr())
	l, d, ok := w.call(a)
	r := d.refer(ok, "<sip:1002@example.com>")
	w.sendDraft(r)
	ask := expect(t, l, bridge.LineReferred).Referral
	second := r.refer(ok, "<sip:1003@example.com>")
	w.sendDraft(second)
	w.response(491, "REFER")
	ask.Accept()
	if m := w.response(202, "REFER"); m.value("contact") == "" {
		t.Error("202 without Contact")
	}
	first := w.request("NOTIFY")
	if s := first.value("subscription-state"); string(first.Body) != "SIP/2.0 100 Trying\r\n" || first.value("event") != "refer" ||
		first.value("content-type") != "message/sipfrag;version=2.0" || !strings.HasPrefix(s, "active;expires=") {
		t.Fatalf("NOTIFY %s, %q: %q", s, first.value("event"), first.Body)
	}
	ask.Progress(180, "Ringing")
	ask.Progress(183, "Session Progress")
	ask.Progress(200, "OK")
	ask.Progress(404, "too late")
	w.silence(50*time.Millisecond, func(m message) bool { return m.value("cseq") != first.value("cseq") })
	w.reply(first, 200, "OK", "", "", "")
	last := w.request("NOTIFY")
	for last.value("cseq") == first.value("cseq") {
		last = w.request("NOTIFY")
	}
	if string(last.Body) != "SIP/2.0 200 OK\r\n" || last.value("subscription-state") != "terminated;reason=noresource" {
		t.Errorf("NOTIFY %s: %q", last.value("subscription-state"), last.Body)
	}
	w.reply(last, 200, "OK", "", "", "")
	third := second.refer(ok, "<sip:1003@example.com>")
	third.cseq++
	w.sendDraft(third)
	ask = expect(t, l, bridge.LineReferred).Referral
	ask.Accept()
	w.response(202, "REFER")
	m := w.request("NOTIFY")
	if want := fmt.Sprintf("refer;id=%d", third.cseq); m.value("event") != want {
		t.Errorf("the second subscription is %q, want %q", m.value("event"), want)
	}
	w.reply(m, 481, "gone", "", "", "") // and that ends it
	bye := third.within("BYE", ok)
	w.sendDraft(bye)
	w.response(200, "BYE")
	expectEnd(t, l, bridge.CauseNormal)
	ask.Progress(200, "OK") // nobody is there any more
}

func TestReferThatNobodyDecidesIsDeclined(t *testing.T) {
	a := startAgent(t, nil)
	w := newWire(t, a.Addr())
	l, d, ok := w.call(a)
	w.sendDraft(d.refer(ok, "<sip:1002@example.com>"))
	expect(t, l, bridge.LineReferred)
	w.response(603, "REFER")
	w.sendDraft(d.within("REFER", ok).refer(ok, "<sip:1003@example.com>"))
	expect(t, l, bridge.LineReferred)
	bye := d.within("BYE", ok)
	bye.cseq += 4
	w.sendDraft(bye)
	w.response(487, "REFER")
	expectEnd(t, l, bridge.CauseNormal)
}

func TestReferWithoutASubscription(t *testing.T) {
	a := startAgent(t, nil)
	w := newWire(t, a.Addr())
	l, d, ok := w.call(a)
	r := d.refer(ok, "<sip:1002@example.com>")
	r.extra += "Refer-Sub: false\r\nRequire: norefersub\r\n"
	w.sendDraft(r)
	ask := expect(t, l, bridge.LineReferred).Referral
	ask.Accept()
	if m := w.response(202, "REFER"); m.value("refer-sub") != "false" {
		t.Errorf("Refer-Sub: %q", m.value("refer-sub"))
	}
	ask.Progress(200, "OK")
	w.silence(300*time.Millisecond, func(m message) bool { return m.Method == "NOTIFY" })
}

func TestReferThatCannotBeServed(t *testing.T) {
	a := startAgent(t, nil)
	w := newWire(t, a.Addr())
	l, d, ok := w.call(a)
	for extra, code := range map[string]int{
		"": 400,
		"Refer-To: <sip:1@example.com>\r\nRefer-To: <sip:2@example.com>\r\n": 400,
		"Refer-To: <sip:1@example.com>, <sip:2@example.com>\r\n":             400,
		"Refer-To: hello\r\n":                          400,
		"Refer-To: <sip:a b@example.com>\r\n":          400,
		"Refer-To: <sip:1@example.com?Replaces=x>\r\n": 400,
		"Refer-To: <sip:1@example.com?Replaces=x%3Bto-tag%3D1%3Bfrom-tag%3D2&Replaces=x%3Bto-tag%3D1%3Bfrom-tag%3D2>\r\n": 400,
		"Refer-To: <http://example.com/>\r\n":          416,
		"Refer-To: <sip:1@example.com;method=BYE>\r\n": 403,
	} {
		d = d.within("REFER", ok)
		d.extra = extra
		w.sendDraft(d)
		w.response(code, "REFER")
	}
	self := d.refer(ok, fmt.Sprintf("<sip:1@example.com?Replaces=%s>",
		replaces{callID: d.callID, toTag: grammar.TagOf(ok.value("to")), fromTag: d.fromTag}.escaped()))
	w.sendDraft(self)
	w.response(400, "REFER")
	stranger := w.invite()
	stranger.method, stranger.body, stranger.extra = "REFER", "", "Refer-To: <sip:1@example.com>\r\n"
	w.sendDraft(stranger)
	w.response(403, "REFER")
	l.End(bridge.CauseNormal, "")
	expectEnd(t, l, bridge.CauseNormal)
}

func TestAttendedTransferNamesTheOtherCall(t *testing.T) {
	a := startAgent(t, nil)
	w := newWire(t, a.Addr())
	one, d1, ok1 := w.call(a)
	two, d2, ok2 := w.call(a)
	named := replaces{callID: d2.callID, toTag: grammar.TagOf(ok2.value("to")), fromTag: d2.fromTag}
	w.sendDraft(d1.refer(ok1, "<"+a.uri("lobby")+"?Replaces="+named.escaped()+">"))
	ask := expect(t, one, bridge.LineReferred).Referral
	if ask.Replaces != two || ask.RawReplaces != "" || ask.To != "lobby" {
		t.Errorf("%+v", ask)
	}
	ask.Refuse(bridge.CauseRejected, "")
	w.response(603, "REFER")
	named.callID = "elsewhere"
	d1.cseq++
	w.sendDraft(d1.refer(ok1, "<sip:1002@pbx.example?Replaces="+named.escaped()+">"))
	ask = expect(t, one, bridge.LineReferred).Referral
	if ask.Replaces != nil || ask.RawReplaces != named.String() || ask.To != "1002" {
		t.Errorf("%+v", ask)
	}
	ask.Refuse(bridge.CauseRejected, "")
}

func TestReferOut(t *testing.T) {
	for _, c := range []struct {
		name     string
		response int
		notify   []string // bodies
		err      string   // part of it; empty: success
	}{
		{"works", 202, []string{"SIP/2.0 100 Trying\r\n", "SIP/2.0 180 Ringing\r\n", "SIP/2.0 200 OK\r\n"}, ""},
		{"busy", 202, []string{"SIP/2.0 486 Busy Here\r\n"}, "486 Busy Here"},
		{"refused", 603, nil, "refused to transfer"},
		{"silent", 202, []string{""}, "stopped telling"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := startAgent(t, nil)
			w := newWire(t, a.Addr())
			l, d, ok := w.call(a)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			result := make(chan error, 1)
			go func() { result <- l.Refer(ctx, "+15551234", nil) }()
			m := w.request("REFER")
			if to, by := m.value("refer-to"), m.value("referred-by"); to != "<sip:+15551234@example.com>" || by != "<sip:lobby@example.com>" {
				t.Errorf("Refer-To %s, Referred-By %s", to, by)
			}
			w.reply(m, c.response, "Whatever", "", "", "")
			for i, body := range c.notify {
				d = d.within("NOTIFY", ok)
				d.cseq += i
				d.body = body
				d.extra = "Event: refer\r\nSubscription-State: active;expires=60\r\nContent-Type: message/sipfrag;version=2.0\r\n"
				if i == len(c.notify)-1 {
					d.extra = strings.Replace(d.extra, "active;expires=60", "terminated;reason=noresource", 1)
				}
				w.sendDraft(d)
				w.response(200, "NOTIFY")
			}
			err := <-result
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("Refer: %v, want %q", err, c.err)
			}
			d = d.within("NOTIFY", ok)
			d.cseq += 9
			d.extra, d.body = "Event: refer\r\nSubscription-State: active\r\nContent-Type: message/sipfrag\r\n", "SIP/2.0 200 OK\r\n"
			w.sendDraft(d)
			w.response(481, "NOTIFY")
			d = d.within("NOTIFY", ok)
			d.extra = "Event: presence\r\nSubscription-State: active\r\n"
			w.sendDraft(d)
			if m := w.response(489, "NOTIFY"); m.value("allow-events") != "refer" {
				t.Errorf("Allow-Events: %q", m.value("allow-events"))
			}
		})
	}
}

func TestReferOutOfACallThatEnds(t *testing.T) {
	a := startAgent(t, nil)
	w := newWire(t, a.Addr())
	l, d, ok := w.call(a)
	result := make(chan error, 1)
	go func() { result <- l.Refer(t.Context(), "1002", nil) }()
	w.reply(w.request("REFER"), 202, "Accepted", "", "", "")
	if err := l.Refer(t.Context(), "1003", nil); err != errTransferring {
		t.Errorf("a second transfer: %v", err)
	}
	d.cseq = 10
	w.sendDraft(d.within("BYE", ok))
	if err := <-result; err != errLostTransfer {
		t.Errorf("Refer: %v", err)
	}
	expectEnd(t, l, bridge.CauseNormal)
	if err := l.Refer(t.Context(), "1002", nil); err == nil {
		t.Error("an ended call was transferred")
	}
}

func TestReferOutNamesTheOtherCall(t *testing.T) {
	a := startAgent(t, nil)
	w := newWire(t, a.Addr())
	one, _, _ := w.call(a)
	two, d2, ok2 := w.call(a)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	result := make(chan error, 1)
	go func() { result <- one.Refer(ctx, "", two) }()
	m := w.request("REFER")
	named := replaces{callID: d2.callID, toTag: d2.fromTag, fromTag: grammar.TagOf(ok2.value("to"))}
	if want := "<sip:bob@" + w.addr() + "?Replaces=" + named.escaped() + ">"; m.value("refer-to") != want {
		t.Errorf("Refer-To %s, want %s", m.value("refer-to"), want)
	}
	cancel()
	if err := <-result; err != context.Canceled {
		t.Errorf("Refer: %v", err)
	}
	if err := one.Refer(t.Context(), "", one); err == nil {
		t.Error("a call was transferred to itself")
	}
	w.reply(m, 202, "Accepted", "", "", "")
}

func FuzzReferTo(f *testing.F) {
	f.Add("<sip:1@example.com?Replaces=a%40b%3Bto-tag%3D1%3Bfrom-tag%3D2%3Bearly-only>", "refer;id=3", "SIP/2.0 200 OK\r\n")
	f.Add("tel:+1555", "refer", "SIP/2.0 100")
	f.Fuzz(func(t *testing.T, to, event, body string) {
		req := sipmsg.NewRequest(sipmsg.REFER, sipmsg.Uri{Host: "example.com"})
		for name, value := range map[string]string{"Refer-To": to, "Referred-By": to, "Refer-Sub": event, "Event": event, "Content-Type": sipfrag} {
			req.AppendHeader(sipmsg.NewHeader(name, value))
		}
		req.SetBody([]byte(body))
		r, fault := readReferTo(req)
		if fault == nil && r.replaces != (replaces{}) {
			if again, f := readReplaces(r.replaces.String()); f != nil || again != r.replaces {
				t.Errorf("%q gave %+v, which reads as %+v, %v", to, r.replaces, again, f)
			}
		}
		(&Line{}).dialled(r.uri)
		referredBy(req)
		wantsNoSubscription(req)
		readEvent(req)
		if code, _, fault := readFragment(req); fault == nil && (code < 100 || code > 699) {
			t.Errorf("%q gave %d", body, code)
		}
	})
}

func TestTransfersThatNobodyEndsAreForgotten(t *testing.T) {
	bubble(t, func(c *Config) { c.SessionExpires = 24 * time.Hour }, func(t *testing.T, n *memNet, a *agent) {
		w := n.wire(t, a.Addr())
		l, d, ok := w.call(a)
		w.sendDraft(d.refer(ok, "<sip:1002@example.com>"))
		ask := expect(t, l, bridge.LineReferred).Referral
		ask.Accept()
		w.reply(w.request("NOTIFY"), 200, "OK", "", "", "")
		time.Sleep(subscriptionTime)
		m := w.request("NOTIFY")
		if s := m.value("subscription-state"); s != "terminated;reason=timeout" {
			t.Errorf("Subscription-State: %s", s)
		}
		w.reply(m, 200, "OK", "", "", "")
		ask.Progress(200, "OK") // nobody is told any more
		result := make(chan error, 1)
		go func() { result <- l.Refer(t.Context(), "1003", nil) }()
		w.reply(w.request("REFER"), 202, "Accepted", "", "", "")
		if err := <-result; err == nil || !strings.Contains(err.Error(), "in time") {
			t.Errorf("Refer: %v", err)
		}
		d.cseq = 50
		w.sendDraft(d.within("BYE", ok))
		w.response(200, "BYE")
		expectEnd(t, l, bridge.CauseNormal)
	})
}
