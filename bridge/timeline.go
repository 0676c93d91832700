package bridge

import (
	"time"

	"github.com/roomline/roomline/media"
)

// clockJump is how far a source's timestamps may run ahead of the clock, in
// ticks, before the source is taken to have begun a new timeline. What a stall
// held back runs ahead by less.
const clockJump = 500 * media.NarrowbandHz / 1000

// timeline turns 32-bit timestamps into positions in ticks that do not wrap and
// go on over whatever the sender does with its timestamps: with another clock
// they go on where the last packet ended, after a jump that no time explains
// they go on by the time that went by.
type timeline struct {
	rateHz int64
	last   int64
	shift  int64 // position minus the clock's ticks
	end    int64 // of the last packet
	at     time.Time
	begun  bool
}

// place is the position of a packet that came at now and lasts so many ticks.
func (t *timeline) place(ts uint32, rateHz, ticks int, now time.Time) int64 {
	rate := int64(rateHz)
	switch {
	case !t.begun:
		t.last = int64(ts)
	case t.rateHz != rate:
		t.last = int64(ts)
		t.shift = t.end - t.last*media.NarrowbandHz/rate
	default:
		t.last += int64(int32(ts - uint32(t.last)))
	}
	at := t.last*media.NarrowbandHz/rate + t.shift
	if t.begun {
		at = t.plausible(at, ticks, now)
	}
	t.rateHz, t.begun, t.at = rate, true, now
	t.end = at + int64(ticks)
	return at
}

// plausible is at, unless the timeline has jumped there: back, or further ahead
// than time went by.
func (t *timeline) plausible(at int64, ticks int, now time.Time) int64 {
	passed := int64(now.Sub(t.at)) * media.NarrowbandHz / int64(time.Second)
	if at > t.end-int64(max(ticks, media.FrameSamples)) && at-t.end < passed+clockJump {
		return at
	}
	next := t.end
	if ahead := passed - int64(ticks); ahead > clockJump { // a pause; else nothing is missing
		next += ahead
	}
	t.shift += next - at
	return next
}

// move shifts all later positions by so many ticks.
func (t *timeline) move(ticks int) {
	t.shift += int64(ticks)
	t.end += int64(ticks)
}
