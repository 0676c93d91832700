package bridge

import (
	"time"

	"github.com/roomline/roomline/media"
)

const (
	// leastCushion is how long sound waits at least before it is begun with: it comes
	// in its own time, and what comes next must not miss its beat by a hair.
	leastCushion = 8 * time.Millisecond
	mostCushion  = 120 * time.Millisecond
	// cushionPause is how late sound must be, or how long ago, for a pause of who
	// speaks rather than jitter.
	cushionPause = 200 * time.Millisecond
	// ample is how much more than the cushion comes from who is faster than time.
	ample = 60 * media.NarrowbandHz / 1000
)

// cushion decides how long the beginning of a turn waits, so that a voice that is
// sent as it sounds, over a network with jitter, has no gaps. It is as long as the
// jitter was in the turns before; who sends faster than it sounds does not wait.
type cushion struct {
	begun time.Time     // when the turn's first sound came
	said  int64         // samples of the turn so far
	late  time.Duration // by how much the latest sound of the turn has been, after its first
	early time.Duration // the same of the earliest, 0 or less
	hold  time.Duration // how long the next turn waits
	since time.Time     // when what waits began to wait
	last  time.Time     // when the last sound came
}

// comes takes note of so many samples that came at now. nothing says that none
// waited, rests that none has been played for a while either: a turn begins.
func (c *cushion) comes(now time.Time, samples int, nothing, rests bool) {
	late := now.Sub(c.begun) - time.Duration(c.said)*time.Second/media.NarrowbandHz
	switch {
	case late >= cushionPause:
		c.begun, c.said = now, 0
	case c.said > 0:
		c.late, c.early = max(c.late, late), min(c.early, late)
	}
	if nothing && rests {
		c.hold = min(mostCushion, max(c.jitter(), c.hold*7/8))
		c.begun, c.said, c.late, c.early = now, 0, 0, 0
	}
	if nothing {
		c.since = now
	}
	c.said += int64(samples)
	c.last = now
}

// jitter is how much the sound of the turn came before and after its time.
func (c *cushion) jitter() time.Duration {
	if c.early < -mostCushion { // it is sent faster than it sounds
		return c.late
	}
	return c.late - c.early
}

// ready reports whether what waits may be begun with at now: so many samples,
// after a rest or after a gap.
func (c *cushion) ready(now time.Time, waiting int, rests bool) bool {
	hold := leastCushion
	if rests {
		hold += c.hold
	}
	return now.Sub(c.since) >= hold || waiting >= int(hold*media.NarrowbandHz/time.Second)+ample
}
