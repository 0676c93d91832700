package bridge

import (
	"time"

	"github.com/roomline/roomline/media"
)

const (
	slackWindow = 2 * time.Second
	slackSpare  = 4 * time.Millisecond // that sound comes before its beat, where a frame of delay is given up
	slackPace   = media.NarrowbandHz / 8
)

// slack finds out whether a voice that is sent as it sounds is heard later than it
// need be, as after a stall: if for two seconds more has waited than its jitter
// demands, so many quiet frames are left out. Who sends faster than it sounds waits on purpose.
type slack struct {
	since  time.Time
	said   int64         // written by then
	least  int           // samples that were left on any beat since
	age    time.Duration // and how old the newest sound was, at least
	excess int           // frames that may go
}

// beat takes note of how much is left after a beat's packet, of all that was written
// so far, and when the last of it came.
func (s *slack) beat(now time.Time, left int, written int64, last time.Time) {
	if s.since.IsZero() {
		s.since, s.said, s.least, s.age = now, written, left, now.Sub(last)
	}
	s.least, s.age = min(s.least, left), min(s.age, now.Sub(last))
	passed := now.Sub(s.since)
	if passed < slackWindow {
		return
	}
	pace := written - s.said - int64(passed*media.NarrowbandHz/time.Second)
	s.since, s.excess = time.Time{}, 0
	if max(pace, -pace) >= slackPace { // not as it sounds
		return
	}
	if s.excess = s.least / media.FrameSamples; s.age < slackSpare {
		s.excess = max(0, s.excess-1)
	}
}

// over says that the sound has come to an end.
func (s *slack) over() { *s = slack{} }

// leaveOut drops the next frame where it is quiet and more waits than need be.
// v.mu is held.
func (v *Speaker) leaveOut() {
	if v.slack.excess == 0 || v.waiting.n < 2*media.FrameSamples || !v.waiting.quiet(media.FrameSamples, v.spec.Codec) {
		return
	}
	var frame [media.FrameSamples]byte
	v.waiting.pull(frame[:])
	v.played += media.FrameSamples
	v.slack.excess--
	v.slack.since = time.Time{}
}

// quiet reports whether the first n bytes, in G.711, are as good as silent. Both laws
// put magnitudes in their lower bits: µ-law inverted, A-law with every other bit.
func (b *backlog) quiet(n int, codec media.Codec) bool {
	for i := range n {
		at := b.head + i
		code := b.blocks[at/blockLength][at%blockLength]
		if codec == media.PCMU && ^code&0x7F > quietMuLaw || codec == media.PCMA && (code^0x55)&0x7F > quietALaw {
			return false
		}
	}
	return true
}

// The codes up to which sound is quiet: about -44 dBov.
const quietMuLaw, quietALaw = 0x17, 0x0D
