package transcode

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/roomline/roomline/media"
)

// told is comfort noise of a description.
func told(t testing.TB, sid ...byte) *ComfortNoise {
	t.Helper()
	c := new(ComfortNoise)
	if err := c.Update(sid); err != nil {
		t.Fatal(err)
	}
	return c
}

// noise draws seconds of comfort noise, frame by frame.
func noise(c *ComfortNoise, seconds float64) []int16 {
	pcm := make([]int16, int(seconds*media.NarrowbandHz))
	for at := 0; at < len(pcm); at += media.FrameSamples {
		c.Fill(pcm[at:min(at+media.FrameSamples, len(pcm))])
	}
	return pcm
}

func TestComfortNoiseHasTheLevelItWasTold(t *testing.T) {
	for _, level := range []byte{20, 35, 50, 65, 80} {
		if got := media.Level(noise(told(t, level), 5)); math.Abs(got+float64(level)) > 0.5 {
			t.Errorf("white noise of -%d dBov: %.2f dBov", level, got)
		}
		for name, shape := range shapes {
			sid := append([]byte{level}, shape...)
			if got := media.Level(noise(told(t, sid...), 10)); math.Abs(got+float64(level)) > 1 {
				t.Errorf("%s noise of -%d dBov: %.2f dBov", name, level, got)
			}
		}
	}
}

// shapes are spectra: their reflection coefficients as RFC 3389 quantises them.
var shapes = map[string][]byte{
	"low":      {27},      // k = -0.79
	"high":     {227},     // k = +0.79
	"1 kHz":    {40, 240}, // a resonance: -0.69, 0.89
	"order 12": {20, 200, 100, 140, 120, 130, 127, 125, 130, 128, 126, 127},
	"order 20": {20, 200, 100, 140, 120, 130, 127, 125, 130, 128, 126, 127, 0, 254, 0, 254, 0, 254, 0, 254},
	"sharp":    {10, 250}, // the power varies over 100 ms
}

func TestComfortNoiseBeforeAnyDescriptionIsFaint(t *testing.T) {
	if got := media.Level(noise(new(ComfortNoise), 5)); math.Abs(got+70) > 0.5 {
		t.Errorf("%.2f dBov, want -70", got)
	}
}

// bandPower is the power between two frequencies in dBov: the mean over windows
// of 50 ms and the frequencies 40 Hz apart.
func bandPower(pcm []int16, rateHz int, fromHz, toHz float64) float64 {
	sum, n, window := 0.0, 0, rateHz/20
	for at := 0; at+window <= len(pcm); at += window {
		for f := fromHz + 20; f < toHz; f += 40 {
			sum, n = sum+math.Pow(10, media.ToneLevel(pcm[at:at+window], rateHz, f)/10), n+1
		}
	}
	// A window's noise spreads over 1.5 bins (Hann), each of 2 / window of the whole band.
	bins := (toHz - fromHz) / float64(rateHz) * float64(window)
	return 10 * math.Log10(sum/float64(n)*bins/1.5)
}

func TestComfortNoiseHasTheSpectrumItWasTold(t *testing.T) {
	for name, shape := range shapes {
		pcm := noise(told(t, append([]byte{30}, shape...)...), 5)
		for f := 250.0; f < 4000; f += 500 {
			want := modelDB(shape, f-200, f+200) - 30 + 10*math.Log10(400/4000.0)
			if got := bandPower(pcm, 8000, f-200, f+200); math.Abs(got-want) > 1.5 && want > -80 {
				t.Errorf("%s: %.1f dBov about %.0f Hz, want %.1f", name, got, f, want)
			}
		}
	}
}

// modelDB is the mean power density of 1/A between two frequencies, in dB
// relative to white noise of the same power.
func modelDB(shape []byte, fromHz, toHz float64) float64 {
	a, passed := []float64{1}, 1.0
	for _, n := range shape[:min(len(shape), 12)] {
		k := (float64(n) - 127) * 258 / 32768
		next := append(append([]float64(nil), a...), 0)
		for j := range a {
			next[len(a)-j] += k * a[j]
		}
		a, passed = next, passed*(1-k*k)
	}
	sum, points := 0.0, 0
	for f := fromHz; f < toHz; f++ {
		var re, im float64
		for i, v := range a {
			sin, cos := math.Sincos(2 * math.Pi * f * float64(i) / 8000)
			re, im = re+v*cos, im-v*sin
		}
		sum, points = sum+passed/(re*re+im*im), points+1
	}
	return 10 * math.Log10(sum/float64(points))
}

func TestComfortNoiseChangesSmoothly(t *testing.T) {
	c := told(t, 30, 27)
	noise(c, 0.5)
	if err := c.Update([]byte{60, 227}); err != nil {
		t.Fatal(err)
	}
	after := noise(c, 0.4)
	first, last := media.Level(after[:40]), media.Level(after[2400:])
	if first < -36 || math.Abs(last+60) > 1.5 {
		t.Errorf("%.1f dBov in the first 5 ms, %.1f after 300: want no jump, then -60", first, last)
	}
}

func TestComfortNoiseAt16kHz(t *testing.T) {
	c, pcm := told(t, 30), make([]int16, 16000*5)
	for at, n := 0, 0; at < len(pcm); at += n { // frames of all lengths
		n = min(2+(at*7)%900, len(pcm)-at)
		c.FillWide(pcm[at : at+n])
	}
	if got := media.Level(pcm); math.Abs(got+30) > 0.5 {
		t.Errorf("%.2f dBov, want -30", got)
	}
	if low, high := bandPower(pcm, 16000, 1000, 2000), bandPower(pcm, 16000, 5000, 6000); high > low-50 {
		t.Errorf("%.1f dB from 1 to 2 kHz, %.1f from 5 to 6", low, high)
	}
}

func TestMalformedComfortNoiseChangesNothing(t *testing.T) {
	for _, sid := range [][]byte{nil, {128}, {255, 3}, {40, 255}, {40, 100, 100, 255}} {
		c := told(t, 40)
		if err := c.Update(sid); !errors.Is(err, ErrMalformed) {
			t.Errorf("% x: error %v", sid, err)
		}
		if got := media.Level(noise(c, 1)); math.Abs(got+40) > 1 {
			t.Errorf("% x: %.2f dBov afterwards, want -40", sid, got)
		}
	}
}

func TestComfortNoiseAllocatesNothing(t *testing.T) {
	var c ComfortNoise
	var m NoiseMeter
	pcm, wide, sid := make([]int16, 160), make([]int16, 320), make([]byte, 11)
	got := testing.AllocsPerRun(100, func() {
		c.Fill(pcm)
		c.FillWide(wide)
		m.Listen(pcm)
		if err := c.Update(sid[:m.Describe(sid)]); err != nil {
			t.Fatal(err)
		}
	})
	if got != 0 {
		t.Errorf("%v allocations", got)
	}
}

// FuzzComfortNoise: whatever is told, the noise stays a noise of that level.
func FuzzComfortNoise(f *testing.F) {
	f.Add([]byte{40})
	f.Add([]byte{127, 0, 254, 0, 254, 0, 254, 0, 254, 0, 254, 0, 254})
	f.Add([]byte{0, 254, 254, 254, 254, 254, 254, 254, 254, 254, 254, 254, 254})
	f.Add([]byte{255, 255})
	f.Fuzz(func(t *testing.T, sid []byte) {
		var c ComfortNoise
		err := c.Update(sid)
		if (err == nil) != wellFormed(sid) {
			t.Fatalf("% x: error %v", sid, err)
		}
		pcm := noise(&c, 0.5)
		for range 3 { // to and fro
			_ = c.Update([]byte{50, 254, 0, 254, 0, 254})
			noise(&c, 0.05)
			_ = c.Update(sid)
			noise(&c, 0.3)
			pcm = noise(&c, 0.5)
		}
		// The narrowest resonances vary over half a second.
		if got := media.Level(pcm); err == nil && sid[0] > 20 && got > 15-float64(sid[0]) {
			t.Errorf("% x: %.1f dBov", sid, got)
		}
	})
}

func wellFormed(sid []byte) bool {
	for i, b := range sid {
		if b == 255 || i == 0 && b > 127 {
			return false
		}
	}
	return len(sid) > 0
}

func TestNoiseIsDescribedAndMadeAgain(t *testing.T) {
	for name, shape := range shapes {
		original := noise(told(t, append([]byte{47}, shape...)...), 20)
		var m NoiseMeter
		for at := 0; at+160 <= len(original); at += 160 {
			m.Listen(original[at : at+160])
		}
		var sid [11]byte
		if n := m.Describe(sid[:]); n != 11 {
			t.Fatalf("%s: payload of %d bytes", name, n)
		}
		made := noise(told(t, sid[:]...), 20)
		if got, want := media.Level(made), media.Level(original); math.Abs(got-want) > 1 && name != "sharp" { // whose power swings by itself
			t.Errorf("%s: %.2f dBov made of %.2f", name, got, want)
		}
		for f := 250.0; f < 4000; f += 500 {
			want, got := bandPower(original, 8000, f-200, f+200), bandPower(made, 8000, f-200, f+200)
			if math.Abs(got-want) > 3 && want > -72 && name != "sharp" {
				t.Errorf("%s: %.1f dB at %.0f Hz, was %.1f", name, got, f, want)
			}
		}
	}
}

func TestWhiteNoiseIsMetered(t *testing.T) {
	for _, level := range []float64{-30, -50, -70} {
		var m NoiseMeter
		rng, pcm := rand.New(rand.NewPCG(3, 4)), make([]int16, 160)
		for range 500 {
			for i := range pcm {
				pcm[i] = int16(math.Round(rng.NormFloat64() * 32768 * math.Pow(10, level/20)))
			}
			m.Listen(pcm)
		}
		if got := m.Level(); math.Abs(got-level) > 0.5 {
			t.Errorf("%.2f dBov, want %.0f", got, level)
		}
	}
}

func TestSpeechIsNotTakenForNoise(t *testing.T) {
	speech, hum := vowels(8000, 8000*20), noise(told(t, 60), 20)
	var m NoiseMeter
	for at := 0; at < len(speech); at += 160 {
		for i := at; i < at+160; i++ {
			speech[i] = clip(float32(speech[i]) + float32(hum[i]))
		}
		if at%80000 < 64000 { // of ten seconds two without speech
			m.Listen(speech[at : at+160])
		} else {
			m.Listen(hum[at : at+160])
		}
	}
	if got := m.Level(); math.Abs(got+60) > 1.5 {
		t.Errorf("%.1f dBov under speech of %.1f, want -60", got, media.Level(speech))
	}
}

func TestLouderNoiseIsBelievedInTime(t *testing.T) {
	var m NoiseMeter
	for _, level := range []byte{70, 45, 65} {
		pcm := noise(told(t, level), 8)
		for at := 0; at < len(pcm); at += 160 {
			m.Listen(pcm[at : at+160])
		}
		if got := m.Level(); math.Abs(got+float64(level)) > 1 {
			t.Errorf("%.1f dBov after 8 s of -%d", got, level)
		}
	}
}

func TestNothingHeardIsNotDescribed(t *testing.T) {
	var m NoiseMeter
	m.Listen(nil)
	if n := m.Describe(make([]byte, 11)); n != 0 {
		t.Errorf("%d bytes about nothing", n)
	}
	m.Listen(make([]int16, 160))
	var sid [1]byte
	if n := m.Describe(sid[:]); n != 1 || sid[0] != 127 {
		t.Errorf("digital silence: % x", sid[:n])
	}
}

func BenchmarkComfortNoise(b *testing.B) {
	pcm := make([]int16, 160)
	b.Run("white", func(b *testing.B) {
		c := told(b, 50)
		b.ReportAllocs()
		for b.Loop() {
			c.Fill(pcm)
		}
	})
	b.Run("order 10", func(b *testing.B) {
		c := told(b, append([]byte{50}, shapes["order 12"][:10]...)...)
		b.ReportAllocs()
		for b.Loop() {
			c.Fill(pcm)
		}
	})
	b.Run("meter", func(b *testing.B) {
		var m NoiseMeter
		told(b, 50).Fill(pcm)
		b.ReportAllocs()
		for b.Loop() {
			m.Listen(pcm)
		}
	})
}
