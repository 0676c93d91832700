package bridge

import (
	"math"
	"slices"
	"testing"
	"time"
)

// jitters are what networks do, in ms of delay at most.
var jitters = []struct {
	name      string
	delay     func(packet int) float64
	demand    float64
	concealed float64 // at most, in percent
}{
	{"none", nil, 0, 0},
	{"uniform, 10 ms", uniform(10), 10, 0.5},
	{"uniform, 30 ms", uniform(30), 30, 1},
	{"uniform, 60 ms", uniform(60), 60, 2},
	{"bursts of 10 ms", bursts(10), 10, 0.5},
	{"bursts of 30 ms", bursts(30), 30, 1},
	{"bursts of 60 ms", bursts(60), 60, 2},
}

func TestDepthFollowsTheJitter(t *testing.T) {
	speech := spoken(t)
	for _, j := range jitters {
		mean, most, peak, concealed, waits := 0.0, 0.0, 0.0, 0.0, time.Duration(0)
		for phase := range 16 {
			h := path{sound: speech, delay: j.delay, phase: 10 * phase}.run(t, 40*time.Second)
			mean += h.mean(5, 39) / 16
			most = max(most, h.mean(5, 39))
			peak = max(peak, slices.Max(h.delays[250:])/8)
			concealed = max(concealed, 100*h.concealed)
			waits += h.buffer[len(h.buffer)-1] / 16
			unbroken(t, j.name, h, speech)
		}
		t.Logf("%-16s delay %.1f ms on average, %.1f on average at the worst phase of the beat, %.1f at any moment; waits %v; concealed %.2f %%", j.name, mean, most, peak, waits.Round(100*time.Microsecond), concealed)
		if most > j.demand+21 {
			t.Errorf("%s: a delay of %.1f ms, want what the jitter demands and 21 at most", j.name, most)
		}
		if concealed > j.concealed {
			t.Errorf("%s: %.2f %% concealed, want %.1f at most", j.name, concealed, j.concealed)
		}
	}
}

func TestSkewIsMadeUpForWithoutAClick(t *testing.T) {
	length := 30 * time.Minute
	speech := spoken(t)
	for _, ppm := range []float64{-300, 300} {
		for name, said := range map[string]func(int) int16{"tone": tone(440, 8000), "speech": speech} {
			h := path{sound: said, ppm: ppm, phase: 77}.run(t, length)
			first, last := h.mean(5, 125), h.mean(1660, 1780)
			t.Logf("%+.0f ppm, %s: delay %.1f ms in the beginning, %.1f in the end, %.1f at most; concealed %.3f %%", ppm, name, first, last, slices.Max(h.delays[250:])/8, 100*h.concealed)
			if math.Abs(last-first) > 2 || slices.Max(h.delays[250:]) > 8*35 {
				t.Errorf("%+.0f ppm, %s: the delay grows", ppm, name)
			}
			if h.concealed > 0 {
				t.Errorf("%+.0f ppm, %s: %.3f %% concealed", ppm, name, 100*h.concealed)
			}
			unbroken(t, name, h, said)
		}
	}
}

func TestStallLeavesNothingBehind(t *testing.T) {
	speech := spoken(t)
	for _, ms := range []float64{50, 200} {
		worst := 0.0
		for at := 250; at < 450; at += 7 { // in voiced, unvoiced sound and pauses
			stall := func(i int) float64 {
				if i == at {
					return ms * 8
				}
				return 0
			}
			for name, said := range map[string]func(int) int16{"tone": tone(440, 8000), "speech": speech} {
				h := path{sound: said, delay: stall, phase: 77}.run(t, 12*time.Second)
				left := (h.delays[at+int(ms/20)+100] - h.delays[at-10]) / 8
				worst = max(worst, left)
				if left > 2 {
					t.Errorf("%s, %v ms at %d ms: %.1f ms of delay are left after 2 s", name, ms, at*20, left)
				}
				unbroken(t, name, h, said)
			}
		}
		t.Logf("%v ms: at most %.1f ms are left after 2 s", ms, worst)
	}
}

func TestAnyStallIsOverIn2Seconds(t *testing.T) {
	speech := spoken(t)
	for _, ms := range []float64{500, 1000, 3000} {
		stall := func(i int) float64 {
			if i == 300 {
				return ms * 8
			}
			return 0
		}
		h := path{sound: speech, delay: stall, phase: 77}.run(t, 14*time.Second)
		if left := (h.delays[300+int(ms/20)+100] - h.delays[290]) / 8; math.Abs(left) > 2 {
			t.Errorf("%v ms: %.1f ms of delay are left after 2 s", ms, left)
		}
		unbroken(t, "stall", h, speech)
	}
	for name, said := range map[string]func(int) int16{"tone": tone(440, 8000), "speech": speech} {
		h := path{sound: said, phase: 77, skips: func(beat int) bool { return beat > 300 && beat < 312 }}.run(t, 14*time.Second)
		if left := (h.delays[400] - h.delays[290]) / 8; math.Abs(left) > 2 {
			t.Errorf("%s: of a stall of our own %.1f ms of delay are left after 2 s", name, left)
		}
		unbroken(t, name, h, said)
	}
}

func TestAPauseOnTheWireIsNoStall(t *testing.T) {
	said := tone(440, 8000)
	h := path{sound: said, phase: 77, pause: func(packet int) int {
		if packet%50 == 0 { // DTX: the clock goes on, the sequence too
			return 2400
		}
		return 0
	}}.run(t, 20*time.Second)
	if h.concealed > 0 {
		t.Errorf("%.2f %% concealed", 100*h.concealed)
	}
	if d := h.delays[len(h.delays)-1] - h.delays[40]; math.Abs(d) > 8 {
		t.Errorf("the pauses leave %.1f ms of delay", d/8)
	}
	unbroken(t, "tone", h, said)
}

func TestBeatsThatComeLateDoNotCountAsJitter(t *testing.T) {
	said := spoken(t)
	for name, late := range map[string]func(int) float64{
		"all by up to 5 ms": uniform(5),
		"one in fifty by 15 ms": func(beat int) float64 {
			if beat%50 == 0 {
				return 15 * 8
			}
			return 0
		},
	} {
		for phase := 0; phase < 160; phase += 20 {
			h := path{sound: said, late: late, phase: phase}.run(t, 20*time.Second)
			if d := h.mean(5, 19); d > 24 || h.concealed > 0.0003 { // the first one may mislead
				t.Errorf("%s, phase %d: delay %.1f ms, %.2f %% concealed", name, phase, d, 100*h.concealed)
			}
			unbroken(t, name, h, said)
		}
	}
}

func TestPacketsOfAnyLengthWaitNoLongerThanTheyMust(t *testing.T) {
	for _, length := range []int{20, 80, 160, 240, 320, 480, 960} {
		for phase := 0; phase < 160; phase += 20 {
			h := path{sound: tone(440, 8000), length: length, phase: phase}.run(t, 8*time.Second)
			if d := h.mean(4, 7); d > 22 {
				t.Errorf("packets of %v ms, phase %d: delay %.1f ms", float64(length)/8, phase, d)
			}
			if h.concealed > 0.01 {
				t.Errorf("packets of %v ms, phase %d: %.2f %% concealed", float64(length)/8, phase, 100*h.concealed)
			}
		}
	}
}

func TestWidebandIsStretchedToo(t *testing.T) {
	said := tone(440, 16000)
	for _, delay := range []func(int) float64{nil, uniform(60)} {
		h := path{sound: said, wide: true, delay: delay, ppm: 300}.run(t, 3*time.Minute)
		unbroken(t, "wideband", h, said)
		if h.concealed > 0.02 {
			t.Errorf("%.2f %% concealed", 100*h.concealed)
		}
	}
}
