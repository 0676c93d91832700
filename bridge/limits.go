package bridge

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/roomline/roomline/dialplan"
)

// loads is what the trunks carry now and have spent today. Looking and counting
// are one step, so that calls that come at the same instant cannot pass a limit
// together; the cost does not grow with the number of calls.
type loads struct {
	spentBefore func(trunk string) time.Duration // today, before this process; nil: nothing

	mu     sync.Mutex
	trunks map[string]*load
}

// load is one trunk's.
type load struct {
	calls   int // live or admitted
	rate    *rate.Limiter
	day     time.Time     // the UTC midnight since which minutes count
	spent   time.Duration // by answered outbound calls that ended since then
	talking int           // answered outbound calls that have not ended
	since   time.Duration // the sum of their starts, each counted from day
}

// slot is what one call takes on one trunk. Its methods are safe on nil.
type slot struct {
	loads    *loads
	trunk    string
	answered time.Time // of an outbound call, for its minutes; zero: not yet
	over     bool
}

// take finds a place for one more call on a trunk, or says why there is none.
// exempt calls (emergencies) always find one; they count nevertheless.
func (l *loads) take(t dialplan.Trunk, outbound, exempt bool, now time.Time) (*slot, string) {
	if t.Name == "" {
		return nil, ""
	}
	before := l.before(t, now)
	l.mu.Lock()
	defer l.mu.Unlock()
	load := l.ofLocked(t.Name, now, before)
	if !exempt && t.Limits != nil {
		if words := load.refuses(*t.Limits, outbound, now); words != "" {
			return nil, "trunk " + t.Name + " has reached its limit of " + words
		}
	}
	load.calls++
	return &slot{loads: l, trunk: t.Name}, ""
}

// before asks for the minutes of earlier processes, once per trunk, without holding the lock.
func (l *loads) before(t dialplan.Trunk, now time.Time) time.Duration {
	if l.spentBefore == nil || t.Limits == nil || t.Limits.Minutes <= 0 {
		return 0
	}
	l.mu.Lock()
	_, known := l.trunks[t.Name]
	l.mu.Unlock()
	if known {
		return 0
	}
	return l.spentBefore(t.Name)
}

func (l *loads) ofLocked(trunk string, now time.Time, before time.Duration) *load {
	if l.trunks == nil {
		l.trunks = map[string]*load{}
	}
	a := l.trunks[trunk]
	if a == nil {
		a = &load{day: midnight(now), spent: before}
		l.trunks[trunk] = a
	}
	if day := midnight(now); day.After(a.day) { // who talks goes on in the new day
		a.day, a.spent, a.since = day, 0, 0
	}
	return a
}

// refuses names the limit that one more call would pass; empty when none.
func (a *load) refuses(l dialplan.Limits, outbound bool, now time.Time) string {
	if l.Calls > 0 && a.calls >= l.Calls {
		return "calls"
	}
	if outbound && l.Minutes > 0 && a.used(now) >= time.Duration(l.Minutes)*time.Minute {
		return "minutes for today"
	}
	if l.CPS <= 0 {
		return ""
	}
	if a.rate == nil || a.rate.Limit() != rate.Limit(l.CPS) {
		a.rate = rate.NewLimiter(rate.Limit(l.CPS), max(1, int(l.CPS)))
	}
	if !a.rate.AllowN(now, 1) {
		return "calls per second"
	}
	return ""
}

// used is how long answered outbound calls have lasted today.
func (a *load) used(now time.Time) time.Duration {
	return a.spent + time.Duration(a.talking)*now.Sub(a.day) - a.since
}

// begin starts the minutes of an outbound call that was answered.
func (s *slot) begin(now time.Time) {
	if s == nil {
		return
	}
	s.loads.mu.Lock()
	defer s.loads.mu.Unlock()
	if s.over || !s.answered.IsZero() {
		return
	}
	a := s.loads.ofLocked(s.trunk, now, 0)
	s.answered = now
	a.talking++
	a.since += now.Sub(a.day)
}

// leave gives the place back. Leaving twice is harmless.
func (s *slot) leave(now time.Time) {
	if s == nil {
		return
	}
	s.loads.mu.Lock()
	defer s.loads.mu.Unlock()
	if s.over {
		return
	}
	s.over = true
	a := s.loads.ofLocked(s.trunk, now, 0)
	a.calls--
	if s.answered.IsZero() {
		return
	}
	began := max(s.answered.Sub(a.day), 0)
	a.talking--
	a.since -= began
	a.spent += max(now.Sub(a.day)-began, 0)
}

func midnight(now time.Time) time.Time { return now.UTC().Truncate(24 * time.Hour) }
