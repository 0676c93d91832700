package bridge

import (
	"slices"
	"time"

	"github.com/roomline/roomline/media"
)

// tap is somebody who hears a source's sound. It is guarded by the source's mutex.
type tap struct {
	hear  func(pcm []int16, at time.Duration)
	from  int64 // where its first sound began, in ticks
	begun bool
}

// Tap has hear called with the source's sound, decoded at 8 kHz, packet by packet in
// their order, until stop: for machines that listen, as for a voice or a beep. at is
// where the sound begins after the first one that was heard, by the source's clock:
// what is lost, or not sent in a pause, is left out. The samples are good until hear
// returns, which must neither wait, nor change them, nor call anything of this
// package: it runs on the goroutine of the packet. stop may be called again.
// Nothing is decoded for nobody.
func (s *Source) Tap(hear func(pcm []int16, at time.Duration)) (stop func()) {
	t := &tap{hear: hear}
	s.owner.x.change(func(*change) { s.tapLocked(t) })
	return func() { s.owner.x.change(func(*change) { s.untapLocked(t) }) }
}

// tapLocked adds a tap. Exchange.mu is held.
func (s *Source) tapLocked(t *tap) {
	s.mu.Lock()
	s.taps = append(slices.Clone(s.taps), t)
	s.mu.Unlock()
	s.owner.room.rewireLocked()
}

func (s *Source) untapLocked(t *tap) {
	s.mu.Lock()
	s.taps = slices.DeleteFunc(slices.Clone(s.taps), func(other *tap) bool { return other == t })
	s.mu.Unlock()
	s.owner.room.rewireLocked()
}

// listenedLocked reports whether a machine listens to the source. Exchange.mu is held.
func (s *Source) listenedLocked() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ear != nil || len(s.taps) > 0
}

// listen lets machines hear a sound: those that look for keys, and the taps.
func (s *Source) listen(d *sound) {
	if s.ear == nil && len(s.taps) == 0 {
		return
	}
	pcm := s.convert.at(d, media.NarrowbandHz)
	if s.ear != nil {
		if d.lost > 0 {
			s.ear.detector.Gap()
		}
		s.ear.hear(pcm)
	}
	for _, t := range s.taps {
		if !t.begun {
			t.from, t.begun = d.at, true
		}
		t.hear(pcm, lasting(int(d.at-t.from)))
	}
}
