package agent

import (
	"slices"
	"time"

	"github.com/roomline/roomline/bridge"
)

// StartBounds are the upper bounds of the histogram of starts, in seconds.
var StartBounds = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

func newCounts() Counts {
	return Counts{
		Leases: map[string]uint64{"granted": 0, "refused": 0},
		Faults: map[bridge.Fault]uint64{},
		Starts: Histogram{Buckets: make([]uint64, len(StartBounds))},
	}
}

// Histogram counts durations.
type Histogram struct {
	Count   uint64
	Sum     float64  // seconds
	Buckets []uint64 // how many were at most the bound of StartBounds in this place
}

func (h *Histogram) add(d time.Duration) {
	h.Count++
	h.Sum += d.Seconds()
	for i, bound := range StartBounds {
		if d.Seconds() <= bound {
			h.Buckets[i]++
		}
	}
}

// recent holds the last durations that were added.
type recent struct {
	all  []time.Duration
	next int
}

const recentStarts = 128

func (r *recent) add(d time.Duration) {
	if len(r.all) < recentStarts {
		r.all = append(r.all, d)
		return
	}
	r.all[r.next] = d
	r.next = (r.next + 1) % recentStarts
}

// share returns the duration that this share of the others, 0 to 1, does not pass; 0 without any.
func (r *recent) share(of float64) time.Duration {
	if len(r.all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(r.all))
	return sorted[min(int(of*float64(len(sorted))), len(sorted)-1)]
}
