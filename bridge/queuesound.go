package bridge

import (
	"sync/atomic"
	"time"

	"github.com/roomline/roomline/media/prompts"
)

const (
	announces = 30 * time.Second // how often a caller is told where they are in the line
	soonest   = 5 * time.Second  // between two announcements, though the place improves faster
)

// waitingSound is what a caller in a queue hears: the hold sound, and over it now
// and then where they are.
type waitingSound struct {
	hold Voice // nil: silence
	next atomic.Pointer[prompts.Phrase]

	now *prompts.Phrase // the beat's: what is being said
}

// Fill implements [Voice].
func (s *waitingSound) Fill(pcm []int16) {
	if s.now == nil {
		s.now = s.next.Swap(nil)
	}
	switch {
	case s.now != nil:
		if s.now.Fill(pcm); s.now.Over() {
			s.now = nil
		}
	case s.hold != nil:
		s.hold.Fill(pcm)
	default:
		clear(pcm)
	}
}

// hum lets the caller hear the hold sound, unless they hear something else of ours.
func (w *waiter) hum() {
	c := w.c
	if c.sink == nil || c.isParked() || c.hush != nil && w.sound != nil {
		return
	}
	c.quiet()
	w.sound = &waitingSound{hold: c.x.holdVoice()}
	c.sound(w.sound)
}

// announce tells the caller where they are in the line: when they come, when it
// has become better, and every so often.
func (w *waiter) announce(position int, now time.Time) {
	better := position < w.position || w.position == 0
	every := durationOr(w.settings.Announce, announces)
	passed := now.Sub(w.told)
	if position == 0 || passed < soonest || !better && (passed < every || w.settings.Announce == "off") {
		return
	}
	if position != w.position {
		w.o.emit("queue.position", map[string]any{"position": position})
	}
	w.position, w.told = position, now
	if w.sound != nil && w.settings.Announce != "off" {
		w.sound.next.Store(prompts.Position(position))
	}
}
