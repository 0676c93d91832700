package simulate

import (
	"math"
	"time"

	"github.com/roomline/roomline/media"
)

// How sound is told from a quiet line.
const (
	frame        = 10 * time.Millisecond // resolution of all figures
	frameSamples = int(frame * media.NarrowbandHz / time.Second)
	onsetFrames  = 3  // loud frames in a row that begin a span: no click does
	gapFrames    = 20 // quiet frames that end one: no stop consonant does
	aboveFloor   = 12 // dB that sound is louder than the noise
	quietest     = -50.0
	loudest      = -35.0 // dBov, the threshold's bounds, whatever the noise
)

// Span is a stretch of sound.
type Span struct{ From, To time.Duration }

// Length is how long it lasts.
func (s Span) Length() time.Duration { return s.To - s.From }

// detector finds spans in a stream of frames. The threshold follows the noise
// floor, the tenth part of all frames that are quietest.
type detector struct {
	histogram [128]int // frames by level, index -dBov
	frames    int      // pushed
	loud      int      // frames in a row, before a span
	quiet     int      // frames in a row, in a span
	spans     []Span
	open      bool // the last span goes on
}

// learn counts a frame for the noise floor.
func (d *detector) learn(level float64) {
	d.histogram[min(127, max(0, int(-level)))]++
}

func (d *detector) threshold() float64 {
	total := 0
	for level := 100; level >= 0; level-- { // digital silence says nothing about the noise
		total += d.histogram[level]
	}
	seen := 0
	for level := 100; level >= 0; level-- {
		if seen += d.histogram[level]; seen*10 > total {
			return min(loudest, max(quietest, float64(-level)+aboveFloor))
		}
	}
	return quietest
}

// push judges the next frame.
func (d *detector) push(level, threshold float64) {
	at := time.Duration(d.frames) * frame
	d.frames++
	switch isLoud := level >= threshold; {
	case d.open && isLoud:
		d.quiet = 0
		d.spans[len(d.spans)-1].To = at + frame
	case d.open:
		if d.quiet++; d.quiet >= gapFrames {
			d.open, d.quiet, d.loud = false, 0, 0
		}
	case isLoud:
		if d.loud++; d.loud >= onsetFrames {
			d.spans = append(d.spans, Span{at + frame - onsetFrames*frame, at + frame})
			d.open, d.quiet = true, 0
		}
	default:
		d.loud = 0
	}
}

// Spans finds where there is sound in pcm, 8 kHz, to 10 ms: where it is 12 dB
// louder than the noise of the line for 30 ms or more. Silence below 200 ms is
// part of a span.
func Spans(pcm []int16) []Span {
	var d detector
	levels := make([]float64, 0, len(pcm)/frameSamples)
	for at := 0; at+frameSamples <= len(pcm); at += frameSamples {
		level := media.Level(pcm[at : at+frameSamples])
		levels = append(levels, level)
		d.learn(level)
	}
	threshold := d.threshold()
	for _, level := range levels {
		d.push(level, threshold)
	}
	return d.spans
}

// merged joins spans that are less than gap apart.
func merged(spans []Span, gap time.Duration) (out []Span) {
	for _, s := range spans {
		if n := len(out); n > 0 && s.From-out[n-1].To < gap {
			out[n-1].To = s.To
			continue
		}
		out = append(out, s)
	}
	return out
}

// cut is the sound of a span, as far as there is some.
func cut(pcm []int16, s Span) []int16 {
	from, to := samplesIn(s.From), samplesIn(s.To)
	from, to = max(0, min(from, len(pcm))), max(0, min(to, len(pcm)))
	return pcm[from:max(from, to)]
}

func samplesIn(d time.Duration) int {
	return int(math.Round(d.Seconds() * media.NarrowbandHz))
}

func timeOf(samples int) time.Duration {
	return time.Duration(samples) * time.Second / media.NarrowbandHz
}
