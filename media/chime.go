package media

import "math"

// The measures of a Chime, in seconds and Hz.
const (
	chimeEvery  = 5.0
	chimeSecond = 0.4 // when the second note begins
	chimeEnd    = 2.2 // when both have died away
	chimeRise   = 0.02
	chimeDecay  = 0.3
	chimeHigh   = 659.26 // E5
	chimeLow    = 523.25 // C5
)

// Chime is what somebody on hold hears where no music is set: two soft notes
// every five seconds, of -25 dBov where they are loudest, so that the line is
// known to live. Not safe for concurrent use.
type Chime struct {
	rateHz int
	at     int // samples into the round
}

// NewChime makes a chime sampled at rateHz; it begins with the first note.
func NewChime(rateHz int) *Chime { return &Chime{rateHz: rateHz} }

// Fill writes the next len(pcm) samples. It does not allocate.
func (c *Chime) Fill(pcm []int16) {
	for i := range pcm {
		t := float64(c.at) / float64(c.rateHz)
		pcm[i] = 0
		if t < chimeEnd {
			pcm[i] = int16(math.Round(note(t, chimeHigh) + note(t-chimeSecond, chimeLow)))
		}
		if c.at++; c.at >= int(chimeEvery*float64(c.rateHz)) {
			c.at = 0
		}
	}
}

// note is one note, t seconds after it was struck.
func note(t, freqHz float64) float64 {
	const amplitude = math.Sqrt2 * fullScale * 0.05623 // -25 dB
	if t < 0 {
		return 0
	}
	return amplitude * min(1, t/chimeRise) * math.Exp(-t/chimeDecay) * math.Sin(2*math.Pi*freqHz*t)
}
