package media

import (
	"math"
	"testing"
)

func TestReportsAddUp(t *testing.T) {
	type report struct{ highest, lost uint32 }
	for name, c := range map[string]struct {
		reports        []report
		expected, lost uint64
	}{
		"none":               {nil, 0, 0},
		"the first is base":  {[]report{{5000, 70}}, 0, 0},
		"some":               {[]report{{100, 0}, {150, 2}, {200, 2}}, 100, 2},
		"over the end":       {[]report{{1<<32 - 10, 3}, {40, 5}}, 50, 2},
		"twice":              {[]report{{100, 0}, {150, 2}, {150, 2}}, 50, 2},
		"disorder":           {[]report{{100, 0}, {200, 4}, {150, 2}, {250, 4}}, 150, 4},
		"duplicates there":   {[]report{{100, 1<<24 - 5}, {150, 1<<24 - 9}, {200, 1}}, 100, 1},
		"found again":        {[]report{{100, 5}, {150, 3}, {200, 4}}, 100, 1},
		"more than there is": {[]report{{100, 0}, {150, 9000}}, 50, 50},
		"nonsense":           {[]report{{100, 0}, {90_000_000, 2}, {150, 1}}, 50, 1},
	} {
		var r Reported
		for _, q := range c.reports {
			r.Add(0, q.highest, q.lost)
		}
		if expected, lost := r.Sums(); expected != c.expected || lost != c.lost {
			t.Errorf("%s: %d of %d, want %d of %d", name, lost, expected, c.lost, c.expected)
		}
	}
}

// What was lost before it came to us is not lost on the way to the peer.
func TestGapsOfOursAreNoLossThere(t *testing.T) {
	var r Reported
	highest, lost, sent := uint32(65500), uint32(0), 0
	report := func(dropped uint32) {
		t.Helper()
		before := highest
		for range 50 {
			highest++
			if sent++; sent%10 == 3 {
				lost++ // we skip the number
				continue
			}
			r.Sent(uint16(highest))
		}
		if sent%7 == 1 {
			r.Sent(uint16(highest)) // twice is no gap
		}
		lost += dropped
		r.Add(uint8(256*(5+dropped)/(highest-before)), highest, lost)
	}
	report(0)
	if !r.Heard() || math.Abs(r.Percent()-10) > 0.5 {
		t.Errorf("the first report, taken as it is: %.2f %%", r.Percent())
	}
	for _, dropped := range []uint32{0, 0, 5, 0, 1} {
		report(dropped)
		if want := 2 * float64(dropped); math.Abs(r.Percent()-want) > 0.5 {
			t.Errorf("%.2f %% of loss, want %g", r.Percent(), want)
		}
	}
	if expected, lost := r.Sums(); expected != 225 || lost != 6 {
		t.Errorf("%d of %d, want 6 of 225", lost, expected)
	}

	r = Reported{}
	for _, n := range []uint16{1, 2, 5, 3, 4, 6} { // forwarded out of order
		r.Sent(n)
	}
	if r.skipped != 0 {
		t.Errorf("disorder leaves %d gaps", r.skipped)
	}
	r.Add(64, 0, 0)
	r.Add(64, 0, 0)
	if r.Percent() != 25 {
		t.Errorf("%.1f %% of reports without numbers", r.Percent())
	}
}
