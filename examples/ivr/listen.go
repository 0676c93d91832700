package main

import (
	"math"

	"github.com/roomline/roomline/media"
	"github.com/zaf/g711"
)

// Times of a listener, in frames of 20 ms.
const (
	beginsAfter = 4  // frames of sound make the beginning of speech
	endsAfter   = 30 // quiet frames make its end
	keepBefore  = 10 // frames from before its beginning belong to it
	longestTurn = 500
	shortest    = 12 // shorter is a click or a cough
)

// listener finds utterances in what the caller sends.
type listener struct {
	rest    []int16   // of a frame that is not whole
	before  [][]int16 // the last frames before speech
	speech  []int16
	talking bool
	loud    int // frames on end
	quiet   int
	floorDB float64 // level of the line's noise
}

func newListener() *listener { return &listener{floorDB: -65} }

// hear takes µ-law sound. began is true once per utterance, said is the whole of
// it when it has ended.
func (l *listener) hear(sound []byte) (began bool, said []int16) {
	for _, b := range sound {
		l.rest = append(l.rest, g711.DecodeUlawFrame(b))
	}
	for len(l.rest) >= media.FrameSamples {
		frame := append([]int16(nil), l.rest[:media.FrameSamples]...)
		l.rest = l.rest[media.FrameSamples:]
		b, s := l.frame(frame)
		began = began || b
		if s != nil {
			said = s
		}
	}
	return began, said
}

func (l *listener) frame(pcm []int16) (began bool, said []int16) {
	level := math.Max(media.Level(pcm), -80)
	loud := level > math.Max(l.floorDB+15, -42)
	if !loud {
		l.floorDB += (level - l.floorDB) / 25
	}
	switch {
	case !l.talking:
		return l.await(pcm, loud), nil
	case loud:
		l.quiet = 0
	default:
		l.quiet++
	}
	l.speech = append(l.speech, pcm...)
	if frames := len(l.speech) / media.FrameSamples; l.quiet < endsAfter && frames < longestTurn {
		return false, nil
	}
	said = l.speech[:len(l.speech)-(l.quiet-min(l.quiet, 5))*media.FrameSamples]
	l.talking, l.speech, l.quiet, l.loud = false, nil, 0, 0
	if len(said) < shortest*media.FrameSamples {
		said = nil
	}
	return false, said
}

// await waits for the beginning of speech.
func (l *listener) await(pcm []int16, loud bool) (began bool) {
	if l.before = append(l.before, pcm); len(l.before) > keepBefore+beginsAfter {
		l.before = l.before[1:]
	}
	if l.loud++; !loud {
		l.loud = 0
	}
	if l.loud < beginsAfter {
		return false
	}
	for _, f := range l.before {
		l.speech = append(l.speech, f...)
	}
	l.talking, l.before = true, nil
	return true
}
