package media

import "testing"

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
			r.Add(q.highest, q.lost)
		}
		if expected, lost := r.Sums(); expected != c.expected || lost != c.lost {
			t.Errorf("%s: %d of %d, want %d of %d", name, lost, expected, c.lost, c.expected)
		}
	}
}
