package bridge

import "github.com/roomline/roomline/media"

// ear listens for keys in a source's sound. It is guarded by the source's mutex;
// a nil one hears nothing.
type ear struct {
	detector media.KeyDetector
	told     func(key rune)
}

// HearKeys has told called with every key that begins in the source's sound, in
// the goroutine of its packets, where told must not wait; nil ends it.
func (s *Source) HearKeys(told func(key rune)) {
	s.owner.x.change(func(*change) {
		s.mu.Lock()
		switch {
		case told == nil:
			s.ear = nil
		case s.ear == nil:
			s.ear = &ear{told: told}
		default:
			s.ear.told = told
		}
		s.mu.Unlock()
		s.owner.room.rewireLocked()
	})
}

func (e *ear) hear(pcm []int16) {
	if key, ok := e.detector.Hear(pcm); ok {
		e.told(key)
	}
}
