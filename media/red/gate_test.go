package red

import (
	"testing"
	"time"
)

func TestGate(t *testing.T) {
	var g Gate
	start := time.Unix(1000, 0)
	for _, c := range []struct {
		second int
		loss   float64
		want   int
	}{
		{0, 0, 0}, {1, 1.9, 0},
		{2, 2, 1},               // opens at once
		{3, 0, 1}, {10, 0.8, 1}, // not calm
		{11, 0, 1}, {25, 0, 1}, {26, 0, 0}, // calm for 15 s
		{27, 12, 2}, {28, 6, 2},
		{29, 3, 2}, {43, 3, 2}, {44, 3, 1}, // eased for 15 s
		{45, 0.4, 1}, {59, 3, 1}, {60, 0, 1}, {75, 0, 0},
		{76, 100, 2},
	} {
		g.Report(c.loss, start.Add(time.Duration(c.second)*time.Second))
		if g.Depth() != c.want {
			t.Errorf("at %d s with %v %%: depth %d, want %d", c.second, c.loss, g.Depth(), c.want)
		}
	}
	g = Gate{Calm: time.Minute}
	for second := range 70 {
		g.Report(max(0, float64(5-second)), start.Add(time.Duration(second)*time.Second))
		if open := g.Depth() > 0; open != (second < 65) {
			t.Errorf("a minute's gate after %d s: open %v", second, open)
		}
	}
}
