package media

import (
	"testing"
	"time"
)

// ITU-T G.107 gives R = 93.2 for its default values; annex B's table maps R to
// MOS; G.113 appendix I gives the loss impairments of G.711 with concealment.
func TestEModelAgainstPublishedValues(t *testing.T) {
	r, mos := EModel(PCMU, 0, 1, 0)
	within(t, "R of all defaults", r, 93.2, 0.05)
	within(t, "MOS of all defaults", mos, 4.41, 0.01)

	for _, m := range []struct{ r, mos float64 }{{90, 4.34}, {80, 4.03}, {70, 3.60}, {60, 3.10}, {50, 2.58}, {0, 1}, {3, 1}} {
		within(t, "MOS", opinionScore(m.r), m.mos, 0.01)
	}

	// G.113 table I.2 rounds to 5, in the older form "Ie at a loss of".
	for _, l := range []struct{ percent, impairment float64 }{{0, 0}, {1, 5}, {2, 7}, {3, 10}, {5, 15}, {7, 20}, {10, 25}} {
		within(t, "Ie-eff of G.711 with concealment", lossImpairment(PCMA, l.percent, 1), l.impairment, 3)
	}
}

// G.114's figure 1: users are very satisfied up to about 150 ms, satisfied to about
// 275 ms, and at 400 ms some are dissatisfied.
func TestEModelDelayFollowsG114(t *testing.T) {
	for _, d := range []struct {
		ms       int
		low, top float64
	}{{50, 91, 93.2}, {100, 90, 93}, {150, 88, 91}, {200, 84, 88}, {300, 72, 80}, {400, 60, 71}} {
		if r, _ := EModel(PCMU, 0, 1, time.Duration(d.ms)*time.Millisecond); r < d.low || r > d.top {
			t.Errorf("R at %d ms = %.1f, want %g to %g", d.ms, r, d.low, d.top)
		}
	}
}

func TestEModelStaysInRangeAndFalls(t *testing.T) {
	last := 100.0
	for loss := 0.0; loss <= 100; loss++ {
		r, mos := EModel(Opus, loss, 0, time.Duration(loss)*10*time.Millisecond)
		if r > last || r < 0 || r > 93.2 || mos < 1 || mos > 4.5 {
			t.Fatalf("at %g %%: R %.2f after %.2f, MOS %.2f", loss, r, last, mos)
		}
		last = r
	}
	even, _ := EModel(PCMU, 5, 1, 0)
	if burst, _ := EModel(PCMU, 5, 2, 0); burst >= even {
		t.Errorf("R %.1f of bursts is not below R %.1f of single losses", burst, even)
	}
	if r, _ := EModel(PCMU, 150, -3, -time.Second); r < 0 {
		t.Errorf("nonsense gives R %.1f", r)
	}
}
