package bridge

import "github.com/roomline/roomline/media"

// timeline turns 32-bit timestamps into positions in ticks that do not wrap. A
// codec with another clock goes on where the last packet ended.
type timeline struct {
	rateHz int64
	last   int64
	shift  int64 // position minus the clock's ticks
	end    int64 // of the last packet
	begun  bool
}

// place is the position of a packet that lasts so many ticks.
func (t *timeline) place(ts uint32, rateHz, ticks int) int64 {
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
	t.rateHz, t.begun = rate, true
	at := t.last*media.NarrowbandHz/rate + t.shift
	t.end = at + int64(ticks)
	return at
}
