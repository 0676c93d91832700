package bridge

import (
	"sync/atomic"
	"time"

	"github.com/roomline/roomline/media"
)

// A phone that is called because somebody is to take a call over, and that has
// answered, is asked whether it does: it hears a soft beep now and then, takes
// the call with 1 and declines it with 2. Whoever briefs it is heard meanwhile.
// Its keys are told to nobody until it has decided.

// Verdicts of whom a call is offered to.
const (
	undecided int32 = iota
	accepts
	declines
)

const (
	askEvery  = 6 * time.Second
	askLength = 200 * time.Millisecond
)

// asking is the question that a phone hears. The verdict may be read by anybody,
// the rest is the call's goroutine's.
type asking struct {
	verdict atomic.Int32
	next    time.Time // when it beeps again
}

// put beeps when it is time to.
func (a *asking) put(c *Call, now time.Time) {
	if a == nil || c.sink == nil || a.verdict.Load() != undecided || now.Before(a.next) {
		return
	}
	a.next = now.Add(askEvery)
	if _, err := c.sink.Play(media.Beep(media.NarrowbandHz), askLength); err != nil {
		c.log.Warn("no beep", "error", err)
	}
}

// keyed takes every key until the phone has decided.
func (a *asking) keyed(c *Call, key rune) (taken bool) {
	if a == nil || a.verdict.Load() != undecided {
		return false
	}
	if c.Record().AnsweredAt == nil {
		return true
	}
	switch key {
	case '1':
		a.verdict.Store(accepts)
	case '2':
		a.verdict.Store(declines)
	default:
		return true
	}
	c.tell()
	return true
}
