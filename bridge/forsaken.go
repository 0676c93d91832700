package bridge

import (
	"time"

	"github.com/roomline/roomline/dialplan"
)

// alone is how long a caller whom a browser took from a queue may be without
// anybody in the room, before they wait there again.
const alone = 10 * time.Second

// tended is a call that somebody in a browser took from a queue.
type tended struct {
	target dialplan.Target
	room   string
	since  time.Time // when it began to wait
	lonely time.Time // since when nobody is with the caller; zero: somebody is
}

// forsaken takes a caller back to the queue when whoever took them has gone for
// good, such as with a browser that crashed; nil: they have not. The call is asked
// every second, and not any more once it has gone elsewhere.
func (c *Call) forsaken(now time.Time) step {
	t := c.tended
	switch {
	case t == nil:
		return nil
	case c.Record().Room != t.room || c.partner() != nil:
		c.tended = nil
		return nil
	case c.errand != nil || c.warm != nil || c.agent != nil || c.x.company(c):
		t.lonely = time.Time{}
		return nil
	case t.lonely.IsZero():
		t.lonely = now
	}
	if now.Sub(t.lonely) < alone {
		return nil
	}
	c.tended = nil
	return c.waitIn(t.target, t.room, t.since)
}

// company reports whether anybody else is in the call's room.
func (x *Exchange) company(c *Call) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.othersLocked(c)
}
