package bridge

import (
	"time"

	"github.com/roomline/roomline/media"
)

// beatSound is a source's 20 ms for the mixed road. It is the beat's alone.
type beatSound struct {
	next    uint64 // the beat after the one that frame is of
	frame   [2 * media.FrameSamples]int16
	sound   sound
	convert converter
}

// beatFrame returns the source's next 20 ms for the mixed road at a rate, the
// same for every sink within one beat.
func (s *Source) beatFrame(now time.Time, beat uint64, rateHz int) []int16 {
	b := s.beat.get()
	if b.next != beat+1 {
		b.next = beat + 1
		s.mu.Lock()
		frame := b.frame[:media.FrameSamples*s.playout.times]
		s.playout.start()
		s.playout.take(frame, now)
		b.sound = sound{pcm: frame, rateHz: media.NarrowbandHz * s.playout.times, at: int64(beat) * media.FrameSamples}
		s.mu.Unlock()
	}
	return b.convert.at(&b.sound, rateHz)
}

// skippable reports whether nothing much is lost with what the jitter buffer holds.
func (s *Source) skippable() bool {
	if s == nil {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &s.playout
	return p.depth() <= media.FrameSamples*p.times || p.silent(p.read, p.depth()) == p.depth()/p.times
}

// peek returns the next 5 ms of the jitter buffer, or its continuation.
func (s *Source) peek() (t tail) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.times = s.playout.times
	s.playout.peek(t.pcm[:joinSamples*t.times])
	return t
}
