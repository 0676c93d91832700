package agent

import (
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
)

func TestAShareOfCallsFollowsLoadFailuresAndStarts(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	for name, c := range map[string]struct {
		worker func(w *worker)
		quick  time.Duration
		want   int
	}{
		"idle":                  {func(*worker) {}, 0, 1},
		"three calls":           {func(w *worker) { w.calls = 3 }, 0, 4},
		"a failure just now":    {func(w *worker) { w.broke(now, bridge.FaultGone, "") }, 0, 2},
		"two, with a call":      {func(w *worker) { w.calls, w.bad = 1, 2 }, 0, 6},
		"as quick as the best":  {func(w *worker) { w.start = 400 * time.Millisecond }, 400 * time.Millisecond, 1},
		"four times as slow":    {func(w *worker) { w.start = 800 * time.Millisecond }, 200 * time.Millisecond, 2},
		"slow beyond measure":   {func(w *worker) { w.start = 10 * time.Second }, 10 * time.Millisecond, 4},
		"slower, yet all quick": {func(w *worker) { w.start = 90 * time.Millisecond }, time.Millisecond, 1},
	} {
		w := newWorker("ws://127.0.0.1/", now, 0)
		c.worker(w)
		if got := w.load(now, c.quick); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

func TestFailuresAreForgotten(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	w := newWorker("ws://127.0.0.1/", now, 0)
	w.broke(now, bridge.FaultGone, "")
	if got := w.load(now.Add(2*memory), 0); got != 1 {
		t.Errorf("after a minute it weighs %d", got)
	}
}

func TestACallThatWorksMakesTheNextQuarantineShort(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	w := newWorker("ws://127.0.0.1/", now, 0)
	down := func() time.Duration {
		w.refused(now, bridge.FaultRefused, "")
		w.refused(now, bridge.FaultRefused, "")
		return w.due.Sub(now)
	}
	if d := down(); d != time.Second {
		t.Errorf("the first is %s", d)
	}
	w.recover(now)
	if d := down(); d != 2*time.Second {
		t.Errorf("the second is %s", d)
	}
	w.recover(now)
	w.served(time.Millisecond)
	if d := down(); d != time.Second {
		t.Errorf("after a call it is %s", d)
	}
}
