package stoi

import (
	"math"
	"math/cmplx"
)

const (
	fftLen     = 512
	bandCount  = 15
	lowestBand = 150.0 // Hz, its centre
)

// bands is the spectrum of a frame: the magnitude in each third of an octave.
type bands [bandCount]float64

// window is a Hann window without its zeros.
var window = makeWindow()

func makeWindow() (w [frameLen]float64) {
	for i := range w {
		w[i] = 0.5 - 0.5*math.Cos(2*math.Pi*float64(i+1)/(frameLen+1))
	}
	return w
}

// edges are the first bins of the bands, and the bin after the last.
var edges = makeEdges()

// Each band takes the whole bins between its edges; where one ends the next begins.
func makeEdges() (e [bandCount + 1]int) {
	for k := range e {
		hz := lowestBand * math.Pow(2, float64(2*k-1)/6)
		e[k] = int(math.Round(hz * fftLen / rateHz))
	}
	return e
}

// bandsOf is the spectrum of every frame of a sound.
func bandsOf(x []float64) (frames []bands) {
	var bins [fftLen]complex128
	for at := 0; at+frameLen < len(x); at += hop {
		clear(bins[:])
		for i, w := range window {
			bins[i] = complex(w*x[at+i], 0)
		}
		transform(bins[:])
		var b bands
		for k := range b {
			for _, v := range bins[edges[k]:edges[k+1]] {
				b[k] += real(v)*real(v) + imag(v)*imag(v)
			}
			b[k] = math.Sqrt(b[k])
		}
		frames = append(frames, b)
	}
	return frames
}

// transform is the discrete Fourier transform in place; the length is a power of
// two. Each half is transformed by itself, the even and the odd places first.
func transform(v []complex128) {
	n := len(v)
	if n == 1 {
		return
	}
	half := n / 2
	halves := make([]complex128, n)
	for i := range half {
		halves[i], halves[half+i] = v[2*i], v[2*i+1]
	}
	transform(halves[:half])
	transform(halves[half:])
	for i := range half {
		turned := halves[half+i] * cmplx.Rect(1, -2*math.Pi*float64(i)/float64(n))
		v[i], v[half+i] = halves[i]+turned, halves[i]-turned
	}
}
