package media

import "math"

// The measures of a Filler, in seconds and Hz.
const (
	fillerEvery = 2.4
	fillerGap   = 0.22 // between its three notes
	fillerRise  = 0.03
	fillerDecay = 0.16
)

// fillerNotes are C5, E5 and C5, struck one after the other.
var fillerNotes = [...]float64{523.25, 659.26, 523.25}

// Filler is what somebody hears who waits a moment for an answer: three soft notes,
// of -28 dBov where they are loudest, that begin at once and come again every 2.4 s,
// quicker than a [Chime]: somebody is busy for you. Not safe for concurrent use.
type Filler struct {
	rateHz int
	at     int // samples into the round
}

// NewFiller makes a filler sampled at rateHz; it begins with the first note.
func NewFiller(rateHz int) *Filler { return &Filler{rateHz: rateHz} }

// Fill writes the next len(pcm) samples. It does not allocate.
func (f *Filler) Fill(pcm []int16) {
	const amplitude = math.Sqrt2 * fullScale * 0.0398 // -28 dB
	for i := range pcm {
		t, sum := float64(f.at)/float64(f.rateHz), 0.0
		for n, freqHz := range fillerNotes {
			if since := t - float64(n)*fillerGap; since >= 0 {
				sum += min(1, since/fillerRise) * math.Exp(-since/fillerDecay) * math.Sin(2*math.Pi*freqHz*since)
			}
		}
		pcm[i] = int16(math.Round(amplitude * sum))
		if f.at++; f.at >= int(fillerEvery*float64(f.rateHz)) {
			f.at = 0
		}
	}
}
