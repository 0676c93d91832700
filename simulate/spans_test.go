package simulate

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/roomline/roomline/media"
)

const ms = time.Millisecond

// painted is length of noise at noiseDB dBov (none below -100) with tones of
// levelDB in spans.
func painted(length time.Duration, noiseDB, levelDB float64, spans ...Span) []int16 {
	pcm := make([]int16, samplesIn(length))
	random := rand.New(rand.NewPCG(1, 2))
	if noiseDB > -100 {
		tone := make([]int16, samplesIn(length))
		media.Sine(1000, media.NarrowbandHz, noiseDB).Fill(tone)
		random.Shuffle(len(tone), func(i, j int) { tone[i], tone[j] = tone[j], tone[i] }) // noise of the same level
		copy(pcm, tone)
	}
	for _, s := range spans {
		media.Sine(500, media.NarrowbandHz, levelDB).Fill(cut(pcm, s))
	}
	return pcm
}

func near(a, b, by time.Duration) bool { return (a - b).Abs() <= by }

func sameSpans(t *testing.T, got, want []Span) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("spans %v, want %v", got, want)
	}
	for i := range got {
		if !near(got[i].From, want[i].From, frame) || !near(got[i].To, want[i].To, frame) {
			t.Errorf("span %d is %v, want %v", i, got[i], want[i])
		}
	}
}

func TestSpansAreFoundToTenMillisecondsInAnyNoise(t *testing.T) {
	want := []Span{{503 * ms, 1207 * ms}, {1600 * ms, 1900 * ms}, {3001 * ms, 3999 * ms}}
	for name, level := range map[string]struct{ noise, speech float64 }{
		"digital silence": {-127, -20}, "a quiet line": {-67, -25}, "a noisy line": {-48, -18}, "faint speech": {-70, -42},
	} {
		t.Run(name, func(t *testing.T) {
			sameSpans(t, Spans(painted(5*time.Second, level.noise, level.speech, want...)), want)
		})
	}
}

func TestClicksBeginNothingAndShortPausesEndNothing(t *testing.T) {
	pcm := painted(3*time.Second, -67, -20,
		Span{200 * ms, 215 * ms},                               // a click
		Span{1000 * ms, 1300 * ms}, Span{1450 * ms, 1800 * ms}, // a stop consonant
	)
	sameSpans(t, Spans(pcm), []Span{{1000 * ms, 1800 * ms}})
}

func TestQuietLinesHaveNoSpans(t *testing.T) {
	for _, noise := range []float64{-127, -67, -51} {
		if got := Spans(painted(2*time.Second, noise, 0)); len(got) > 0 {
			t.Errorf("noise of %g dBov: %v", noise, got)
		}
	}
	if got := Spans(painted(2*time.Second, -127, -20, Span{0, 2 * time.Second})); len(got) != 1 || got[0].Length() != 2*time.Second {
		t.Errorf("a tone without end: %v", got)
	}
}
