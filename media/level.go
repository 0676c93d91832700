package media

// Silence is the Level of digital silence, in dBov.
const Silence = -127.0

// Level returns the RMS of pcm in dBov: 0 for a full-scale square wave,
// -3.01 for a full-scale sine, Silence for zeros and for an empty slice.
func Level(pcm []int16) float64 { return Silence }

// ToneLevel returns the level in dBov of the sine of freqHz in pcm (Goertzel).
func ToneLevel(pcm []int16, rateHz int, freqHz float64) float64 { return Silence }

// Onset returns the index of the first sample at which the sound is louder than
// thresholdDB (dBov), -1 if it never is.
func Onset(pcm []int16, rateHz int, thresholdDB float64) int { return -1 }
