// Package stoi tells how much of speech can still be understood after a road
// that loses, delays and bends it, by comparing it with what was said: the
// short-time objective intelligibility of Taal, Hendriks, Heusdens and Jensen,
// "An Algorithm for Intelligibility Prediction of Time-Frequency Weighted Noisy
// Speech" (2011), and its extension by Jensen and Taal, "An Algorithm for
// Predicting the Intelligibility of Speech Masked by Modulated Noise Maskers" (2016).
//
// It computes, for tests and measurements; it is not fast, knows no codec and
// starts no goroutine.
package stoi

import (
	"errors"
	"fmt"
	"math"
)

// The measures of section II of the 2011 paper.
const (
	rateHz       = 10000
	frameLen     = 256 // samples
	hop          = frameLen / 2
	segment      = 30   // frames, 384 ms
	silenceBelow = 40.0 // dB under the loudest frame nobody speaks
	clipAt       = 15.0 // dB: the lower bound of the signal-to-distortion ratio is -15
)

// Score is the intelligibility of speech, 0 for none to 1 for all of it.
type Score struct {
	STOI  float64 // the measure of 2011
	ESTOI float64 // that of 2016, stricter: it also sees what all bands have in common
}

// Errors that callers tell apart with errors.Is.
var (
	ErrLength = errors.New("sounds of different length")
	ErrShort  = errors.New("too little speech")
)

// Measure compares what was heard with what was said, mono PCM of the same length
// and rate in Hz, aligned to a few milliseconds (see [Align]). Pauses in what was
// said do not count. The error wraps ErrLength, or ErrShort where less than
// 0.4 s of speech is left.
func Measure(said, heard []int16, rate int) (Score, error) {
	if len(said) != len(heard) {
		return Score{}, fmt.Errorf("%w: %d and %d samples", ErrLength, len(said), len(heard))
	}
	x, y := spoken(resample(said, rate), resample(heard, rate))
	a, b := bandsOf(x), bandsOf(y)
	if len(a) < segment {
		return Score{}, fmt.Errorf("%w: %d ms", ErrShort, len(x)*1000/rateHz)
	}
	var sum Score
	segments := len(a) - segment + 1
	for m := range segments {
		sum.STOI += shortTime(a[m:m+segment], b[m:m+segment])
		sum.ESTOI += extended(a[m:m+segment], b[m:m+segment])
	}
	return Score{sum.STOI / float64(segments), sum.ESTOI / float64(segments)}, nil
}

// spoken leaves out the frames in which nobody speaks in x, from both.
func spoken(x, y []float64) (xs, ys []float64) {
	var starts []int
	var levels []float64
	loudest := math.Inf(-1)
	for at := 0; at+frameLen < len(x); at += hop {
		energy := 0.0
		for i, w := range window {
			energy += w * x[at+i] * w * x[at+i]
		}
		level := 10 * math.Log10(energy+1e-20)
		starts, levels, loudest = append(starts, at), append(levels, level), max(loudest, level)
	}
	for i, at := range starts {
		if levels[i] > loudest-silenceBelow {
			xs, ys = overlapped(xs, x[at:at+frameLen]), overlapped(ys, y[at:at+frameLen])
		}
	}
	return xs, ys
}

// overlapped adds a windowed frame to the end of sound, over half of the frame before.
func overlapped(sound, frame []float64) []float64 {
	at := max(0, len(sound)-hop)
	sound = append(sound, make([]float64, at+frameLen-len(sound))...)
	for i, w := range window {
		sound[at+i] += w * frame[i]
	}
	return sound
}

// shortTime is the mean correlation over the bands of one segment, equations 3 to 6 of 2011.
func shortTime(x, y []bands) (d float64) {
	clip := 1 + math.Pow(10, clipAt/20)
	var a, b [segment]float64
	for j := range len(x[0]) {
		var ex, ey float64
		for m := range segment {
			a[m], b[m] = x[m][j], y[m][j]
			ex, ey = ex+a[m]*a[m], ey+b[m]*b[m]
		}
		scale := math.Sqrt(ex) / (math.Sqrt(ey) + tiny)
		for m := range b {
			b[m] = min(b[m]*scale, a[m]*clip)
		}
		normalise(a[:])
		normalise(b[:])
		d += dot(a[:], b[:])
	}
	return d / float64(len(x[0]))
}

// extended is the mean correlation of the spectra of one segment, of which first
// each band and then each spectrum has been normalised, section II of 2016.
func extended(x, y []bands) (d float64) {
	a, b := whitened(x), whitened(y)
	for m := range segment {
		d += dot(a[m][:], b[m][:])
	}
	return d / segment
}

// whitened normalises the bands over time, then every spectrum over the bands.
func whitened(x []bands) (out [segment]bands) {
	var row [segment]float64
	for j := range len(x[0]) {
		for m := range row {
			row[m] = x[m][j]
		}
		normalise(row[:])
		for m := range row {
			out[m][j] = row[m]
		}
	}
	for m := range out {
		normalise(out[m][:])
	}
	return out
}

// tiny keeps a division by nothing from being one.
const tiny = 1e-15

// normalise makes the mean of v 0 and its length 1; what does not vary becomes 0.
func normalise(v []float64) {
	mean := 0.0
	for _, s := range v {
		mean += s
	}
	mean /= float64(len(v))
	for i := range v {
		v[i] -= mean
	}
	length := math.Sqrt(dot(v, v)) + tiny
	for i := range v {
		v[i] /= length
	}
}

func dot(a, b []float64) (sum float64) {
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}
