package media

import (
	"math"
	"testing"
)

func within(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.Abs(got-want) > tolerance {
		t.Errorf("%s = %.3f, want %.3f ± %.3f", what, got, want, tolerance)
	}
}

func sine(freqHz, levelDB float64, samples int) []int16 {
	pcm := make([]int16, samples)
	Sine(freqHz, NarrowbandHz, levelDB).Fill(pcm)
	return pcm
}

func TestLevelOfKnownSignals(t *testing.T) {
	square := make([]int16, 800)
	for i := range square {
		square[i] = 32767
		if i/4%2 == 1 {
			square[i] = -32768
		}
	}
	within(t, "full-scale square", Level(square), 0, 0.001)
	within(t, "full-scale sine", Level(sine(1000, -3.01, 8000)), -3.01, 0.01)
	within(t, "quiet sine", Level(sine(440, -40, 8000)), -40, 0.05)
	within(t, "zeros", Level(make([]int16, 160)), Silence, 0)
	within(t, "nothing", Level(nil), Silence, 0)
}

func TestToneLevelFindsItsToneAndNoOther(t *testing.T) {
	pcm := sine(1004, -20, 1600)
	within(t, "own tone", ToneLevel(pcm, NarrowbandHz, 1004), -20, 0.1)
	if got := ToneLevel(pcm, NarrowbandHz, 600); got > -90 {
		t.Errorf("600 Hz in a 1004 Hz tone: %.1f dBov, want below -90", got)
	}
	loud, soft := sine(700, -10, 1600), sine(1300, -60, 1600)
	for i := range loud {
		loud[i] += soft[i]
	}
	within(t, "a tone 50 dB below its neighbour", ToneLevel(loud, NarrowbandHz, 1300), -60, 0.5)
	within(t, "one sample", ToneLevel(pcm[:1], NarrowbandHz, 1004), Silence, 0)
}

func TestOnsetIgnoresClicks(t *testing.T) {
	pcm := make([]int16, 4000)
	pcm[500] = 20000
	copy(pcm[2345:], sine(1000, -12, 1000))
	if got := Onset(pcm, NarrowbandHz, -30); got < 2345 || got > 2347 {
		t.Errorf("onset at %d, want 2345 to 2347", got)
	}
	if got := Onset(pcm[:2000], NarrowbandHz, -30); got != -1 {
		t.Errorf("onset in a click at %d, want -1", got)
	}
}
