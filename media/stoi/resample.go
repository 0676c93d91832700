package stoi

import "math"

// The filter of resample: how many zero crossings it has on each side, and the
// shape of its Kaiser window (60 dB).
const (
	crossings = 36
	kaiser    = 5.65
)

// resample brings sound to rateHz.
func resample(pcm []int16, rate int) []float64 {
	x := make([]float64, len(pcm))
	for i, v := range pcm {
		x[i] = float64(v)
	}
	if rate == rateHz {
		return x
	}
	cutoff := min(1, rateHz/float64(rate)) // of half the old rate
	reach := crossings / cutoff
	phases := rateHz / gcd(rate, rateHz)
	filters := make([][]float64, phases)
	y := make([]float64, len(x)*rateHz/rate)
	for i := range y {
		at := i * rate / rateHz
		if filters[i%phases] == nil {
			filters[i%phases] = taps(float64(i*rate%rateHz)/rateHz, cutoff, reach)
		}
		first := at - int(reach)
		for k, h := range filters[i%phases] {
			if j := first + k; j >= 0 && j < len(x) {
				y[i] += h * x[j]
			}
		}
	}
	return y
}

// taps weigh the samples from reach before the one at hand to reach after it, for
// a place that lies a fraction of a sample behind it.
func taps(fraction, cutoff, reach float64) []float64 {
	h := make([]float64, 2*int(reach)+2)
	sum := 0.0
	for k := range h {
		t := float64(k-int(reach)) - fraction
		shape := 1 - (t/(reach+1))*(t/(reach+1))
		if shape < 0 {
			continue
		}
		h[k] = cutoff * sinc(cutoff*t) * bessel(kaiser*math.Sqrt(shape)) / bessel(kaiser)
		sum += h[k]
	}
	for k := range h {
		h[k] /= sum
	}
	return h
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	return math.Sin(math.Pi*x) / (math.Pi * x)
}

// bessel is the modified Bessel function of the first kind and order 0, by its series.
func bessel(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > sum*1e-12; k++ {
		term *= x * x / 4 / (k * k)
		sum += term
	}
	return sum
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
