package sip

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/sip/grammar"
	"github.com/roomline/roomline/sip/sdp"
)

func TestCallIsAnsweredAndHungUpByEitherSide(t *testing.T) {
	for _, transport := range []string{"udp", "tcp"} {
		for _, callerEnds := range []bool{true, false} {
			t.Run(transport, func(t *testing.T) {
				a, b := startAgent(t, nil), startAgent(t, nil)
				out := a.dial(bridge.DialSpec{To: b.uri("lobby") + ";transport=" + transport, From: "+15551234"})
				in := b.incoming()
				if in.To != "lobby" || in.From != "+15551234" || in.Transport != transport {
					t.Errorf("invite says %+v", in.Invite)
				}
				if err := in.Ring(); err != nil {
					t.Fatal(err)
				}
				if err := in.Ring(); err != nil {
					t.Fatalf("ringing twice: %v", err)
				}
				expect(t, out, bridge.LineRinging)
				if err := in.Answer(); err != nil {
					t.Fatal(err)
				}
				expect(t, out, bridge.LineAnswered)
				expect(t, in.Line, bridge.LineAnswered)
				p, q := out.Media().Params(), in.Media().Params()
				if p.Remote != in.Media().LocalAddr() || q.Remote != out.Media().LocalAddr() {
					t.Errorf("media goes to %v and %v", p.Remote, q.Remote)
				}
				if p.Codec != media.PCMU || !p.EventsAgreed || !p.Send || !p.Receive || p.Latch {
					t.Errorf("agreed on %+v", p)
				}
				first, second := out, in.Line
				if !callerEnds {
					first, second = second, first
				}
				first.End(bridge.CauseNormal, "bye")
				expectEnd(t, first, bridge.CauseNormal)
				if e := expectEnd(t, second, bridge.CauseNormal); e.Reason != "the other side hung up: bye" {
					t.Errorf("reason %q", e.Reason)
				}
			})
		}
	}
}

func TestRefusalsReachTheCallerWithTheirCause(t *testing.T) {
	a, b := startAgent(t, nil), startAgent(t, nil)
	for _, c := range []struct {
		said, heard bridge.Cause
		code        int
	}{
		{bridge.CauseBusy, bridge.CauseBusy, 486},
		{bridge.CauseUnknownNumber, bridge.CauseUnknownNumber, 404},
		{bridge.CauseRejected, bridge.CauseRejected, 603},
		{bridge.CauseForbidden, bridge.CauseForbidden, 403},
		{bridge.CauseIncompatible, bridge.CauseIncompatible, 488},
		{bridge.CauseNoAnswer, bridge.CauseNoAnswer, 480},
		{bridge.CauseLimit, bridge.CauseUnreachable, 503},
	} {
		out := a.dial(bridge.DialSpec{To: b.uri("lobby")})
		in := b.incoming()
		in.End(c.said, "because of "+string(c.said))
		expectEnd(t, in.Line, c.said)
		e := expectEnd(t, out, c.heard)
		if e.SIPCode != c.code || e.Reason != itoa(c.code)+" because of "+string(c.said) {
			t.Errorf("%s: heard %d %q", c.said, e.SIPCode, e.Reason)
		}
	}
}

func TestCallerGivesUp(t *testing.T) {
	a, b := startAgent(t, nil), startAgent(t, nil)
	out := a.dial(bridge.DialSpec{To: b.uri("lobby")})
	in := b.incoming()
	in.Ring()
	expect(t, out, bridge.LineRinging)
	out.End(bridge.CauseCanceled, "changed my mind")
	expectEnd(t, out, bridge.CauseCanceled)
	expectEnd(t, in.Line, bridge.CauseCanceled)
	if err := in.Answer(); err == nil {
		t.Error("a cancelled call could be answered")
	}
}

func TestCallNobodyAnswersEndsAfterRingTimeout(t *testing.T) {
	a, b := startAgent(t, nil), startAgent(t, nil)
	out := a.dial(bridge.DialSpec{To: b.uri("lobby"), RingTimeout: 300 * time.Millisecond})
	in := b.incoming()
	in.Ring()
	expect(t, out, bridge.LineRinging)
	expectEnd(t, out, bridge.CauseNoAnswer)
	expectEnd(t, in.Line, bridge.CauseCanceled)
}

func TestDialAClosedPortEndsAtOnce(t *testing.T) {
	a := startAgent(t, nil)
	w := newWire(t, a.Addr())
	w.conn.Close()
	begin := time.Now()
	for _, transport := range []string{"udp", "tcp"} {
		out := a.dial(bridge.DialSpec{To: "sip:x@" + w.addr() + ";transport=" + transport})
		expectEnd(t, out, bridge.CauseUnreachable)
	}
	if d := time.Since(begin); d > 3*time.Second {
		t.Errorf("it took %v", d)
	}
}

func TestDialASilentAddressEndsByTimeout(t *testing.T) {
	a := startAgent(t, nil)
	w := newWire(t, a.Addr())
	out := a.dial(bridge.DialSpec{To: "sip:x@" + w.addr()})
	if e := expectEnd(t, out, bridge.CauseUnreachable); e.Reason == "" {
		t.Error("no reason in words")
	}
}

func TestDialTriesTheNextServer(t *testing.T) {
	a, b := startAgent(t, nil), startAgent(t, nil)
	w := newWire(t, a.Addr())
	w.conn.Close()
	trunk := dialplan.Trunk{Name: "north", Outbound: &dialplan.Outbound{Servers: []string{w.addr(), b.Addr().String()}}}
	out := a.dial(bridge.DialSpec{To: "+15551234", From: "+15550000", Trunk: trunk})
	in := b.incoming()
	if in.To != "+15551234" || in.From != "+15550000" {
		t.Errorf("invite says %+v", in.Invite)
	}
	in.End(bridge.CauseBusy, "")
	expectEnd(t, out, bridge.CauseBusy)
}

func TestDialRefusesWhatItCannotSend(t *testing.T) {
	a := startAgent(t, nil)
	for _, spec := range []bridge.DialSpec{
		{To: "+15551234"},
		{To: "sip:x@exa mple.com"},
		{To: "sip:x@[::1]:5060"},
		{To: "sip:x@192.0.2.1", Headers: map[string]string{"X-A": "1\r\nInjected: yes"}},
		{To: "sip:x@192.0.2.1", Trunk: dialplan.Trunk{Name: "n", Codecs: []string{"G729"}}},
		{To: "+1", Trunk: dialplan.Trunk{Name: "n", Outbound: &dialplan.Outbound{Servers: []string{"192.0.2.1"}, Transport: "sctp"}}},
	} {
		if l, err := a.Dial(spec); err == nil {
			t.Errorf("%+v was dialled", spec)
			l.End(bridge.CauseNormal, "")
		}
	}
}

func TestHoldAndResumeFromBothSides(t *testing.T) {
	a, b := startAgent(t, nil), startAgent(t, nil)
	out, in := talk(t, a, b)
	for _, sides := range [][2]bridge.Line{{out, in}, {in, out}} {
		holder, peer := sides[0], sides[1]
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if err := holder.Hold(ctx, true); err != nil {
			t.Fatal(err)
		}
		expect(t, peer, bridge.LineHeld)
		if p := peer.Media().Params(); p.Send || !p.Receive {
			t.Errorf("held side sends %v, receives %v", p.Send, p.Receive)
		}
		if p := holder.Media().Params(); !p.Send || p.Receive {
			t.Errorf("holder sends %v, receives %v", p.Send, p.Receive)
		}
		if err := holder.Hold(ctx, false); err != nil {
			t.Fatal(err)
		}
		expect(t, peer, bridge.LineResumed)
		if p := peer.Media().Params(); !p.Send || !p.Receive {
			t.Errorf("after resume: sends %v, receives %v", p.Send, p.Receive)
		}
	}
	out.End(bridge.CauseNormal, "")
	expectEnd(t, in, bridge.CauseNormal)
}

func TestGlareOfTwoHoldsIsSettled(t *testing.T) {
	a, b := startAgent(t, nil), startAgent(t, nil)
	out, in := talk(t, a, b)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	errs := make(chan error, 2)
	go func() { errs <- out.Hold(ctx, true) }()
	go func() { errs <- in.Hold(ctx, true) }()
	for range 2 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if p := out.Media().Params(); p.Receive || p.Send {
		t.Errorf("both hold and sound flows: %+v", p)
	}
	out.End(bridge.CauseNormal, "")
	expect(t, in, bridge.LineHeld)
	expectEnd(t, in, bridge.CauseNormal)
}

func TestStoppingHangsUpEveryCall(t *testing.T) {
	b := startAgent(t, nil)
	a, err := New(Config{Addrs: []string{"127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() { over <- a.Run(ctx) }()
	<-a.Ready()
	var lines []bridge.Line
	for range 5 {
		l, err := a.Dial(bridge.DialSpec{To: b.uri("lobby")})
		if err != nil {
			t.Fatal(err)
		}
		in := b.incoming()
		in.Answer()
		expect(t, l, bridge.LineAnswered)
		expect(t, in.Line, bridge.LineAnswered)
		lines = append(lines, in.Line)
	}
	cancel()
	for _, l := range lines {
		if e := expectEnd(t, l, bridge.CauseNormal); e.Reason != "the other side hung up: the gateway is stopping" {
			t.Errorf("reason %q", e.Reason)
		}
	}
	if err := <-over; err != nil {
		t.Error(err)
	}
	if _, err := a.Dial(bridge.DialSpec{To: b.uri("lobby")}); err == nil {
		t.Error("a stopped UA dials")
	}
}

func TestPublicIPIsWhatPeersAreTold(t *testing.T) {
	b := startAgent(t, func(c *Config) { c.PublicIP = mustAddr("192.0.2.7") })
	w := newWire(t, b.Addr())
	d := w.invite()
	w.sendDraft(d)
	in := b.incoming()
	in.Answer()
	ok := w.response(200, "INVITE")
	if uri, _, _ := grammar.SplitAddress(ok.value("contact")); uri != "sip:lobby@192.0.2.7:"+itoa(int(b.Addr().Port())) {
		t.Errorf("Contact %s", ok.value("contact"))
	}
	s, err := sdp.Parse(ok.Body)
	if err != nil || s.Streams[0].Addr != mustAddr("192.0.2.7") {
		t.Errorf("SDP says %v, %v", s, err)
	}
	ack := d.within("ACK", ok)
	ack.uri = d.uri
	w.sendDraft(ack)
	expect(t, in.Line, bridge.LineAnswered)
}

func TestCallOverIPv6(t *testing.T) {
	v6 := func(c *Config) { c.Addrs = []string{"[::1]:0"} }
	a, b := startAgent(t, v6), startAgent(t, v6)
	out, in := talk(t, a, b)
	if p := out.Media().Params(); p.Remote != in.Media().LocalAddr() || !p.Remote.Addr().Is6() {
		t.Errorf("media %+v", p)
	}
	in.End(bridge.CauseNormal, "")
	expectEnd(t, out, bridge.CauseNormal)
}

// A UA that listens on every address still tells each peer one that works.
func TestCallThroughWildcardAddresses(t *testing.T) {
	wild := func(c *Config) { c.Addrs = []string{"0.0.0.0:0"} }
	a, b := startAgent(t, wild), startAgent(t, wild)
	to := "127.0.0.1:" + itoa(int(b.Addr().Port()))
	out := a.dial(bridge.DialSpec{To: "sip:lobby@" + to})
	in := b.incoming()
	in.Answer()
	expect(t, out, bridge.LineAnswered)
	expect(t, in.Line, bridge.LineAnswered)
	if p := out.Media().Params(); p.Remote.Addr() != mustAddr("127.0.0.1") {
		t.Errorf("media %+v", p)
	}
	in.End(bridge.CauseNormal, "")
	expectEnd(t, out, bridge.CauseNormal)
}

// The same caller twice is two calls (PEERS 3).
func TestPeerDefect03TwoCallsFromOneNumber(t *testing.T) {
	a, b := startAgent(t, nil), startAgent(t, nil)
	one, first := talk(t, a, b)
	two, second := talk(t, a, b)
	one.End(bridge.CauseNormal, "")
	expectEnd(t, first, bridge.CauseNormal)
	two.End(bridge.CauseNormal, "")
	expectEnd(t, second, bridge.CauseNormal)
}

// PEERS 5: while stopping, new INVITEs are refused with words.
func TestPeerDefect05NewCallsWhileDraining(t *testing.T) {
	var draining atomic.Bool
	b := startAgent(t, func(c *Config) {
		c.Admit = func(bridge.Invite) *bridge.Refusal {
			if !draining.Load() {
				return nil
			}
			return &bridge.Refusal{Cause: bridge.CauseShutdown, Reason: "this gateway is draining"}
		}
	})
	w := newWire(t, b.Addr())
	draining.Store(true)
	d := w.invite()
	w.sendDraft(d)
	m := w.response(503, "INVITE")
	if m.phrase != "this gateway is draining" || m.value("retry-after") == "" {
		t.Errorf("%s %+v", m.start, m.Fields)
	}
	w.sendDraft(d.ackOf(m))
}

func TestStoppingTakesBackWhatRings(t *testing.T) {
	a, b := startAgent(t, nil), startAgent(t, nil)
	out := a.dial(bridge.DialSpec{To: b.uri("lobby"), From: "alice"})
	c := b.incoming()
	if err := c.Ring(); err != nil {
		t.Fatal(err)
	}
	expect(t, out, bridge.LineRinging)
	a.stop()
	expectEnd(t, c.Line, bridge.CauseCanceled)
}

func TestPanicOnALineCostsThatCallAlone(t *testing.T) {
	a, b := startAgent(t, nil), startAgent(t, nil)
	out, in := talk(t, a, b)
	other, _ := talk(t, a, b)
	in.(*Line).post(func() { panic("a test") })
	expectEnd(t, in, bridge.CauseInternal)
	if e := expectEnd(t, out, bridge.CauseNormal); e.Reason != "the other side hung up: an internal error" {
		t.Errorf("reason %q", e.Reason)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := other.Hold(ctx, true); err != nil {
		t.Errorf("another call: %v", err)
	}
}

// BenchmarkCall measures both ends of a call: INVITE, 100, 200, ACK, BYE, 200.
func BenchmarkCall(b *testing.B) {
	calls := make(chan bridge.Line, 16)
	start := func(in func(bridge.Invite, bridge.Line)) *UA {
		u, err := New(Config{Addrs: []string{"127.0.0.1:0"}, Incoming: in})
		if err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithCancel(b.Context())
		over := make(chan error, 1)
		go func() { over <- u.Run(ctx) }()
		b.Cleanup(func() { cancel(); <-over })
		<-u.Ready()
		return u
	}
	to := start(func(_ bridge.Invite, l bridge.Line) { l.Answer(); calls <- l })
	from := start(nil)
	for b.Loop() {
		out, err := from.Dial(bridge.DialSpec{To: "sip:x@" + to.Addr().String()})
		if err != nil {
			b.Fatal(err)
		}
		if e := <-out.Events(); e.Kind != bridge.LineAnswered {
			b.Fatalf("%+v", e)
		}
		in := <-calls
		out.End(bridge.CauseNormal, "")
		for range in.Events() {
		}
	}
}
