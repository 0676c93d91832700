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
func bandsOf(x []float64) (all []bands) {
	var bins [fftLen]complex128
	for at := 0; at+frameLen < len(x); at += hop {
		clear(bins[:])
		for i, w := range window {
			bins[i] = complex(w*x[at+i], 0)
		}
		frames.transform(bins[:])
		var b bands
		for k := range b {
			for _, v := range bins[edges[k]:edges[k+1]] {
				b[k] += real(v)*real(v) + imag(v)*imag(v)
			}
			b[k] = math.Sqrt(b[k])
		}
		all = append(all, b)
	}
	return all
}

// fourier transforms sound of one length, a power of two. It holds the half circle.
type fourier []complex128

func newFourier(n int) fourier {
	f := make(fourier, n/2)
	for i := range f {
		f[i] = cmplx.Rect(1, -2*math.Pi*float64(i)/float64(n))
	}
	return f
}

// frames transforms frames of fftLen.
var frames = newFourier(fftLen)

// transform is the discrete Fourier transform in place: in the order of mirrored
// bits, transforms of 2, 4, 8 … are joined two by two.
func (f fourier) transform(v []complex128) {
	n := len(v)
	for i, j := 1, 0; i < n; i++ {
		bit := n / 2
		for ; j&bit != 0; bit /= 2 {
			j ^= bit
		}
		if j ^= bit; i < j {
			v[i], v[j] = v[j], v[i]
		}
	}
	for half := 1; half < n; half *= 2 {
		for from := 0; from < n; from += 2 * half {
			for i := range half {
				a, b := v[from+i], v[from+half+i]*f[i*(len(f)/half)]
				v[from+i], v[from+half+i] = a+b, a-b
			}
		}
	}
}
