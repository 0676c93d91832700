package bridge

import (
	"math"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomline/roomline/media"
)

func TestATapHearsWhatIsSaid(t *testing.T) {
	for _, c := range []struct {
		codec   media.Codec
		samples int
		rateHz  int
	}{{media.PCMU, 160, 8000}, {media.PCMA, 240, 8000}, {media.G722, 320, 16000}, {media.Opus, 960, 48000}, {media.Opus, 480, 8000}} {
		if c.rateHz == 48000 {
			c.rateHz, c.samples = 16000, 320
		}
		withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
			v := newVoiceAt(t, join(t, r, "phone", KindPhone), c.codec, 440, c.samples, c.rateHz)
			var one, two []int16
			at := time.Duration(-1)
			stop := v.src.Tap(func(pcm []int16, when time.Duration) {
				one = append(one, pcm...)
				if when <= at {
					t.Errorf("sound at %s after %s", when, at)
				}
				at = when
			})
			stopTwo := v.src.Tap(func(pcm []int16, _ time.Duration) { two = append(two, pcm...) })
			v.say(time.Second)
			stopTwo()
			stopTwo()
			n := len(two)
			v.say(time.Second)
			stop()
			v.say(time.Second)
			if len(two) != n || n < 7000 || len(one) < 15000 || len(one) > 16000 {
				t.Errorf("%s: they heard %d and %d samples", c.codec, len(one), len(two))
			}
			if db := toneDB(one[8000:], 440); math.Abs(db-voiceDB) > 1 {
				t.Errorf("%s: heard at %.1f dB, want %.1f", c.codec, db, voiceDB)
			}
			if at < 1850*time.Millisecond || at > 2*time.Second {
				t.Errorf("%s: the last sound is at %s", c.codec, at)
			}
			if v.src.fan.Load().sound {
				t.Errorf("%s: it is decoded for nobody", c.codec)
			}
		})
	}
}

// Turns are told where they begin and end, on lines with more noise and less, and also
// where a pause is not sent at all.
func TestTurnsBeginAndEnd(t *testing.T) {
	for _, c := range []struct {
		name  string
		noise float64 // RMS
		gain  float64
		sends bool // the pauses
	}{{"clear", 0, 1, true}, {"noisy", 150, 1, true}, {"soft", 10, 0.2, true}, {"pauses are not sent", 10, 1, false}} {
		withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
			p := join(t, r, "phone", KindPhone)
			v := newVoice(t, p, media.PCMU, 0, 160)
			speech, dice, speaking := recorded(8000), rand.New(rand.NewPCG(1, 2)), false
			v.sound = func(n int) int16 {
				s := c.noise * dice.NormFloat64()
				if speaking {
					s += c.gain * float64(speech[n%len(speech)])
				}
				return int16(s)
			}
			var turns []Turn
			stop := p.Turns(TurnSpec{}, func(turn Turn) { turns = append(turns, turn) })
			pause := func() {
				if c.sends {
					v.say(2 * time.Second)
				} else {
					time.Sleep(2 * time.Second)
				}
			}
			var want []time.Time
			pause()
			for range 3 {
				v.n = 0
				speaking = true
				want = append(want, time.Now())
				v.say(2 * time.Second)
				speaking = false
				want = append(want, time.Now())
				pause()
			}
			synctest.Wait()
			stop()
			stop()
			if len(turns) != 6 {
				t.Fatalf("%s: %d turns were told: %v", c.name, len(turns), turns)
			}
			for i, turn := range turns {
				if off := turn.At.Sub(want[i]); turn.Began != (i%2 == 0) || off > 200*time.Millisecond || off < -450*time.Millisecond {
					t.Errorf("%s: turn %d is told %s off, began %v", c.name, i, off, turn.Began)
				}
			}
		})
	}
}

func TestNoiseIsNoTurn(t *testing.T) {
	withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
		p := join(t, r, "phone", KindPhone)
		v := newVoice(t, p, media.PCMU, 0, 160)
		v.hiss = 50
		told := 0
		defer p.Turns(TurnSpec{}, func(Turn) { told++ })()
		v.say(20 * time.Second)
		synctest.Wait()
		if told > 0 {
			t.Errorf("noise is told as %d turns", told)
		}
	})
}
