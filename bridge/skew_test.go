package bridge

import (
	"math"
	"testing"
	"time"

	"github.com/roomline/roomline/media"
)

// sayBy says something for so long by a clock that is faster than ours by ppm.
func (v *voice) sayBy(ppm float64, d time.Duration) {
	step := float64(v.samples) / float64(v.rateHz) * 1e9
	begun := time.Now()
	for n := 0; time.Since(begun) < d; n++ {
		v.push(v.next())
		time.Sleep(time.Until(begun.Add(time.Duration(float64(n+1) * step / (1 + ppm/1e6)))))
	}
}

func TestASkewedPhoneIsHeardOnEveryRoad(t *testing.T) {
	const length = 10 * time.Minute // on each
	for _, ppm := range []float64{-300, 300} {
		withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
			w := &wire{}
			sink := join(t, r, "phone", KindPhone).Listen(w, media.PCMU, 20*time.Millisecond)
			v := newVoice(t, join(t, r, "a", KindPhone), media.PCMU, 440, 160)
			other := newVoice(t, join(t, r, "b", KindPhone), media.PCMU, 0, 160)
			v.sayBy(ppm, time.Second)
			begun, first := time.Now(), len(w.all())-1
			for part, road := range []string{"mixed", "direct", "mixed"} {
				done := make(chan struct{})
				if road == "mixed" {
					go func() {
						defer close(done)
						other.sayBy(0, length)
					}()
				} else {
					close(done)
				}
				before := v.src.Hearing().Concealed
				v.sayBy(ppm, length/2)
				if sink.Road() != road {
					t.Fatalf("the road is %s, want %s", sink.Road(), road)
				}
				v.sayBy(ppm, length/2)
				<-done
				if c := v.src.Hearing().Concealed - before; c > 20*time.Millisecond { // where the road changes
					t.Errorf("%+.0f ppm, part %d, %s: %v concealed", ppm, part, road, c)
				}
			}
			elapsed := time.Since(begun)
			p := w.all()[first:]
			continuous(t, p, 160)
			stream := time.Duration(p[len(p)-1].Timestamp-p[0].Timestamp) * time.Second / 8000
			own := time.Duration(ppm / 1e6 * float64(length)) // the direct road keeps the phone's clock
			t.Logf("%+.0f ppm: the stream went on by %v in %v", ppm, stream-elapsed, elapsed)
			if off := stream - elapsed; math.Abs(float64(off)) > float64(max(own, -own)+60*time.Millisecond) {
				t.Errorf("%+.0f ppm: the stream went on by %v in %v", ppm, stream, elapsed)
			}
			pcm := decoded(t, p)
			clean(t, pcm)
			if s := silence(pcm); s > 0 {
				t.Errorf("%+.0f ppm: %v of silence", ppm, s)
			}
		})
	}
}
