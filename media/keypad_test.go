package media

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// heard returns the keys that a fresh detector hears in packets of 20 ms.
func heard(pcm []int16) string {
	var d KeyDetector
	keys := ""
	for ; len(pcm) >= FrameSamples; pcm = pcm[FrameSamples:] {
		if key, ok := d.Hear(pcm[:FrameSamples]); ok {
			keys += string(key)
		}
	}
	return keys
}

// press makes a key of two tones; levels are in dBov, shift moves both frequencies.
func press(key byte, length time.Duration, lowDB, highDB, shift float64) []int16 {
	at := 0
	for keyGrid[at] != key {
		at++
	}
	low, high := Sine(keyRows[at/4]*shift, NarrowbandHz, lowDB), Sine(keyColumns[at%4]*shift, NarrowbandHz, highDB)
	n := samplesIn(length)
	pcm, other := make([]int16, n), make([]int16, n)
	low.Fill(pcm)
	high.Fill(other)
	for i, v := range other {
		pcm[i] += v
	}
	return pcm
}

func quiet(d time.Duration) []int16 { return make([]int16, samplesIn(d)) }

func TestKeypadIsHeardByTheDetector(t *testing.T) {
	var k Keypad
	for _, key := range keyGrid + "x" + "11" {
		k.Press(key)
	}
	var pcm []int16
	frame := make([]int16, FrameSamples)
	for k.Sounding() {
		k.Fill(frame)
		pcm = append(pcm, frame...)
	}
	if got := heard(pcm); got != keyGrid+"11" {
		t.Errorf("heard %q, want %q", got, keyGrid+"11")
	}
	for _, c := range []struct{ freq, want float64 }{{697, keyLowDB}, {1209, keyHighDB}} {
		if db := ToneLevel(pcm[80:720], NarrowbandHz, c.freq); math.Abs(db-c.want) > 0.5 {
			t.Errorf("%.0f Hz at %.1f dBov, want %.1f", c.freq, db, c.want)
		}
	}
	for i, v := range pcm[:8] { // 5 ms to its full height of 18,000
		if math.Abs(float64(v)) > 500*float64(i) {
			t.Errorf("a key begins with %d at sample %d", v, i)
		}
	}
}

func TestDetectorKeepsToQ24(t *testing.T) {
	const level = -16.0
	for _, c := range []struct {
		name string
		pcm  []int16
		want string
	}{
		{"40 ms", press('5', 40*time.Millisecond, level, level, 1), "5"},
		{"20 ms", press('5', 20*time.Millisecond, level, level, 1), ""},
		{"loud", press('9', 60*time.Millisecond, -9.2, -9.2, 1), "9"},
		{"-25 dBm0", press('9', 60*time.Millisecond, -31.15, -31.15, 1), "9"},
		{"far too quiet", press('9', 60*time.Millisecond, -55, -55, 1), ""},
		{"low tone 7 dB louder", press('3', 60*time.Millisecond, -10, -17, 1), "3"},
		{"high tone 4 dB louder", press('3', 60*time.Millisecond, -16, -12, 1), "3"},
		{"low tone 12 dB louder", press('3', 60*time.Millisecond, -10, -22, 1), ""},
		{"high tone 10 dB louder", press('3', 60*time.Millisecond, -22, -12, 1), ""},
		{"1.5 % high", press('8', 60*time.Millisecond, level, level, 1.015), "8"},
		{"1.5 % low", press('8', 60*time.Millisecond, level, level, 0.985), "8"},
		{"held for 3 s", press('#', 3*time.Second, level, level, 1), "#"},
		{"twice after 45 ms", join(press('4', 50*time.Millisecond, level, level, 1), quiet(45*time.Millisecond), press('4', 50*time.Millisecond, level, level, 1)), "44"},
		{"another at once", join(press('4', 60*time.Millisecond, level, level, 1), press('6', 60*time.Millisecond, level, level, 1)), "46"},
		{"spoilt for 20 ms", join(press('4', 40*time.Millisecond, level, level, 1), press('4', 20*time.Millisecond, level, level, 1.2), press('4', 40*time.Millisecond, level, level, 1)), "4"},
	} {
		for offset := 0; offset < 160; offset += 23 { // wherever it falls into the blocks
			if got := heard(join(make([]int16, offset), c.pcm, quiet(100*time.Millisecond))); got != c.want {
				t.Errorf("%s at offset %d: heard %q, want %q", c.name, offset, got, c.want)
			}
		}
	}
}

func TestDetectorHearsKeysInNoise(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var pcm []int16
	want := ""
	for range 500 {
		key := keyGrid[rng.IntN(16)]
		want += string(key)
		pcm = join(pcm, press(key, 60*time.Millisecond, -16, -14, 1), quiet(60*time.Millisecond))
	}
	for i := range pcm { // 17 dB below the key
		pcm[i] += int16(rng.NormFloat64() * 32768 * math.Pow(10, -29.0/20))
	}
	if got := heard(pcm); got != want {
		t.Errorf("heard %d keys of 500", len(got))
	}
}

// The recorded speech is played at 27 speeds, which moves its voice and vowels,
// in all for six minutes.
func TestDetectorHearsNoKeysInSpeech(t *testing.T) {
	law := Speech()
	voice := make([]float64, len(law))
	for i, code := range law {
		voice[i] = ulaw(code)
	}
	minutes := 0.0
	for speed := 0.6; speed < 1.9; speed += 0.05 {
		var pcm []int16
		for at := 0.0; at < float64(len(voice)-1); at += speed {
			i, part := int(at), at-math.Floor(at)
			pcm = append(pcm, int16(voice[i]*(1-part)+voice[i+1]*part))
		}
		minutes += float64(len(pcm)) / NarrowbandHz / 60
		if got := heard(pcm); got != "" {
			t.Errorf("at speed %.2f speech is heard as %d keys", speed, len(got))
		}
	}
	t.Logf("%.1f minutes of speech", minutes)
}

func TestDetectorHearsNoKeysInTones(t *testing.T) {
	for _, tone := range []*Tone{Ringback("US", 8000), Busy("US", 8000), Ringback("GB", 8000), Busy("DE", 8000), Beep(8000), Sine(697, 8000, -10), Sine(1336, 8000, -10)} {
		pcm := make([]int16, 80000)
		tone.Fill(pcm)
		if got := heard(pcm); got != "" {
			t.Errorf("a tone is heard as %q", got)
		}
	}
}

// ulaw expands one code of G.711, ITU-T G.711 table 2b.
func ulaw(code byte) float64 {
	code = ^code
	v := (float64(int(code&15)<<1|33)*float64(int(1)<<(code>>4&7)) - 33) * 4
	if code&0x80 != 0 {
		return -v
	}
	return v
}

func join(parts ...[]int16) (all []int16) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func BenchmarkKeyDetector(b *testing.B) {
	pcm := press('5', 20*time.Millisecond, -16, -16, 1)
	var d KeyDetector
	b.ReportAllocs()
	for b.Loop() {
		d.Hear(pcm)
	}
}
