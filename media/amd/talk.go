package amd

import (
	"time"
)

// The measures of voice; levels in dBov, steps in dB per frame.
const (
	quietest    = -50.0
	overNoise   = 8.0
	noiseCeil   = -38.0
	noiseFalls  = 0.4 // of the way
	noiseRises  = 0.06
	noiseCreeps = 0.01
	leastVoice  = 100 * time.Millisecond  // less is a click
	pauseOfTalk = 250 * time.Millisecond  // less is within words
	breath      = 330 * time.Millisecond  // a pause between sentences,
	longBreath  = 500 * time.Millisecond  // a longer one
	longTalk    = 1240 * time.Millisecond // of who has spoken for so long
	clickMost   = 2                       // frames
)

// talk follows the voice of who has answered.
type talk struct {
	noise  float64       // of the line; 0: not known yet
	voiced time.Duration // of voice, short pauses included
	pause  time.Duration // since it was last heard
	run    int           // frames that were loud in a row
	tonal  int           // frames counted as voice that may be a tone's
}

// hear takes the next frame; tone says for how many frames there has been a tone.
func (t *talk) hear(m measure, tone int) {
	loud := t.learn(m.db)
	switch {
	case tone >= toneIsTone:
		t.voiced -= min(t.voiced, time.Duration(t.tonal)*frameTime)
		t.run, t.tonal = 0, 0
		t.pause += frameTime
	case loud:
		t.loud(tone > 0)
	default:
		t.run, t.tonal = 0, 0
		t.pause += frameTime
	}
}

// goesOn reports whether it sounds like somebody who has spoken for so long and has
// not come to an end: the longer they have, the longer they may have paused.
func (t *talk) goesOn(least time.Duration) bool {
	return t.pause < breath && t.voiced >= least || t.pause < longBreath && t.voiced >= longTalk
}

func (t *talk) loud(tonal bool) {
	if t.run++; t.run > clickMost {
		if t.run == clickMost+1 {
			t.voiced += clickMost * frameTime
			if t.voiced > clickMost*frameTime && t.pause < pauseOfTalk {
				t.voiced += max(0, t.pause-clickMost*frameTime)
			}
		}
		t.voiced += frameTime
		t.pause = 0
	} else {
		t.pause += frameTime
	}
	if t.tonal++; !tonal {
		t.tonal = 0
	}
}

// learn takes a frame's level, and reports whether it is louder than the line.
func (t *talk) learn(db float64) bool {
	switch {
	case db < hardware:
		return false
	case t.noise == 0:
		t.noise = db
	case db < t.noise:
		t.noise += (db - t.noise) * noiseFalls
	case t.run > 0:
		t.noise += min(noiseCreeps, db-t.noise)
	default:
		t.noise += min(noiseRises, db-t.noise)
	}
	t.noise = min(t.noise, noiseCeil)
	return db > max(t.noise+overNoise, quietest)
}
