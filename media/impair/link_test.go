package impair

import (
	"math"
	"testing"
	"time"
)

func TestLossComesInBursts(t *testing.T) {
	for _, n := range []Network{{Loss: 2, Burst: 2.5}, {Loss: 10, Burst: 3}, {Loss: 5}, {}} {
		l, lost, runs, before := NewLink(n), 0, 0, false
		const packets = 400000
		for i := range packets {
			gone := len(l.Carry(time.Unix(0, int64(i)))) == 0
			if gone {
				lost++
				if !before {
					runs++
				}
			}
			before = gone
		}
		if got := 100 * float64(lost) / packets; math.Abs(got-n.Loss) > n.Loss/15 {
			t.Errorf("%+v: %.2f %% lost", n, got)
		}
		if mean := float64(lost) / float64(max(1, runs)); n.Burst > 1 && math.Abs(mean-n.Burst) > 0.1 {
			t.Errorf("%+v: %.2f packets in a row", n, mean)
		}
	}
}

func TestDelayKeepsTheOrderUnlessAsked(t *testing.T) {
	start := time.Unix(1000, 0)
	for _, reorder := range []float64{0, 3} {
		l := NewLink(Network{Delay: 40 * time.Millisecond, Jitter: 30 * time.Millisecond, Reorder: reorder, Duplicate: 1, Seed: 7})
		overtaken, doubled, last := 0, 0, start
		for i := range 10000 {
			sent := start.Add(time.Duration(i) * 20 * time.Millisecond)
			arrivals := l.Carry(sent)
			doubled += len(arrivals) - 1
			for _, at := range arrivals {
				if at.Before(sent.Add(40 * time.Millisecond)) {
					t.Fatalf("packet %d takes %s", i, at.Sub(sent))
				}
				if at.Before(last) {
					overtaken++
				}
				last = at
			}
		}
		if reorder == 0 && overtaken > 0 || reorder > 0 && overtaken < 50 {
			t.Errorf("%g %% reordered: %d came before the one before", reorder, overtaken)
		}
		if doubled < 60 || doubled > 140 {
			t.Errorf("%d of 10000 came twice", doubled)
		}
	}
}

func TestTheSameSeedIsTheSameNetwork(t *testing.T) {
	n := Network{Loss: 10, Burst: 2, Jitter: time.Second, Duplicate: 10, Seed: 3}
	a, b := NewLink(n), NewLink(n)
	for range 1000 {
		x, y := a.Carry(time.Time{}), b.Carry(time.Time{})
		if len(x) != len(y) || len(x) > 0 && !x[0].Equal(y[0]) {
			t.Fatal("two networks")
		}
	}
}
