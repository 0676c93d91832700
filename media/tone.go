package media

// Tone is an endless signal that is drawn frame by frame without a jump
// between frames. Not safe for concurrent use.
type Tone struct{}

// Sine makes a tone of freqHz at levelDB dBov, sampled at rateHz.
func Sine(freqHz float64, rateHz int, levelDB float64) *Tone { return &Tone{} }

// Ringback makes what a caller hears while the far end rings, by ISO 3166
// country; unknown countries in Europe get 425 Hz, the others the American one.
func Ringback(country string, rateHz int) *Tone { return &Tone{} }

// Busy makes the busy tone of a country, see [Ringback].
func Busy(country string, rateHz int) *Tone { return &Tone{} }

// Fill writes the next len(pcm) samples.
func (t *Tone) Fill(pcm []int16) {}
