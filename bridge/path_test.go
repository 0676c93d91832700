package bridge

import (
	"math"
	"math/rand/v2"
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
	skips  func(beat int) bool    // beats that do not happen
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
		if !started || l.skips != nil && l.skips(beat) {
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
