package media

import (
	"math/rand/v2"
	"testing"
)

// play feeds a pattern of packets (1 came, 0 did not), beginning with number at.
func play(l *Losses, at uint16, pattern string) {
	for i, c := range pattern {
		if c == '1' {
			l.Add(at + uint16(i))
		}
	}
}

// The example of Chydzinski et al. (2019): a quarter is lost, in two runs of mean
// length 2, where random loss has runs of 4/3.
func TestBurstRatioOfAPublishedExample(t *testing.T) {
	for _, at := range []uint16{0, 1000, 65530} {
		var l Losses
		play(&l, at, "1101111100011111")
		l.Restart()
		if p := l.Pattern(); p != (LossPattern{Received: 12, Lost: 4, Runs: 2}) {
			t.Fatalf("from %d: %+v", at, p)
		}
		within(t, "BurstR", l.Pattern().BurstRatio(), 1.5, 1e-9)
	}
}

func TestLossesBearDisorder(t *testing.T) {
	for name, c := range map[string]struct {
		packets []uint16
		want    LossPattern
	}{
		"late":               {[]uint16{1, 2, 5, 4, 3, 6}, LossPattern{6, 0, 0}},
		"twice":              {[]uint16{1, 2, 2, 1, 3, 3}, LossPattern{3, 0, 0}},
		"before the first":   {[]uint16{10, 9, 8, 11}, LossPattern{2, 0, 0}},
		"late into a run":    {[]uint16{1, 5, 3}, LossPattern{3, 2, 2}},
		"a gap of 1000":      {[]uint16{1, 1002, 1003}, LossPattern{3, 1000, 1}},
		"too late to count":  {[]uint16{1, 3, 100, 2}, LossPattern{3, 97, 2}},
		"a gap of the depth": {[]uint16{1, 34}, LossPattern{2, 32, 1}},
		"past 65535":         {[]uint16{65534, 0, 65535, 2}, LossPattern{4, 1, 1}},
		"numbers anew, up":   {[]uint16{1, 2, 20000, 20001}, LossPattern{4, 0, 0}},
		"numbers anew, down": {[]uint16{20000, 20001, 7, 8}, LossPattern{4, 0, 0}},
		"nothing":            {nil, LossPattern{}},
	} {
		var l Losses
		for _, n := range c.packets {
			l.Add(n)
		}
		l.Restart()
		if l.Pattern() != c.want {
			t.Errorf("%s: %+v, want %+v", name, l.Pattern(), c.want)
		}
	}
}

func TestLossesGoOnAfterARestart(t *testing.T) {
	var l Losses
	play(&l, 10, "1101")
	l.Restart()
	before := l.Pattern()
	play(&l, 40000, "1011")
	l.Restart()
	if p := l.Pattern(); p != (LossPattern{6, 2, 2}) || p.Since(before) != (LossPattern{3, 1, 1}) || p.Since(before).Plus(before) != p {
		t.Errorf("%+v then %+v", before, p)
	}
	if (LossPattern{}).Since(before) != (LossPattern{}) {
		t.Error("a counter that was taken back gives less than nothing")
	}
}

// Two states, each with its own chance to be left: BurstR = 1/(p+q) of G.107.
func TestBurstRatioOfAMarkovChain(t *testing.T) {
	for _, c := range []struct{ into, outOf float64 }{{0.02, 0.98}, {0.1, 0.9}, {0.02, 0.5}, {0.01, 0.24}} {
		dice := rand.New(rand.NewPCG(1, 2))
		var l Losses
		lost := false
		for n := range 400_000 {
			if lost {
				lost = dice.Float64() >= c.outOf
			} else {
				lost = dice.Float64() < c.into
			}
			if !lost {
				l.Add(uint16(n))
			}
		}
		want := 1 / (c.into + c.outOf)
		within(t, "BurstR", l.Pattern().BurstRatio(), want, 0.03*want)
	}
}

func TestLossesAllocateNothing(t *testing.T) {
	var l Losses
	n := uint16(0)
	if a := testing.AllocsPerRun(1000, func() { n += 3; l.Add(n) }); a != 0 {
		t.Errorf("%g allocations", a)
	}
}
