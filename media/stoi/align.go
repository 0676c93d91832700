package stoi

import "math"

// pause is the quiet between two phrases, in fractions of a second.
const pause = 4

// Followed is what [Follow] found.
type Followed struct {
	Score
	Delays []int // in samples, by phrase
}

// Follow compares what was heard with what was said, mono PCM of one rate, where
// it comes later and not always by the same time, as after a jitter buffer: each
// phrase is looked for by itself, up to most samples late. What is missing at the
// end was silence. Errors are [Measure]'s.
func Follow(said, heard []int16, rate, most int) (f Followed, err error) {
	var x, y []int16
	padded := make([]int16, max(len(said), len(heard))+most)
	copy(padded, heard)
	for _, p := range phrases(said, rate) {
		d := Align(said[p.from:p.to], padded[p.from:p.to+most], most)
		f.Delays = append(f.Delays, d)
		x, y = append(x, said[p.from:p.to]...), append(y, padded[p.from+d:p.to+d]...)
	}
	f.Score, err = Measure(x, y, rate)
	return f, err
}

// Align finds by how many samples what was heard lies behind what was said, 0 to
// most, by their cross-correlation.
func Align(said, heard []int16, most int) (delay int) {
	n := 2
	for n < len(said)+len(heard) {
		n *= 2
	}
	f := newFourier(n)
	a, b := f.spectrum(said, n), f.spectrum(heard, n)
	for i := range a { // a second transform gives the correlation, mirrored
		a[i] = complex(real(a[i]), -imag(a[i])) * b[i]
	}
	f.transform(a)
	best := 0.0
	for d := range min(most+1, n) {
		if c := real(a[(n-d)%n]); c > best {
			best, delay = c, d
		}
	}
	return delay
}

func (f fourier) spectrum(pcm []int16, n int) []complex128 {
	v := make([]complex128, n)
	for i, s := range pcm {
		v[i] = complex(float64(s), 0)
	}
	f.transform(v)
	return v
}

// phrase is a piece of speech between two pauses, in samples.
type phrase struct{ from, to int }

// phrases cuts speech in its pauses. Quiet is what lies silenceBelow the loudest 10 ms.
func phrases(said []int16, rate int) (pieces []phrase) {
	step := rate / 100
	levels := make([]float64, len(said)/step)
	loudest := 0.0
	for i := range levels {
		for _, v := range said[i*step : (i+1)*step] {
			levels[i] += float64(v) * float64(v)
		}
		loudest = max(loudest, levels[i])
	}
	quiet := loudest * math.Pow(10, -silenceBelow/10)
	around := rate / pause / 2
	for i, l := range levels {
		if l <= quiet {
			continue
		}
		p := phrase{max(0, i*step-around), min(len(said), (i+1)*step+around)}
		if n := len(pieces); n > 0 && p.from <= pieces[n-1].to {
			pieces[n-1].to = p.to
		} else {
			pieces = append(pieces, p)
		}
	}
	return pieces
}
