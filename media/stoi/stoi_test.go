package stoi

import (
	"errors"
	"math"
	"testing"

	"github.com/zaf/g711"

	"github.com/roomline/roomline/media"
)

// noise makes white noise of a level in an order that never changes: Knuth's
// linear congruence, its upper half.
type noise uint64

func (n *noise) next() float64 {
	*n = *n*6364136223846793005 + 1442695040888963407
	return float64(int32(*n>>32)) / (1 << 31)
}

// babble is noise that rises and falls like syllables, 4 times a second, with
// pauses, and of which two poles at 0.9 leave more of the low tones.
func babble(seed noise, rate, seconds int) []int16 {
	pcm := make([]int16, rate*seconds)
	low := 0.0
	for i := range pcm {
		t := float64(i) / float64(rate)
		low = 0.9*low + seed.next()
		level := math.Pow(math.Sin(math.Pi*4*t), 2)
		if int(t*2)%4 == 3 {
			level = 0
		}
		pcm[i] = int16(6000 * level * low)
	}
	return pcm
}

func speech() []int16 {
	ulaw := media.Speech()
	pcm := make([]int16, len(ulaw))
	for i, b := range ulaw {
		pcm[i] = g711.DecodeUlawFrame(b)
	}
	return pcm
}

// under adds noise so many dB below the sound.
func under(pcm []int16, seed noise, db float64) []int16 {
	var power float64
	for _, v := range pcm {
		power += float64(v) * float64(v)
	}
	level := math.Sqrt(3*power/float64(len(pcm))) * math.Pow(10, -db/20) // uniform noise: a third of its peak's power
	out := make([]int16, len(pcm))
	for i, v := range pcm {
		out[i] = int16(max(-32768, min(32767, float64(v)+level*seed.next())))
	}
	return out
}

// holed loses 20 ms in every 160.
func holed(pcm []int16, rate int) []int16 {
	out := append([]int16(nil), pcm...)
	for i := range out {
		if i*50/rate%8 == 5 {
			out[i] = 0
		}
	}
	return out
}

// flat is white noise.
func flat(seed noise, samples int) []int16 {
	pcm := make([]int16, samples)
	for i := range pcm {
		pcm[i] = int16(8000 * seed.next())
	}
	return pcm
}

// The figures were had from pystoi 0.4.1, whose own tests compare it with the
// authors' Matlab code, for the same sounds.
func TestAgreesWithTheAuthorsCode(t *testing.T) {
	s := speech()
	b10, b16 := babble(3, 10000, 4), babble(4, 16000, 4)
	for _, c := range []struct {
		name        string
		rate        int
		said, heard []int16
		want        Score
	}{
		{"one noise for another", 10000, flat(1, 20000), flat(2, 20000), Score{-0.029932, -0.023862}},
		{"babble, noise 10 dB below", 10000, b10, under(b10, 5, 10), Score{0.964396, 0.711359}},
		{"babble, noise 5 dB above", 10000, b10, under(b10, 6, -5), Score{0.655421, 0.250295}},
		{"babble at 16 kHz, noise as loud", 16000, b16, under(b16, 7, 0), Score{0.874957, 0.446868}},
		{"babble at 16 kHz with holes", 16000, b16, holed(b16, 16000), Score{0.895115, 0.893797}},
		{"speech, noise 20 dB below", 8000, s, under(s, 8, 20), Score{0.973454, 0.932218}},
		{"speech, noise 5 dB below", 8000, s, under(s, 9, 5), Score{0.753860, 0.539949}},
		{"speech, noise 10 dB above", 8000, s, under(s, 10, -10), Score{0.435098, 0.117963}},
		{"speech with holes", 8000, s, holed(s, 8000), Score{0.894888, 0.894884}},
		{"speech as it was", 8000, s, s, Score{1, 1}},
	} {
		got, err := Measure(c.said, c.heard, c.rate)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if math.Abs(got.STOI-c.want.STOI) > 1e-4 || math.Abs(got.ESTOI-c.want.ESTOI) > 1e-4 {
			t.Errorf("%s: %.6f, want %.6f", c.name, got, c.want)
		}
	}
}

// Figure 1 of the paper of 2011: what noise covers more is understood less.
func TestFallsWithNoise(t *testing.T) {
	s := speech()
	last := Score{2, 2}
	for db := 30.0; db >= -20; db -= 10 {
		got, err := Measure(s, under(s, 11, db), 8000)
		if err != nil {
			t.Fatal(err)
		}
		if got.STOI >= last.STOI || got.ESTOI >= last.ESTOI || got.ESTOI > got.STOI {
			t.Errorf("noise %g dB below: %.3f after %.3f", db, got, last)
		}
		last = got
	}
}

func TestLevelAndPausesDoNotCount(t *testing.T) {
	s := speech()
	quiet := make([]int16, len(s)+16000)
	said := append(append([]int16(nil), s...), make([]int16, 16000)...)
	for i := range s {
		quiet[i] = s[i] / 4
	}
	copy(quiet[len(s)+4000:], flat(12, 8000))
	if got, err := Measure(said, quiet, 8000); err != nil || got.STOI < 0.99 || got.ESTOI < 0.98 {
		t.Errorf("%.4f %v", got, err)
	}
}

func TestRefusesWhatCannotBeCompared(t *testing.T) {
	if _, err := Measure(make([]int16, 10), make([]int16, 11), 8000); !errors.Is(err, ErrLength) {
		t.Errorf("different lengths: %v", err)
	}
	for _, n := range []int{0, 1, 100, 2400} {
		if _, err := Measure(flat(1, n), flat(1, n), 8000); !errors.Is(err, ErrShort) {
			t.Errorf("%d samples: %v", n, err)
		}
	}
}

func TestFollowsADelayThatChanges(t *testing.T) {
	s := speech()
	pieces := phrases(s, 8000)
	if len(pieces) < 3 {
		t.Fatalf("%d phrases", len(pieces))
	}
	heard := make([]int16, len(s)+8000)
	for i, p := range pieces {
		copy(heard[p.from+600+100*i:], s[p.from:p.to])
	}
	got, err := Follow(s, heard, 8000, 4000)
	if err != nil || got.STOI < 0.999 || got.ESTOI < 0.999 {
		t.Errorf("%.4f %v", got.Score, err)
	}
	for i, d := range got.Delays {
		if d != 600+100*i {
			t.Errorf("phrase %d lies %d samples behind, want %d", i, d, 600+100*i)
		}
	}
	if _, err := Follow(s, nil, 8000, 4000); err != nil {
		t.Errorf("nothing heard: %v", err)
	}
}
