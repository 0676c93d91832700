package amd

import (
	"math"
	"time"
)

// The measures of tones.
const (
	pureTone   = 0.88 // share of the power
	pureTwain  = 0.9  // of two tones at once
	sameHz     = 18.0 // between two frames of one tone
	sameDB     = 3.0
	beepLow    = 380.0
	beepHigh   = 2200.0
	beepLeast  = 6   // frames
	beepMost   = 100 // frames: what is longer is no beep
	ringLeast  = 45  // frames from which on 425 Hz is ringing, not a beep
	faxLeast   = 15  // frames
	toneGap    = 3   // frames for which a tone must be over
	toneIsTone = 5   // frames from which on a tone is not taken for voice
)

// tones follows steady tones.
type tones struct {
	hz, db float64
	run    int // frames of the tone so far
	gap    int // frames since
	twain  int // frames that were two tones at once
	beeped time.Duration
	fax    bool
	ended  time.Duration // of the tone
}

// hear takes the next frame, which ends at now, and reports for how many frames there
// has been a tone: 0 is none.
func (t *tones) hear(m measure, now time.Duration) int {
	switch {
	case m.pure >= pureTone && t.goesOn(m):
		t.run, t.gap, t.ended = t.run+1, 0, now
		t.hz += (m.hz - t.hz) / 4
	case m.pure >= pureTone:
		t.over()
		t.hz, t.db, t.run, t.gap, t.ended = m.hz, m.db, 1, 0, now
	case t.run > 0:
		if t.gap++; t.gap >= toneGap {
			t.over()
		}
	}
	if m.twain >= pureTwain && m.hz > beepLow && m.hz < 700 {
		t.twain++
	} else {
		t.twain = 0
	}
	if t.run >= faxLeast && (near(t.hz, 1100, 30) || near(t.hz, 2100, 20)) {
		t.fax = true
	}
	if t.gap > 0 {
		return t.twain
	}
	return max(t.run, t.twain)
}

func (t *tones) goesOn(m measure) bool {
	return t.run > 0 && t.gap == 0 && m.even && near(m.hz, t.hz, sameHz) && (near(m.db, t.db, sameDB) || t.run < 2 && t.louder(m))
}

// louder lets a tone begin within a frame.
func (t *tones) louder(m measure) bool {
	if m.db <= t.db {
		return false
	}
	t.db = m.db
	return true
}

// over looks at a tone that has ended.
func (t *tones) over() {
	ring := near(t.hz, 425, 8) && t.run >= ringLeast
	if t.run >= beepLeast && t.run <= beepMost && t.hz >= beepLow && t.hz <= beepHigh && !ring && !t.fax {
		t.beeped = t.ended
	}
	t.run, t.gap = 0, 0
}

func near(a, b, by float64) bool { return math.Abs(a-b) <= by }
