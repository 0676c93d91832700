package simulate

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/phone"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// peer is an agent made of tones: it greets with 440 Hz, answers what it hears
// with 660 Hz, presses and hangs up, as its habits say.
type peer struct {
	greets  time.Duration // from the answer to the greeting; negative: never
	lasts   time.Duration // of the greeting
	answers time.Duration // from the end of what it hears to its answer; negative: never
	yields  time.Duration // from the beginning of what it hears to its silence; negative: never
	presses string        // at the answer
	leaves  bool          // after its first answer
	mute    bool          // sends no packet
	refuse  bridge.Cause  // in place of the answer
}

// answer serves calls to a phone until the test ends, and returns whom to call.
func (a peer) answer(t *testing.T) string {
	t.Helper()
	p, err := phone.Open(t.Context(), phone.Config{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var calls sync.WaitGroup
	calls.Go(func() {
		for {
			c, err := p.Next(ctx)
			if err != nil {
				return
			}
			calls.Go(func() { a.serve(ctx, c) })
		}
	})
	t.Cleanup(func() {
		cancel()
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		calls.Wait()
	})
	return p.URI("agent")
}

func (a peer) serve(ctx context.Context, c *phone.Call) {
	if a.refuse != "" {
		c.Reject(a.refuse, "")
		return
	}
	c.Mute(a.mute)
	if c.Answer(ctx) != nil {
		return
	}
	defer c.Hangup()
	var keys sync.WaitGroup
	defer keys.Wait()
	if a.presses != "" {
		keys.Go(func() { c.SendDigits(ctx, a.presses) })
	}
	began := time.Now()
	greeted, spoke, yielded := a.greets < 0, false, false
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-c.Ended():
			return
		case <-ctx.Done():
			return
		}
		if !greeted && time.Since(began) >= a.greets {
			greeted = true
			c.Speak(burst(440, a.lasts))
		}
		at, talking, ended := listening(c)
		switch {
		case talking && !yielded && a.yields >= 0 && at >= a.yields:
			yielded = true
			c.Speak(nil)
		case ended && !spoke && a.answers >= 0 && at >= a.answers:
			spoke = true
			<-c.Speak(burst(660, time.Second))
			if a.leaves {
				time.Sleep(50 * time.Millisecond)
				return
			}
		}
	}
}

// listening tells, of what was heard last, for how long it has gone on, or how
// long ago it ended, in the time of the sound's own clock.
func listening(c *phone.Call) (since time.Duration, talking, ended bool) {
	pcm := c.Heard()
	spans := Spans(pcm)
	if len(spans) == 0 {
		return 0, false, false
	}
	last := spans[len(spans)-1]
	now := timeOf(len(pcm))
	if now-last.To > 30*ms {
		return now - last.To, false, true
	}
	return now - last.From, true, false
}

func burst(hz float64, lasts time.Duration) phone.Source {
	pcm := make([]int16, samplesIn(lasts))
	phone.Tone(hz, -15).Read(pcm)
	return phone.Recording(pcm, false)
}

// call plays scenarios, YAML without their file, against an agent.
func (a peer) call(t *testing.T, scenarios string, tweaks ...func(*Options)) *Result {
	t.Helper()
	s, err := Parse([]byte(scenarios), "test.yaml", noEnv)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{To: a.answer(t), Parallel: 4, Log: nil}
	for _, tweak := range tweaks {
		tweak(&o)
	}
	r, err := Run(t.Context(), []*Suite{s}, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range r.Outcomes {
		t.Logf("%s\n%s", o.Line(), o.Story())
	}
	return r
}

func writeTone(t *testing.T, name string, lasts time.Duration) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	pcm := make([]int16, samplesIn(lasts))
	phone.Tone(800, -15).Read(pcm)
	if err := errors.Join(media.WriteWAV(f, pcm, media.NarrowbandHz), f.Close()); err != nil {
		t.Fatal(err)
	}
}
