package red

import (
	"cmp"
	"time"
)

// When redundancy is sent, by the loss that the listener reports, in percent.
const (
	startLoss = 2.0 // from here on each packet repeats the one before it
	heavyLoss = 10.0
	easedLoss = 5.0              // below it, two are one too many
	calmLoss  = 0.5              // below it, none is needed
	calmFor   = 15 * time.Second // for so long, unless the Gate says otherwise
)

// Gate decides how many packets to repeat, so that redundancy costs nothing where
// nothing is lost. It opens at once and closes slowly. The zero value is closed.
type Gate struct {
	Calm time.Duration // how long loss must be low before one packet less is repeated; 0: 15 s

	depth int
	below time.Time // since when fewer would do; zero: they would not
}

// Depth is how many packets are to be repeated, 0 to [MaxDepth].
func (g *Gate) Depth() int { return g.depth }

// Report takes in the loss of the last interval, in percent, reported at now.
func (g *Gate) Report(loss float64, now time.Time) {
	if need := needed(loss); need > g.depth {
		g.depth, g.below = need, time.Time{}
		return
	}
	if g.depth == 0 || loss >= g.enough() {
		g.below = time.Time{}
		return
	}
	if g.below.IsZero() {
		g.below = now
	}
	if now.Sub(g.below) >= cmp.Or(g.Calm, calmFor) {
		g.depth, g.below = g.depth-1, time.Time{}
	}
}

func needed(loss float64) int {
	switch {
	case loss >= heavyLoss:
		return 2
	case loss >= startLoss:
		return 1
	}
	return 0
}

// enough is the loss below which one packet less will do.
func (g *Gate) enough() float64 {
	if g.depth > 1 {
		return easedLoss
	}
	return calmLoss
}
