package media

import (
	"math"
	"slices"
	"strings"
	"time"
)

// Tone is an endless signal that is drawn frame by frame without a jump
// between frames. Not safe for concurrent use.
type Tone struct {
	rateHz    int
	amplitude float64   // of each frequency, full scale = 32768
	tilt      float64   // how much louder the second frequency is; 0: not at all
	steps     []float64 // radians per sample
	phases    []float64
	cadence   []int // samples of sound, of silence, of sound, ...; empty: always on
	part      int   // index into cadence
	at        int   // samples into that part
}

// Sine makes a tone of freqHz at levelDB dBov (RMS; -3.01 is full scale),
// sampled at rateHz.
func Sine(freqHz float64, rateHz int, levelDB float64) *Tone {
	return newTone(rateHz, levelDB, []float64{freqHz}, nil)
}

// Ringback makes what a caller hears while the far end rings, by ISO 3166
// two-letter country: the British double ring, 425 Hz in continental Europe
// (ETSI TR 101 041), else the North American tone.
func Ringback(country string, rateHz int) *Tone {
	switch region(country) {
	case "GB":
		return newTone(rateHz, -25, []float64{400, 450}, []time.Duration{400 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond, 2 * time.Second})
	case "EU":
		return newTone(rateHz, -19, []float64{425}, []time.Duration{time.Second, 4 * time.Second})
	}
	return newTone(rateHz, -25, []float64{440, 480}, []time.Duration{2 * time.Second, 4 * time.Second})
}

// Busy makes the busy tone of a country, see [Ringback].
func Busy(country string, rateHz int) *Tone {
	const half = 500 * time.Millisecond
	switch region(country) {
	case "GB":
		return newTone(rateHz, -19, []float64{400}, []time.Duration{375 * time.Millisecond, 375 * time.Millisecond})
	case "EU":
		return newTone(rateHz, -19, []float64{425}, []time.Duration{half, half})
	}
	return newTone(rateHz, -30, []float64{480, 620}, []time.Duration{half, half})
}

// Congestion makes the tone of a country that says that a call cannot go through,
// the fast busy tone, see [Ringback].
func Congestion(country string, rateHz int) *Tone {
	switch region(country) {
	case "GB":
		return newTone(rateHz, -19, []float64{400}, []time.Duration{400 * time.Millisecond, 350 * time.Millisecond, 225 * time.Millisecond, 525 * time.Millisecond})
	case "EU":
		return newTone(rateHz, -19, []float64{425}, []time.Duration{200 * time.Millisecond, 200 * time.Millisecond})
	}
	return newTone(rateHz, -30, []float64{480, 620}, []time.Duration{250 * time.Millisecond, 250 * time.Millisecond})
}

// Fill writes the next len(pcm) samples. It does not allocate.
func (t *Tone) Fill(pcm []int16) {
	for i := range pcm {
		pcm[i] = int16(math.Round(t.gain() * t.sample()))
		t.advance()
	}
}

func (t *Tone) sample() float64 {
	sum := 0.0
	for i, phase := range t.phases {
		part := t.amplitude * math.Sin(phase)
		if i == 1 && t.tilt > 0 {
			part *= t.tilt
		}
		sum += part
		if phase += t.steps[i]; phase > 2*math.Pi {
			phase -= 2 * math.Pi
		}
		t.phases[i] = phase
	}
	return max(-fullScale, min(fullScale-1, sum))
}

// gain is the cadence's envelope: 5 ms ramps, so that it starts and stops without a click.
func (t *Tone) gain() float64 {
	if len(t.cadence) == 0 {
		return 1
	}
	if t.part%2 == 1 {
		return 0
	}
	ramp := float64(t.rateHz) / 200
	edge := min(t.at, t.cadence[t.part]-t.at)
	return min(1, float64(edge)/ramp)
}

func (t *Tone) advance() {
	if len(t.cadence) == 0 {
		return
	}
	if t.at++; t.at >= t.cadence[t.part] {
		t.at = 0
		t.part = (t.part + 1) % len(t.cadence)
	}
}

func newTone(rateHz int, levelDB float64, freqs []float64, cadence []time.Duration) *Tone {
	t := &Tone{
		rateHz:    rateHz,
		amplitude: math.Sqrt2 * fullScale * math.Pow(10, levelDB/20),
		phases:    make([]float64, len(freqs)),
	}
	for _, f := range freqs {
		t.steps = append(t.steps, 2*math.Pi*f/float64(rateHz))
	}
	for _, d := range cadence {
		t.cadence = append(t.cadence, int(d.Seconds()*float64(rateHz)))
	}
	return t
}

var continentalEurope = strings.Fields(`AD AL AT BA BE BG BY CH CY CZ DE DK EE ES EU FI FR GR HR HU IS IT
	LI LT LU LV MC MD ME MK MT NL NO PL PT RO RS SE SI SK SM UA VA XK`)

func region(country string) string {
	country = strings.ToUpper(country)
	switch {
	case country == "GB" || country == "UK" || country == "IE":
		return "GB"
	case slices.Contains(continentalEurope, country):
		return "EU"
	}
	return "US"
}
