package bridge

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/transcode"
)

func TestRedundancyFollowsLossUpAtOnceAndDownSlowly(t *testing.T) {
	var s steering
	now := time.Now()
	after := func(d time.Duration, loss float64) int {
		now = now.Add(d)
		return s.report(loss, now)
	}
	for _, c := range []struct {
		after       time.Duration
		loss        float64
		least, most int
	}{
		{time.Second, 0, 0, 0},
		{time.Second, 0.8, 0, 0}, // not worth it
		{time.Second, 12, 12, 12},
		{time.Second, 0, 9, 12},
		{time.Second, 60, mostLoss, mostLoss},
		{time.Second, 0, 20, mostLoss},
		{5 * time.Second, 0, 6, 9},
		{5 * time.Second, 0, 2, 4},
		{10 * time.Second, 0, 0, 0},
	} {
		if got := after(c.after, c.loss); got < c.least || got > c.most {
			t.Errorf("%v after, at %v %%: told %d, want %d to %d", c.after, c.loss, got, c.least, c.most)
		}
	}
	changes, told := 0, 0
	for i := range 120 { // two minutes on a line that loses 3 to 5 % now and then
		got := after(time.Second, []float64{4, 3, 5, 3.5, 0}[i%5])
		if got != told {
			changes++
		}
		told = got
	}
	if changes > 2 {
		t.Errorf("on an even line the encoder was told something else %d times in two minutes", changes)
	}
}

// reporting is a wire whose listener reports loss.
type reporting struct {
	wire
	percent atomic.Int64
}

func (w *reporting) UnmendedLoss() float64 { return float64(w.percent.Load()) }

// redundant counts the packets since the last call that carry redundancy.
func (w *reporting) redundant() (with, all int) {
	for _, p := range w.all() {
		all++
		if transcode.Redundancy(p.Codec, p.Payload, 8000) > 0 {
			with++
		}
	}
	w.mu.Lock()
	w.packets = nil
	w.mu.Unlock()
	return with, all
}

func TestAReportReachesTheEncoderWithinASecond(t *testing.T) {
	for _, mixed := range []bool{false, true} {
		withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
			w := &reporting{}
			k := join(t, r, "b", KindPhone).Listen(w, media.Opus, 0)
			v := newVoice(t, join(t, r, "a", KindPhone), media.PCMU, 440, 160)
			speech := pusher(t, v.src, media.PCMU)
			other := func() {}
			if mixed {
				other = pusher(t, newVoice(t, join(t, r, "c", KindPhone), media.PCMU, 900, 160).src, media.PCMU)
			}
			say := func(seconds int) {
				for range 50 * seconds {
					speech()
					other()
					time.Sleep(20 * time.Millisecond)
				}
			}
			say(2)
			if want := map[bool]string{false: "direct", true: "mixed"}[mixed]; k.Road() != want {
				t.Fatalf("the road is %s", k.Road())
			}
			if with, all := w.redundant(); with > 0 || all < 95 {
				t.Errorf("mixed %v: %d of %d packets carry redundancy without loss", mixed, with, all)
			}
			w.percent.Store(10)
			say(1)
			w.redundant()
			say(2)
			if with, all := w.redundant(); with < all/2 {
				t.Errorf("mixed %v: %d of %d packets carry redundancy at 10 %% loss", mixed, with, all)
			}
			w.percent.Store(0)
			say(15)
			w.redundant()
			say(2)
			if with, all := w.redundant(); with > 0 {
				t.Errorf("mixed %v: %d of %d packets carry redundancy long after the loss", mixed, with, all)
			}
		})
	}
}
