package bridge

import (
	"time"

	"github.com/roomline/roomline/media/prompts"
)

// decides is how long who has picked up may take to press 1.
const decides = 20 * time.Second

// pickedUp: a phone that rang for a queue has been answered. It takes the caller
// whose turn is first, at once or when 1 is pressed.
func (c *Call) pickedUp() step {
	r := c.ringing
	switch {
	case !r.pick():
		c.begin()
		return c.end(CauseNormal, c.ringing.needless())
	case r.byKey:
		return c.decide
	}
	return c.takeCaller()
}

// decide: the phone is asked whether it takes the call.
func (c *Call) decide() step {
	c.asking = &asking{}
	if err := c.sit(c.Record().Room); err != nil {
		return c.end(CauseInternal, err.Error())
	}
	c.answered()
	c.sound(prompts.Say(prompts.PressOne))
	begun := time.Now()
	c.asking.next = begun.Add(askEvery)
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for {
		e, what := c.wait(c.news, second.C)
		switch verdict := c.asking.verdict.Load(); {
		case what == over:
			return nil
		case verdict == accepts:
			return c.takeCaller()
		case verdict == declines:
			return c.end(CauseRejected, "declined by key")
		case time.Since(begun) >= decides:
			return c.end(CauseNoAnswer, "nobody pressed 1")
		case what == told:
			c.changed(e)
		case what == timeUp && c.silent(time.Now()):
			return c.end(CauseMediaTimeout, "no RTP came from the phone for "+c.x.MediaTimeout.String())
		}
		c.asking.put(c, time.Now())
	}
}

// takeCaller brings the phone together with the caller whose turn it is.
func (c *Call) takeCaller() step {
	o := c.ringing.take(c)
	if o == nil {
		if !c.isAnswered() {
			c.begin()
		}
		return c.end(CauseNormal, c.ringing.needless())
	}
	c.note(func(r *CallRecord) { r.ParentID = o.spec.call.id })
	c.quiet()
	if err := c.sit(o.spec.room); err != nil {
		return c.end(CauseInternal, err.Error())
	}
	if !c.ringing.arrived(c) {
		return c.end(CauseNormal, "the caller has hung up")
	}
	return c.answered()
}
