package bridge

import "github.com/roomline/roomline/media"

// beatSound is a source's 20 ms for the mixed road. It is the beat's alone.
type beatSound struct {
	number  uint64
	frame   [2 * media.FrameSamples]int16
	sound   sound
	convert converter
}

// beatFrame returns the source's next 20 ms for the mixed road at a rate, the
// same for every sink within one beat.
func (s *Source) beatFrame(beat uint64, rateHz int) []int16 {
	b := &s.beat
	if b.number != beat {
		b.number = beat
		s.mu.Lock()
		frame := b.frame[:media.FrameSamples*s.playout.times]
		s.playout.start()
		s.playout.take(frame)
		b.sound = sound{pcm: frame, rateHz: media.NarrowbandHz * s.playout.times, at: int64(beat) * media.FrameSamples}
		s.mu.Unlock()
	}
	return b.convert.at(&b.sound, rateHz)
}

// drain makes the jitter buffer as shallow as it can be, before the road goes
// back to direct and what it holds would be skipped.
func (s *Source) drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if spare := 2 * joinSamples * s.playout.times; s.playout.open && s.playout.depth() > spare {
		s.playout.cut(s.playout.depth() - spare)
	}
}

// peek returns the next 5 ms of the jitter buffer, or its continuation.
func (s *Source) peek() (t tail) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.times = s.playout.times
	s.playout.peek(t.pcm[:joinSamples*t.times])
	return t
}
