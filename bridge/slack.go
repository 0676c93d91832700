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
// demands, a quiet frame is left out. Who sends faster than it sounds waits on purpose.
type slack struct {
	since  time.Time
	said   int64         // written by then
	least  int           // samples that were left on any beat since
	age    time.Duration // and how old the newest sound was, at least
	excess bool          // a frame may go
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
	asItSounds := max(pace, -pace) < slackPace
	s.excess = asItSounds && (s.least >= 2*media.FrameSamples || s.least >= media.FrameSamples && s.age >= slackSpare)
	s.since = time.Time{}
}

// over says that the sound has come to an end, or a frame was left out.
func (s *slack) over() { *s = slack{} }

// leaveOut drops the next frame where it is quiet and there is more than need be.
// v.mu is held.
func (v *Speaker) leaveOut() {
	if !v.slack.excess || v.waiting.n < 2*media.FrameSamples || !v.waiting.quiet(media.FrameSamples, v.spec.Codec) {
		return
	}
	var frame [media.FrameSamples]byte
	v.waiting.pull(frame[:])
	v.played += media.FrameSamples
	v.slack.over()
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
