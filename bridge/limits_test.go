package bridge

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomline/roomline/dialplan"
)

const limitPlan = `
trunks:
  - {name: carrier, addresses: [203.0.113.0/24], outbound: {servers: [sip.carrier.example]}, limits: {calls: 10, prefixes: ["+1"]}}
  - {name: pbx, inbound: {username: pbx, password: secret-of-pbx}, limits: {calls: 2, cps: 1}}
routes:
  - {name: sos, to: "911", room: sos, priority: emergency}
  - {name: out, from_room: true, to: "+1*", trunk: carrier}
`

func TestCallsAtTheSameInstantDoNotPassTheLimit(t *testing.T) {
	h := open(t, limitPlan)
	var admitted, wrong atomic.Int32
	tickets := make(chan *Ticket, 200)
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			inv := Invite{Source: carrier, To: "lobby", Ticket: &Ticket{}}
			if i%10 == 0 { // emergencies come on top, and are never refused
				inv.To = "911"
			}
			r := h.Admit(inv)
			switch {
			case r == nil:
				tickets <- inv.Ticket
				if inv.To != "911" {
					admitted.Add(1)
				}
			case r.Cause != CauseLimit || inv.To == "911":
				wrong.Add(1)
			}
		})
	}
	wg.Wait()
	if n := admitted.Load(); n > 10 || wrong.Load() != 0 {
		t.Errorf("%d of 10 were admitted, %d answers were wrong", n, wrong.Load())
	}
	close(tickets)
	for ticket := range tickets {
		ticket.Drop()
		ticket.Drop()
	}
	h.balanced()
	for range 10 {
		if r := h.Admit(Invite{Source: carrier, To: "lobby", Ticket: &Ticket{}}); r != nil {
			t.Error("a place that was given back is not free")
		}
	}
}

func TestAPasswordIsHeldToItsTrunksLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openQuiet(t, limitPlan)
		inv := Invite{Source: carrier, Trunk: "pbx", To: "lobby"} // wherever it comes from
		for i, want := range []string{"", "calls per second", "", "of calls"} {
			inv.Ticket = &Ticket{}
			r := h.Admit(inv)
			if got := r != nil; got != (want != "") || got && !strings.HasSuffix(r.Reason, want) {
				t.Errorf("call %d: %+v, want %q", i, r, want)
			}
			if i > 0 {
				time.Sleep(time.Second)
			}
		}
	})
}

func TestMinutesOfTheDay(t *testing.T) {
	var l loads
	asked := 0
	l.spentBefore = func(string) time.Duration { asked++; return 55 * time.Minute }
	trunk := dialplan.Trunk{Name: "carrier", Limits: &dialplan.Limits{Minutes: 60}}
	at := func(clock string) time.Time {
		when, err := time.Parse("2006-01-02 15:04", "2026-03-"+clock)
		if err != nil {
			t.Fatal(err)
		}
		return when
	}
	take := func(clock string, outbound, ok bool) *slot {
		t.Helper()
		s, words := l.take(trunk, outbound, false, at(clock))
		if (words == "") != ok {
			t.Errorf("at %s: %q", clock, words)
		}
		return s
	}
	a := take("01 10:00", true, true)
	a.begin(at("01 10:00"))
	take("01 10:04", true, true).leave(at("01 10:04")) // never answered: it costs nothing
	take("01 10:05", true, false)
	take("01 10:05", false, true).leave(at("01 10:06"))
	a.leave(at("01 10:02"))
	b := take("01 23:00", true, true)
	b.begin(at("01 23:58"))
	take("02 00:59", true, true).leave(at("02 00:59")) // the new day has seen 59 of b's minutes
	take("02 01:00", true, false)
	b.leave(at("02 01:00"))
	b.leave(at("02 05:00"))
	take("02 23:59", true, false)
	take("03 00:00", true, true).leave(at("03 00:00"))
	if got := l.trunks["carrier"]; got.calls != 0 || got.talking != 0 || got.since != 0 || asked != 1 {
		t.Errorf("%+v, asked %d times", *got, asked)
	}
}

func TestMinutesHoldCallsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openQuiet(t, strings.Replace(limitPlan, "calls: 10", "minutes: 1", 1))
		c, err := h.dial(DialRequest{To: "+12025550123"})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		h.lines[0].happens(LineAnswered)
		time.Sleep(time.Minute)
		var e *Error
		if _, err := h.Exchange.Dial(context.Background(), DialRequest{To: "+12025550123"}); !errors.As(err, &e) || e.Code != LimitReached {
			t.Errorf("after a minute: %v", err)
		}
		c.Hangup(CauseNone, "")
		h.cdr(c)
		h.balanced()
	})
}
