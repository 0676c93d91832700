package sip

import (
	"strings"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/sip/grammar"
)

func TestInviteReplacesACall(t *testing.T) {
	a := startAgent(t, nil)
	w, other := newWire(t, a.Addr()), newWire(t, a.Addr())
	old, d, ok := w.call(a)
	named := replaces{callID: d.callID, toTag: grammar.TagOf(ok.value("to")), fromTag: d.fromTag}
	for _, c := range []struct {
		name, extra string
		code        int
	}{
		{"unknown call", "Replaces: nothing;to-tag=1;from-tag=2\r\n", 481},
		{"wrong orientation", "Replaces: " + replaces{callID: d.callID, toTag: d.fromTag, fromTag: named.toTag}.String() + "\r\n", 481},
		{"wrong peer", "Replaces: " + replaces{callID: d.callID, toTag: named.toTag, fromTag: "x"}.String() + "\r\n", 481},
		{"answered", "Replaces: " + named.String() + ";early-only\r\n", 486},
		{"two fields", strings.Repeat("Replaces: "+named.String()+"\r\n", 2), 400},
		{"two values", "Replaces: " + named.String() + ", " + named.String() + "\r\n", 400},
		{"no tags", "Replaces: " + d.callID + "\r\n", 400},
		{"tag twice", "Replaces: " + named.String() + ";to-tag=z\r\n", 400},
		{"join", "Replaces: " + named.String() + "\r\nJoin: " + named.String() + "\r\n", 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			invite := other.invite()
			invite.extra = c.extra
			other.sendDraft(invite)
			other.sendDraft(invite.ackOf(other.response(c.code, "INVITE")))
		})
	}
	invite := other.invite()
	invite.extra = "Require: replaces\r\nReplaces: " + named.String() + "\r\n"
	other.sendDraft(invite)
	c := a.incoming()
	if c.Replaces != old {
		t.Errorf("Replaces is %v", c.Replaces)
	}
	if err := c.Answer(); err != nil {
		t.Fatal(err)
	}
	yes := other.response(200, "INVITE")
	if !strings.Contains(yes.value("supported"), "replaces") {
		t.Errorf("Supported: %q", yes.value("supported"))
	}
	other.sendDraft(invite.within("ACK", yes))
	expect(t, c.Line, bridge.LineAnswered)
	old.End(bridge.CauseNormal, "replaced")
	w.request("BYE") // unanswered: the old call is on its way out
	invite = other.invite()
	invite.extra = "Replaces: " + named.String() + "\r\n"
	other.sendDraft(invite)
	other.response(603, "INVITE")
}

func TestReplacingIsRefusedToStrangersWithoutAHint(t *testing.T) {
	a := startAgent(t, func(c *Config) {
		c.Admit = func(bridge.Invite) *bridge.Refusal {
			return &bridge.Refusal{Cause: bridge.CauseForbidden, Reason: "a stranger"}
		}
	})
	w := newWire(t, a.Addr())
	invite := w.invite()
	invite.extra = "Replaces: nothing;to-tag=1;from-tag=2\r\n"
	w.sendDraft(invite)
	w.response(403, "INVITE")
}

func TestACallOfOursThatRingsCanBeReplaced(t *testing.T) {
	a := startAgent(t, nil)
	w := newWire(t, a.Addr())
	out := a.dial(bridge.DialSpec{To: "sip:phone@" + w.addr(), From: "alice"})
	m := w.request("INVITE")
	w.reply(m, 180, "Ringing", "fork1", "", "")
	expect(t, out, bridge.LineRinging)
	invite := w.invite()
	invite.extra = "Replaces: " + replaces{callID: m.value("call-id"), toTag: grammar.TagOf(m.value("from")), fromTag: "fork1", earlyOnly: true}.String() + "\r\n"
	w.sendDraft(invite)
	if c := a.incoming(); c.Replaces != out {
		t.Errorf("Replaces is %v", c.Replaces)
	}
	out.End(bridge.CauseCanceled, bridge.AnsweredElsewhere)
	if c := w.request("CANCEL"); c.value("reason") != `SIP;cause=200;text="Call completed elsewhere"` {
		t.Errorf("Reason: %s", c.value("reason"))
	}
}

func TestDialReplacesACallElsewhere(t *testing.T) {
	a := startAgent(t, nil)
	w := newWire(t, a.Addr())
	a.dial(bridge.DialSpec{To: "sip:phone@" + w.addr(), From: "alice", Replaces: "a@b;from-tag=2;to-tag=1"})
	m := w.request("INVITE")
	if m.value("replaces") != "a@b;to-tag=1;from-tag=2" || m.value("require") != "replaces" {
		t.Errorf("Replaces: %q, Require: %q", m.value("replaces"), m.value("require"))
	}
	w.reply(m, 481, "No", "x", "", "")
	for _, bad := range []string{"x", "x;to-tag=1", "x\r\nEvil: 1;to-tag=1;from-tag=2"} {
		if _, err := a.Dial(bridge.DialSpec{To: "sip:phone@" + w.addr(), Replaces: bad}); err == nil {
			t.Errorf("%q was dialled", bad)
		}
	}
}

func TestRedirectionsAreOrdered(t *testing.T) {
	a := startAgent(t, nil)
	w := newWire(t, a.Addr())
	for _, c := range []struct {
		contacts []string
		want     string
	}{
		{[]string{"<sip:+15551@b.example>;q=0.5, <sip:+15552@b.example>;q=1.0", "sip:bob@c.example;q=0.7"}, "+15552 sip:bob@c.example +15551"},
		{[]string{"<tel:+1-555-3>;expires=0", "<sip:+15554@b.example;npdi=yes>", "<sip:+15554@other.example>"}, "+15554"},
		{[]string{"<sip:x@c.example?Replaces=1>;q=nan", "<mailto:x@example.com>", "<tel:+15555>;q=0.1"}, "+15555 sip:x@c.example"},
		{[]string{"<sip:a@x.example>, <sip:b@x.example>, <sip:c@x.example>, <sip:d@x.example>, <sip:e@x.example>, <sip:f@x.example>, <sip:g@x.example>, <sip:h@x.example>, <sip:i@x.example>"},
			"sip:a@x.example sip:b@x.example sip:c@x.example sip:d@x.example sip:e@x.example sip:f@x.example sip:g@x.example sip:h@x.example"},
	} {
		out := a.dial(bridge.DialSpec{To: "sip:phone@" + w.addr(), From: "alice"})
		w.reply(w.request("INVITE"), 302, "Moved", "x", "Contact: "+strings.Join(c.contacts, "\r\nContact: ")+"\r\n", "")
		e := expectEnd(t, out, bridge.CauseRedirected)
		if got := strings.Join(e.Contacts, " "); got != c.want {
			t.Errorf("%q: %s, want %s", c.contacts, got, c.want)
		}
	}
}

func TestReasonsAreReadAndSaid(t *testing.T) {
	a := startAgent(t, nil)
	w := newWire(t, a.Addr())
	for value, want := range map[string]string{
		`SIP;cause=200;text="Call completed elsewhere"`:            bridge.AnsweredElsewhere,
		`Q.850;cause=16, SIP ;cause=200`:                           bridge.AnsweredElsewhere,
		`Q.850;cause=16;text="Terminated", X;cause=1;text="other"`: "the caller gave up: Terminated",
		"": "the caller gave up",
	} {
		d := w.invite()
		w.sendDraft(d)
		c := a.incoming()
		cancel := d
		cancel.method, cancel.body = "CANCEL", ""
		if value != "" {
			cancel.extra = "Reason: " + value + "\r\n"
		}
		w.sendDraft(cancel)
		w.sendDraft(d.ackOf(w.response(487, "INVITE")))
		if e := expectEnd(t, c.Line, bridge.CauseCanceled); e.Reason != want {
			t.Errorf("%s reads as %q, want %q", value, e.Reason, want)
		}
	}
	out := a.dial(bridge.DialSpec{To: "sip:phone@" + w.addr(), From: "alice"})
	m := w.request("INVITE")
	w.reply(m, 180, "Ringing", "x", "", "")
	expect(t, out, bridge.LineRinging)
	out.End(bridge.CauseNoAnswer, "it rang for too long")
	if c := w.request("CANCEL"); c.value("reason") != `Q.850;cause=19;text="it rang for too long"` {
		t.Errorf("Reason: %s", c.value("reason"))
	}
}

func TestACallThatComesBackIsALoop(t *testing.T) {
	a := startAgent(t, nil)
	w := newWire(t, a.Addr())
	d := w.invite()
	d.uri = "sip:+15551@" + a.Addr().String()
	w.sendDraft(d)
	c := a.incoming()
	if c.Hops.Left != 69 || c.Headers[pathField] != "" {
		t.Fatalf("%+v %v", c.Hops, c.Headers)
	}
	a.dial(bridge.DialSpec{To: "sip:+15552@" + w.addr(), From: "alice", Hops: c.Hops})
	m := w.request("INVITE")
	if m.value("max-forwards") != "69" || m.value(strings.ToLower(pathField)) != c.Hops.Path {
		t.Errorf("Max-Forwards: %s, path %s", m.value("max-forwards"), m.value(strings.ToLower(pathField)))
	}
	w.reply(m, 486, "Busy", "x", "", "")
	back := func(user, path string, code int) {
		t.Helper()
		d := w.invite()
		d.uri = "sip:" + user + "@" + a.Addr().String()
		d.extra = pathField + ": " + path + "\r\n"
		w.sendDraft(d)
		if code != 0 {
			w.sendDraft(d.ackOf(w.response(code, "INVITE")))
		}
	}
	back("+15551", "other, "+c.Hops.Path, 482)
	back("+15551", strings.TrimSuffix(strings.Repeat("x,", 8), ","), 483)
	back("+15552", c.Hops.Path, 0) // forwarded, not a loop
	if f := a.incoming(); !strings.HasPrefix(f.Hops.Path, c.Hops.Path+", ") {
		t.Errorf("%+v", f.Hops)
	}
	if _, err := a.Dial(bridge.DialSpec{To: "sip:x@" + w.addr(), Hops: bridge.Hops{Path: "x"}}); err != errHops {
		t.Errorf("used up: %v", err)
	}
}

func TestForksRingByThemselvesAndLateOnesAreToldWhy(t *testing.T) {
	a := startAgent(t, nil)
	w := newWire(t, a.Addr())
	out := a.dial(bridge.DialSpec{To: "sip:phone@" + w.addr(), From: "alice"})
	m := w.request("INVITE")
	w.reply(m, 183, "Progress", "fork1", "", sampleSDP("127.0.0.1", 40000, ""))
	expect(t, out, bridge.LineEarly)
	w.reply(m, 183, "Progress", "fork2", "", sampleSDP("127.0.0.1", 40010, ""))
	// A key from each fork, with sequence numbers of their own.
	for i, tag := range []string{"fork1", "fork2", "fork1"} {
		info := w.invite()
		info.method, info.callID, info.fromTag, info.toTag, info.cseq = "INFO", m.value("call-id"), tag, grammar.TagOf(m.value("from")), 7-i%2+i
		info.extra, info.body = relayType, "Signal=1\r\n"
		w.sendDraft(info)
		w.response(200, "INFO")
		expect(t, out, bridge.LineDigit)
	}
	w.reply(m, 200, "OK", "fork2", "", sampleSDP("127.0.0.1", 40010, ""))
	expect(t, out, bridge.LineAnswered)
	if p := out.Media().Params(); p.Remote.Port() != 40010 {
		t.Errorf("media goes to %v", p.Remote)
	}
	w.request("ACK")
	w.reply(m, 200, "OK", "fork1", "", sampleSDP("127.0.0.1", 40000, ""))
	bye := w.request("BYE")
	if !strings.Contains(bye.value("to"), "fork1") || !strings.Contains(bye.value("reason"), "completed elsewhere") {
		t.Errorf("BYE to %s: %s", bye.value("to"), bye.value("reason"))
	}
	w.reply(bye, 200, "OK", "", "", "")
	w.silence(100*time.Millisecond, func(m message) bool { return m.Method == "BYE" && strings.Contains(m.value("to"), "fork2") })
}

func TestASixHundredStopsTheSearch(t *testing.T) {
	a := startAgent(t, nil)
	w := newWire(t, a.Addr())
	spec := bridge.DialSpec{To: "sip:phone@" + w.addr(), From: "alice"}
	out := a.dial(spec)
	m := w.request("INVITE")
	w.reply(m, 180, "Ringing", "fork1", "", "")
	w.reply(m, 180, "Ringing", "fork2", "", "")
	expect(t, out, bridge.LineRinging)
	w.reply(m, 603, "Decline", "fork1", "Reason: SIP;cause=603, Q.850;cause=21;text=\"not now\"\r\n", "")
	if e := expectEnd(t, out, bridge.CauseRejected); !strings.Contains(e.Reason, "603") {
		t.Errorf("%+v", e)
	}
}

func TestALateForkIsHungUpBehindItsPracks(t *testing.T) {
	a := startAgent(t, nil)
	w := newWire(t, a.Addr())
	out := a.dial(bridge.DialSpec{To: "sip:phone@" + w.addr(), From: "alice"})
	m := w.request("INVITE")
	last := ""
	for i, r := range []struct{ tag, rseq string }{{"fork1", "7"}, {"fork2", "1"}, {"fork1", "8"}} {
		w.reply(m, 180+3*(1-i/2), "Progress", r.tag, "Require: 100rel\r\nRSeq: "+r.rseq+"\r\n", "")
		prack := w.request("PRACK")
		if to := prack.value("to"); !strings.HasSuffix(to, r.tag) {
			t.Errorf("PRACK for %s goes to %s", r.tag, to)
		}
		if r.tag == "fork1" {
			last = grammar.SeqOf(prack.value("cseq"))
		}
		w.reply(prack, 200, "OK", "", "", "")
	}
	expect(t, out, bridge.LineRinging)
	w.reply(m, 200, "OK", "fork2", "", sampleSDP("127.0.0.1", 40010, ""))
	expect(t, out, bridge.LineAnswered)
	w.request("ACK")
	w.reply(m, 200, "OK", "fork1", "", sampleSDP("127.0.0.1", 40000, ""))
	bye := w.request("BYE")
	if got := grammar.SeqOf(bye.value("cseq")); len(got) < len(last) || len(got) == len(last) && got <= last {
		t.Errorf("BYE has CSeq %s, the PRACK before it had %s", got, last)
	}
	w.reply(bye, 200, "OK", "", "", "")
}
