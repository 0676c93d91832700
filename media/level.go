package media

import "math"

// Silence is the Level of digital silence, in dBov.
const Silence = -127.0

const fullScale = 32768.0

// Level returns the RMS of pcm in dBov: 0 for a full-scale square wave,
// -3.01 for a full-scale sine, Silence for zeros and for an empty slice.
func Level(pcm []int16) float64 {
	if len(pcm) == 0 {
		return Silence
	}
	var sum int64
	for _, s := range pcm {
		sum += int64(s) * int64(s)
	}
	return decibels(math.Sqrt(float64(sum)/float64(len(pcm))) / fullScale)
}

// ToneLevel returns the level in dBov of the sine of freqHz in pcm: a Goertzel
// filter over a Hann window, whose side lobes stay clear of a neighbour more
// than four bins (4 * rateHz / len(pcm)) away.
func ToneLevel(pcm []int16, rateHz int, freqHz float64) float64 {
	if len(pcm) < 2 || rateHz <= 0 {
		return Silence
	}
	coeff := 2 * math.Cos(2*math.Pi*freqHz/float64(rateHz))
	var s1, s2, weights float64
	for i, s := range pcm {
		w := 0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/float64(len(pcm)))
		weights += w
		s1, s2 = w*float64(s)+coeff*s1-s2, s1
	}
	power := max(0, s1*s1+s2*s2-coeff*s1*s2)
	amplitude := 2 * math.Sqrt(power) / weights
	return decibels(amplitude / math.Sqrt2 / fullScale)
}

// Onset returns the index of the first sample at which the sound is louder than
// thresholdDB (dBov) and goes on for 5 ms, so that a click is not taken for it;
// -1 if there is none.
func Onset(pcm []int16, rateHz int, thresholdDB float64) int {
	amplitude := fullScale * math.Pow(10, thresholdDB/20)
	window := max(1, rateHz/200)
	for i := 0; i+window <= len(pcm); i++ {
		if math.Abs(float64(pcm[i])) >= amplitude && goesOn(pcm[i:i+window], amplitude/2) {
			return i
		}
	}
	return -1
}

// goesOn reports whether a quarter of pcm is beyond amplitude.
func goesOn(pcm []int16, amplitude float64) bool {
	beyond := 0
	for _, s := range pcm {
		if math.Abs(float64(s)) >= amplitude {
			beyond++
		}
	}
	return beyond >= (len(pcm)+3)/4
}

func decibels(ratio float64) float64 {
	if ratio <= 0 {
		return Silence
	}
	return max(Silence, 20*math.Log10(ratio))
}
