package bridge

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var (
	loopback = netip.MustParseAddrPort("127.0.0.1:5099")
	desk     = netip.MustParseAddrPort("192.0.2.10:5060")
	carrier  = netip.MustParseAddrPort("203.0.113.9:5060")
)

const referPlan = `
trunks:
  - {name: desk, addresses: [192.0.2.0/24], refer: allow}
  - {name: carrier, addresses: [203.0.113.0/24], outbound: {servers: [sip.carrier.example]}, limits: {prefixes: ["+1"]}}
routes:
  - {name: locked, trunk: desk, to: board, room: board, pin: "4711"}
  - {name: closed, trunk: desk, to: closed, reject: busy}
  - {name: out, from_room: true, to: "+1*", trunk: carrier}
`

// asked is a Referral with what became of it.
type asked struct {
	Referral
	told []string
}

func (a *asked) say(words string) { a.told = append(a.told, words) }

func newAsked(r Referral) *asked {
	a := &asked{Referral: r}
	a.Refuse = func(c Cause, reason string) { a.say("refused " + string(c)) }
	a.Accept = func() { a.say("accepted") }
	a.Progress = func(code int, _ string) { a.say(fmt.Sprint(code)) }
	return a
}

func (l *fakeLine) refers(a *asked) {
	l.events <- LineEvent{Kind: LineReferred, Referral: &a.Referral}
	synctest.Wait()
}

// from brings a call up that comes from an address.
func (h *house) from(source netip.AddrPort, room string) (*fakeLine, *Call) {
	h.t.Helper()
	l, c := h.take(Invite{Source: source, From: "+15550100", To: room})
	<-l.answered
	l.happens(LineAnswered)
	synctest.Wait()
	return l, c
}

func (h *house) in(room string) (ids []string) {
	r, ok := h.Room(room)
	if !ok {
		return nil
	}
	for _, p := range r.Record().Participants {
		ids = append(ids, p.CallID)
	}
	return ids
}

// over hangs everybody up and holds every call to one CDR.
func (h *house) over() {
	h.t.Helper()
	for _, rec := range h.Calls() {
		if c, ok := h.Call(rec.ID); ok {
			c.Hangup(CauseNone, "")
			h.cdr(c)
		}
	}
	h.balanced()
}

// balanced looks for what calls leave behind.
func (h *house) balanced() {
	h.t.Helper()
	h.Exchange.mu.Lock()
	defer h.Exchange.mu.Unlock()
	if len(h.Exchange.calls) != 0 || len(h.rooms) != 0 || len(h.Exchange.lines) != 0 || len(h.waiting) != 0 {
		h.t.Errorf("left behind: %d calls, %d rooms, %d lines, %d waiting", len(h.Exchange.calls), len(h.rooms), len(h.Exchange.lines), len(h.waiting))
	}
	for name, l := range h.loads.trunks {
		if l.calls != 0 || l.talking != 0 || l.since != 0 {
			h.t.Errorf("trunk %s still carries %+v", name, *l)
		}
	}
}

func TestReferIsHeldToPolicy(t *testing.T) {
	for to, want := range map[string]string{
		"+442079460000": "refused forbidden", "911": "refused forbidden", "closed": "refused busy", "board": "refused forbidden",
		"sip:x@evil.example": "refused forbidden", "tel:+442079460000": "refused forbidden", "lobby": "refused rejected", "": "refused unknown_number",
	} {
		t.Run(to, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := openQuiet(t, referPlan)
				l, c := h.from(desk, "lobby")
				_, other := h.from(desk, "lobby")
				a := newAsked(Referral{To: to})
				l.refers(a)
				if len(a.told) != 1 || strings.Fields(a.told[0])[0] != "refused" || to != "" && a.told[0] != want {
					t.Errorf("told %q, want %q", a.told, want)
				}
				if len(h.lines) != 0 || c.Record().State != StateActive || other.Record().Room != "lobby" {
					t.Error("something changed")
				}
				h.over()
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		h := openQuiet(t, referPlan)
		l, _ := h.from(carrier, "lobby") // whose trunk does not allow it
		h.from(desk, "lobby")
		a := newAsked(Referral{To: "+12025550123"})
		l.refers(a)
		alone, _ := h.from(desk, "alone")
		b := newAsked(Referral{To: "+12025550123"})
		alone.refers(b)
		if !slices.Equal(a.told, []string{"refused forbidden"}) || !slices.Equal(b.told, []string{"refused rejected"}) {
			t.Errorf("told %q and %q", a.told, b.told)
		}
		h.over()
	})
}

func TestReferToANumber(t *testing.T) {
	for _, c := range []struct {
		name string
		ends LineEvent // of the called side; none: it answers
		told []string
	}{
		{"answered", LineEvent{}, []string{"accepted", "180", "200"}},
		{"busy", LineEvent{Cause: CauseBusy, SIPCode: 486}, []string{"accepted", "180", "486"}},
		{"unreachable", LineEvent{Cause: CauseUnreachable}, []string{"accepted", "180", "503"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := openQuiet(t, referPlan)
				l, agent := h.from(desk, "lobby")
				_, other := h.from(carrier, "lobby")
				a := newAsked(Referral{To: "+12025550123", RawReplaces: "a@b;to-tag=1;from-tag=2"})
				l.refers(a)
				leg := h.lines[0]
				if leg.spec.Replaces != a.RawReplaces {
					t.Errorf("Replaces %q", leg.spec.Replaces)
				}
				leg.happens(LineRinging)
				synctest.Wait()
				if answered := c.ends.Cause == CauseNone; answered {
					leg.happens(LineAnswered)
					if d := h.cdr(agent); d.Cause != CauseNormal {
						t.Errorf("the referring call: %+v", d)
					}
				} else {
					leg.ended(c.ends)
				}
				synctest.Wait()
				if !slices.Equal(a.told, c.told) {
					t.Errorf("told %q, want %q", a.told, c.told)
				}
				if n := len(h.in("lobby")); n != 2 || other.Record().State != StateActive {
					t.Errorf("%d in the room", n)
				}
				h.over()
			})
		})
	}
}

func TestReferringPhoneMayHangUpAtOnce(t *testing.T) {
	for _, answers := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			h := openQuiet(t, referPlan)
			l, agent := h.from(desk, "lobby")
			_, other := h.from(carrier, "lobby")
			h.pair(agent, other)
			l.refers(newAsked(Referral{To: "+12025550123"}))
			l.ended(LineEvent{Cause: CauseNormal})
			h.cdr(agent)
			leg := h.lines[0]
			if answers {
				leg.happens(LineAnswered)
				synctest.Wait()
				if n := len(h.in("lobby")); n != 2 {
					t.Errorf("%d in the room", n)
				}
				leg.ended(LineEvent{Cause: CauseNormal})
			} else {
				leg.ended(LineEvent{Cause: CauseBusy})
			}
			if d := h.cdr(other); d.Cause != CauseNormal { // it is connected with the new one
				t.Errorf("the other side: %+v", d)
			}
			h.over()
		})
	}
}

func TestReferToARoomOfOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openQuiet(t, referPlan)
		l, agent := h.from(desk, "lobby")
		_, other := h.from(carrier, "lobby")
		a := newAsked(Referral{To: "sales"})
		l.refers(a)
		h.cdr(agent)
		if !slices.Equal(a.told, []string{"accepted", "200"}) || !slices.Equal(h.in("sales"), []string{other.id}) {
			t.Errorf("told %q, in sales: %q", a.told, h.in("sales"))
		}
		if r := other.Record(); r.Room != "sales" {
			t.Errorf("the record says %s", r.Room)
		}
		h.over()
	})
}

func TestAttendedTransfer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openQuiet(t, referPlan)
		l, first := h.from(desk, "one")
		_, caller := h.from(carrier, "one")
		l2, second := h.from(desk, "two")
		_, expert := h.from(carrier, "two")
		h.pair(first, caller)
		h.pair(second, expert)
		a := newAsked(Referral{To: "two", Replaces: l2})
		l.refers(a)
		h.cdr(first)
		h.cdr(second)
		if !slices.Equal(a.told, []string{"accepted", "200"}) || len(h.in("two")) != 2 || caller.partner() != expert {
			t.Errorf("told %q, in two: %q", a.told, h.in("two"))
		}
		h.over()
	})
}

func TestAttendedTransferRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openQuiet(t, referPlan)
		l, _ := h.from(desk, "one")
		h.from(carrier, "one")
		foreign, _ := h.from(carrier, "two")
		h.from(carrier, "two")
		alone, _ := h.from(desk, "three")
		browsers, _ := h.from(desk, "four")
		for _, name := range []string{"one", "four"} {
			r, _ := h.Room(name)
			defer join(t, r, "dispatcher", KindBrowser).Leave()
		}
		gone := newQuietLine(t)
		defer gone.media.Close()
		for line, want := range map[*fakeLine]string{
			foreign: "refused forbidden", alone: "refused rejected", browsers: "refused rejected", l: "refused rejected", gone: "refused rejected",
		} {
			a := newAsked(Referral{To: "x", Replaces: line})
			l.refers(a)
			if !slices.Equal(a.told, []string{want}) {
				t.Errorf("told %q, want %q", a.told, want)
			}
		}
		for _, rec := range h.Calls() {
			if rec.State != StateActive {
				t.Errorf("%s is %s", rec.ID, rec.State)
			}
			c, _ := h.Call(rec.ID)
			c.Hangup(CauseNone, "")
			h.cdr(c)
		}
	})
}

func TestInviteWithReplacesTakesTheSeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openQuiet(t, referPlan)
		old, c := h.from(desk, "lobby")
		_, other := h.from(carrier, "lobby")
		h.pair(c, other)
		c.Mute(true)
		if err := c.Hold(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		l, n := h.take(Invite{Source: desk, From: "+15550177", To: "roomline", Replaces: old})
		<-l.answered
		l.happens(LineAnswered)
		h.cdr(c)
		synctest.Wait()
		if r := n.Record(); r.Room != "lobby" || r.State != StateHeld || !r.Muted || n.partner() != other || len(h.in("lobby")) != 2 {
			t.Errorf("%+v", r)
		}
		if other.Record().State != StateActive {
			t.Error("the other side has gone")
		}
		h.over()
	})
}

func TestInviteWithReplacesRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openQuiet(t, referPlan)
		old, _ := h.from(desk, "lobby")
		ringing := h.line()
		gone := newQuietLine(t)
		gone.media.Close()
		h.Incoming(Invite{Source: desk, To: "lobby2"}, ringing)
		<-ringing.answered
		for _, c := range []struct {
			from  netip.AddrPort
			line  *fakeLine
			cause Cause
			code  int
		}{
			{carrier, old, CauseForbidden, 0}, {loopback, old, CauseForbidden, 0}, {netip.MustParseAddrPort("198.51.100.1:5060"), old, CauseForbidden, 0},
			{desk, ringing, CauseRejected, 0}, {desk, gone, CauseSignalling, 481},
		} {
			r := h.Admit(Invite{Source: c.from, To: "x", Replaces: c.line})
			if r == nil || r.Cause != c.cause || r.SIPCode != c.code {
				t.Errorf("from %s: %+v", c.from, r)
			}
		}
		h.over()
	})
}

func TestHandBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openQuiet(t, referPlan)
		l, c := h.from(desk, "lobby")
		if err := c.Transfer(t.Context(), TransferRequest{To: "+12025550123", Refer: true}); err == nil || c.Record().State != StateActive {
			t.Error("a phone that does not transfer")
		}
		l.referred = make(chan string, 1)
		for _, r := range []TransferRequest{{Room: "x", Refer: true}, {To: "+442079460000", Refer: true}} {
			if err := c.Transfer(t.Context(), r); err == nil {
				t.Errorf("%+v", r)
			}
		}
		if err := c.Transfer(t.Context(), TransferRequest{To: "+1 202 555 0123", Refer: true}); err != nil {
			t.Fatal(err)
		}
		if d := h.cdr(c); <-l.referred != "+12025550123" || d.Cause != CauseNormal || !strings.Contains(d.Reason, "handed back") {
			t.Errorf("CDR %+v", d)
		}
		h.over()
	})
}

func TestAttendedTransferWaitsForTheACK(t *testing.T) {
	for _, comes := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			h := openQuiet(t, referPlan)
			l, first := h.from(desk, "one")
			h.from(carrier, "one")
			h.from(carrier, "two")
			l2, second := h.take(Invite{Source: desk, To: "two"})
			<-l2.answered
			a, again := newAsked(Referral{To: "two", Replaces: l2}), newAsked(Referral{To: "two", Replaces: l2})
			l.refers(a)
			l.refers(again)
			want := "refused rejected"
			if comes {
				l2.happens(LineAnswered)
				h.cdr(first)
				h.cdr(second)
				want = "accepted"
			} else {
				time.Sleep(2 * time.Second)
			}
			synctest.Wait()
			if len(a.told) == 0 || a.told[0] != want || !slices.Equal(again.told, []string{"refused rejected"}) {
				t.Errorf("told %q and %q", a.told, again.told)
			}
			h.over()
		})
	}
}
