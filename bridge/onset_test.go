package bridge

import (
	"slices"
	"testing"
	"time"

	"github.com/roomline/roomline/media"
)

// onsets says ten bursts of tone, 50 packets from one to the next, over a path that
// delays each packet, and returns when they began.
func (v *voice) onsets(delay func(packet int) float64) (said []time.Time) {
	begun, freq := time.Now(), v.freq
	for n := range 500 {
		due := begun.Add(time.Duration(n) * 20 * time.Millisecond)
		v.freq = 0
		if n%50 >= 40 {
			v.freq = freq
		}
		if n%50 == 40 {
			said = append(said, due)
			v.n = 0
		}
		p := v.next()
		time.Sleep(time.Until(due.Add(time.Duration(delay(n) * 125e3)))) // in order: the next one waits for this
		v.push(p)
	}
	v.freq = freq
	return said
}

// heardAt returns when bursts of tone begin in what a wire was written.
func (w *wire) heardAt(t *testing.T) (heard []time.Time) {
	t.Helper()
	quiet := 0
	pcm := decoded(t, w.all())
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, v := range pcm {
		if v < 1000 && v > -1000 {
			quiet++
			continue
		}
		if quiet > 800 {
			heard = append(heard, w.at[i/160].Add(time.Duration(i%160)*125*time.Microsecond))
		}
		quiet = 0
	}
	return heard
}

func TestDelayOfTheMixedRoadByOnset(t *testing.T) {
	for _, j := range []struct {
		name   string
		delay  func(int) float64
		demand time.Duration
	}{
		{"no jitter", func(int) float64 { return 0 }, 0},
		{"uniform, 10 ms", uniform(10), 10 * time.Millisecond},
		{"uniform, 30 ms", uniform(30), 30 * time.Millisecond},
		{"uniform, 60 ms", uniform(60), 60 * time.Millisecond},
	} {
		var all []time.Duration
		for phase := range 8 {
			withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
				w := &wire{}
				join(t, r, "phone", KindPhone).Listen(w, media.PCMU, 20*time.Millisecond)
				v := newVoice(t, join(t, r, "a", KindPhone), media.PCMU, 440, 160)
				other := newVoice(t, join(t, r, "b", KindPhone), media.PCMU, 0, 160)
				time.Sleep(time.Duration(phase) * 2500 * time.Microsecond)
				done := make(chan struct{})
				go func() {
					defer close(done)
					other.say(13 * time.Second)
				}()
				v.say(time.Second)
				v.freq = 0
				v.say(200 * time.Millisecond)
				v.freq = 440
				said := v.onsets(j.delay)
				<-done
				heard := w.heardAt(t)
				if len(heard) < len(said) {
					t.Fatalf("%s: %d onsets of %d are heard", j.name, len(heard), len(said))
				}
				heard = heard[len(heard)-len(said):]
				for i := 3; i < len(said); i++ {
					all = append(all, heard[i].Sub(said[i]))
				}
			})
		}
		slices.Sort(all)
		median, most := all[len(all)/2], all[len(all)-1]
		t.Logf("%s: %v to %v, half of them within %v", j.name, all[0], most, median)
		if most > j.demand+22*time.Millisecond {
			t.Errorf("%s: a delay of %v, want 22 ms and what the jitter demands at most", j.name, most)
		}
	}
}
