package bridge

import (
	"testing"
	"time"

	"github.com/roomline/roomline/media"
)

func TestWhatIsRecoveredAndConcealedIsCounted(t *testing.T) {
	for _, c := range []struct {
		name                 string
		codec                media.Codec
		fec                  bool
		samples, lost        int
		recovered, concealed time.Duration
	}{
		{"Opus with redundancy", media.Opus, true, 160, 1, 20, 0},
		{"Opus with redundancy, two lost", media.Opus, true, 160, 2, 20, 20},
		{"Opus with redundancy, 60 ms packets", media.Opus, true, 480, 1, 60, 0},
		{"Opus without redundancy", media.Opus, false, 160, 1, 0, 20},
		{"PCMU", media.PCMU, false, 160, 2, 0, 40},
	} {
		withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
			join(t, r, "b", KindPhone).Listen(&wire{}, media.PCMA, 20*time.Millisecond)
			v := newVoice(t, join(t, r, "a", KindWHIP), c.codec, 440, c.samples)
			if c.fec {
				v.enc.SetLoss(20)
			}
			length := time.Duration(c.samples) * time.Second / 8000
			v.say(480 * time.Millisecond)
			for range c.lost {
				v.next()
			}
			v.say(960 * time.Millisecond)
			got := v.src.Hearing()
			want := Hearing{
				Heard:     1440*time.Millisecond + time.Duration(c.lost)*length,
				Recovered: c.recovered * time.Millisecond, Concealed: c.concealed * time.Millisecond,
			}
			if got != want {
				t.Errorf("%s: %+v, want %+v", c.name, got, want)
			}
		})
	}
}

// A browser that repeats its packets (RED): what came so is counted as recovered.
func TestRedundantPacketsAreCounted(t *testing.T) {
	withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
		join(t, r, "b", KindPhone).Listen(&wire{}, media.PCMA, 20*time.Millisecond)
		v := newVoice(t, join(t, r, "a", KindBrowser), media.Opus, 440, 160)
		v.say(100 * time.Millisecond)
		p := v.next()
		p.Redundant = true
		v.src.Push(p)
		v.say(100 * time.Millisecond)
		if got, want := v.src.Hearing(), (Hearing{Heard: 220 * time.Millisecond, Recovered: 20 * time.Millisecond}); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	})
}
