package transcode

import "math"

// The half-band filter between 8 and 16 kHz. Every second coefficient beside the
// centre is zero, so that an output sample costs halfPairs multiplications:
// flat within 0.1 dB up to 3.4 kHz, more than 60 dB down from 4.6 kHz on, and
// symmetric, which holds the sound back by 1.7 ms.
const (
	halfPairs  = 14
	halfBits   = 16              // coefficients are in units of 1/65536
	halfCentre = 2*halfPairs - 1 // samples at 16 kHz from its edge to its centre
	halfBlock  = 320             // samples at 16 kHz filtered at a time
)

// halfBand holds the coefficients beside the centre, the inner ones first, for a
// gain of one at 16 kHz; the centre's is a half.
var halfBand = makeHalfBand()

// makeHalfBand cuts the ideal filter by a Kaiser window.
func makeHalfBand() (h [halfPairs]int) {
	const beta = 6.2
	var exact [halfPairs]float64
	sum := 0.0
	for i := range exact {
		n := float64(2*i + 1)
		edge := n / (halfCentre + 1)
		exact[i] = math.Sin(math.Pi*n/2) / (math.Pi * n) * bessel(beta*math.Sqrt(1-edge*edge)) / bessel(beta)
		sum += 2 * exact[i]
	}
	for i := range h { // at 0 Hz the gain is one exactly
		h[i] = int(math.Round(exact[i] * 0.5 / sum * (1 << halfBits)))
	}
	return h
}

// bessel is the modified Bessel function of the first kind, order 0.
func bessel(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > sum*1e-12; k++ {
		term *= x * x / (4 * k * k)
		sum += term
	}
	return sum
}

// Downsampler makes 8 kHz out of 16 kHz. The zero value is ready; it is used by
// one goroutine at a time and allocates nothing.
type Downsampler struct {
	// past and present: the samples that the filter still reaches, then a block.
	window [2*halfCentre + halfBlock]int16
}

// Reset forgets what came before.
func (d *Downsampler) Reset() { *d = Downsampler{} }

// Process writes len(in)/2 samples to the start of out and returns their number.
// len(in) is even and out long enough.
func (d *Downsampler) Process(in, out []int16) int {
	const past = 2 * halfCentre
	done := 0
	for len(in) > 0 {
		n := copy(d.window[past:], in)
		for i := 0; i < n; i += 2 {
			w := d.window[i : i+past+1 : i+past+1]
			sum := int(w[halfCentre]) << (halfBits - 1)
			for j, c := range halfBand {
				sum += c * (int(w[halfCentre-2*j-1]) + int(w[halfCentre+2*j+1]))
			}
			out[done] = rounded(sum)
			done++
		}
		copy(d.window[:past], d.window[n:n+past])
		in = in[n:]
	}
	return done
}

// Upsampler makes 16 kHz out of 8 kHz. The zero value is ready; it is used by
// one goroutine at a time and allocates nothing.
type Upsampler struct {
	window [2*halfPairs - 1 + halfBlock/2]int16 // at 8 kHz; as Downsampler's
}

// Reset forgets what came before.
func (u *Upsampler) Reset() { *u = Upsampler{} }

// Process writes 2*len(in) samples to the start of out, which is long enough,
// and returns their number.
func (u *Upsampler) Process(in, out []int16) int {
	const past = 2*halfPairs - 1
	done := 0
	for len(in) > 0 {
		n := copy(u.window[past:], in)
		for i := range n {
			w := u.window[i : i+past+1 : i+past+1]
			sum := 0
			for j, c := range halfBand {
				sum += c * (int(w[halfPairs-1-j]) + int(w[halfPairs+j]))
			}
			out[done], out[done+1] = rounded(2*sum), w[halfPairs]
			done += 2
		}
		copy(u.window[:past], u.window[n:n+past])
		in = in[n:]
	}
	return done
}

func rounded(sum int) int16 {
	return int16(sat16((sum + 1<<(halfBits-1)) >> halfBits))
}
