package bridge

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/transcode"
)

// path is a network in simulated time, from a speaker to a playout buffer that a
// beat empties. Times and lengths are in ticks of 8 kHz.
type path struct {
	sound  func(pos int) int16 // what is said
	length int                 // of a packet; 0: 160
	delay  func(packet int) float64
	ppm    float64                // by how much the speaker's clock is faster than ours
	phase  int                    // of the beat
	late   func(beat int) float64 // how much too late a beat comes
	wide   bool                   // said at 16 kHz; sound counts samples
	pause  func(packet int) int   // silence on the wire before a packet
}

// heard is what came out.
type heard struct {
	pcm       []int16
	from      []int     // where in what was said each frame began, in samples
	delays    []float64 // ticks that sound waited beyond the least delay, frame by frame
	concealed float64   // share
	buffer    []time.Duration
}

// run lets the path work for so long.
func (l path) run(tb testing.TB, length time.Duration) *heard {
	tb.Helper()
	if l.length == 0 {
		l.length = media.FrameSamples
	}
	if l.delay == nil {
		l.delay = func(int) float64 { return 0 }
	}
	n := 1
	if l.wide {
		n = 2
	}
	h, count := &heard{}, &hearing{}
	p := &playout{times: 1, hearing: count}
	p.start()
	epoch := time.Unix(1e9, 0)
	frame, pcm := make([]int16, media.FrameSamples*n), make([]int16, l.length*n)
	packet, at, last := 0, 0, 0.0
	arrives := func() float64 {
		if l.pause != nil && packet > 0 {
			at += l.pause(packet)
		}
		due := float64(at)/(1+l.ppm/1e6) + l.delay(packet)
		last = max(due, last)
		return last
	}
	next, started := arrives(), false
	for beat := 0; beat*media.FrameSamples < int(length*8/time.Millisecond); beat++ {
		now := beat*media.FrameSamples + l.phase
		if l.late != nil {
			now += int(l.late(beat))
		}
		for ; next <= float64(now); next = arrives() {
			for i := range pcm {
				pcm[i] = l.sound(at*n + i)
			}
			p.put(&sound{pcm: pcm, rateHz: 8000 * n, at: int64(at)}, epoch.Add(time.Duration(next*125e3)))
			packet, at, started = packet+1, at+l.length, true
		}
		if !started {
			continue
		}
		p.take(frame, epoch.Add(time.Duration(now)*125*time.Microsecond))
		h.pcm = append(h.pcm, frame...)
		from := (p.read-p.offset)/int64(n) - media.FrameSamples // where the frame began
		h.from = append(h.from, int(p.read-p.offset)-len(frame))
		h.delays = append(h.delays, float64(now)-float64(from)/(1+l.ppm/1e6))
		h.buffer = append(h.buffer, count.read().Buffer)
	}
	h.concealed = float64(count.concealed.Load()) / float64(len(h.pcm)/n)
	return h
}

// mean is the delay in ms from one second to another.
func (h *heard) mean(from, to int) float64 {
	sum := 0.0
	for _, d := range h.delays[from*50 : to*50] {
		sum += d
	}
	return sum / float64((to-from)*50) / 8
}

func tone(freq, rateHz float64) func(int) int16 {
	return func(i int) int16 { return int16(9000 * math.Sin(2*math.Pi*freq*float64(i)/rateHz)) }
}

// spoken is the recorded speech, round and round.
func spoken(tb testing.TB) func(int) int16 {
	tb.Helper()
	d, err := transcode.NewDecoder(media.PCMU, 8000)
	if err != nil {
		tb.Fatal(err)
	}
	pcm := make([]int16, len(media.Speech()))
	if _, err := d.Decode(media.Speech(), pcm); err != nil {
		tb.Fatal(err)
	}
	return func(i int) int16 { return pcm[i%len(pcm)] }
}

// bend is the largest change of slope: a click shows there first.
func bend(pcm []int16) int {
	most := 0
	for i := 2; i < len(pcm); i++ {
		b := int(pcm[i]) - 2*int(pcm[i-1]) + int(pcm[i-2])
		most = max(most, b, -b)
	}
	return most
}

func uniform(ms float64) func(int) float64 {
	rng := rand.New(rand.NewPCG(3, 4))
	return func(int) float64 { return rng.Float64() * ms * 8 }
}

// bursts holds everything back for up to so many ms, twice a second on average.
func bursts(ms float64) func(int) float64 {
	rng := rand.New(rand.NewPCG(5, 6))
	return func(int) float64 {
		if rng.Float64() < 1.0/25 {
			return rng.Float64() * ms * 8
		}
		return rng.Float64() * 8
	}
}

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
		mean, most, concealed, waits := 0.0, 0.0, 0.0, time.Duration(0)
		for phase := range 16 {
			h := path{sound: speech, delay: j.delay, phase: 10 * phase}.run(t, 40*time.Second)
			mean += h.mean(5, 39) / 16
			most = max(most, h.mean(5, 39))
			concealed = max(concealed, 100*h.concealed)
			waits += h.buffer[len(h.buffer)-1] / 16
			unbroken(t, j.name, h, speech)
		}
		t.Logf("%-16s delay %.1f ms, %.1f at the worst phase of the beat; waits %v; concealed %.2f %%", j.name, mean, most, waits.Round(100*time.Microsecond), concealed)
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

// unbroken fails where sound has a corner that what was said has nowhere near.
func unbroken(t *testing.T, name string, h *heard, said func(int) int16) {
	t.Helper()
	n := len(h.pcm) / len(h.from)
	at, most := -1, 0
	for i, from := range h.from {
		if i < 100 {
			continue
		}
		got := bend(h.pcm[i*n-2 : (i+1)*n])
		if got < 1200 {
			continue
		}
		if from != at { // 40 ms to either side: what was left out or repeated
			near := make([]int16, 5*n)
			for j := range near {
				near[j] = said(max(from-2*n+j, 0))
			}
			at, most = from, bend(near)
		}
		if got > most*3/2+300 {
			t.Errorf("%s: a click at %d ms: the sound bends by %d, what was said by %d", name, i*20, got, most)
			return
		}
	}
}
