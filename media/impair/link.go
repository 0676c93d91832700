// Package impair is a bad network for tests and measurements: packets are lost in
// bursts, delayed unevenly, overtaken and doubled, the same way each time for the
// same seed. A [Link] says what becomes of each packet and does nothing; a
// [Listen] puts links before real sockets, each with two goroutines of its own,
// for which Close waits.
package impair

import (
	"math/rand/v2"
	"time"
)

// Network says what happens to packets. The zero value delivers all at once.
type Network struct {
	Loss      float64       // percent, in the long run
	Burst     float64       // mean number of packets that are lost in a row; up to 1: each by itself
	Delay     time.Duration // of every packet
	Jitter    time.Duration // standard deviation of the normal delay on top, which is never negative nor more than four times as much
	Reorder   float64       // percent of packets that do not wait behind the one before
	Duplicate float64       // percent of packets that come twice
	Seed      uint64
}

// Link is one direction of a Network. Not safe for concurrent use.
type Link struct {
	n    Network
	rand *rand.Rand
	bad  bool      // the last packet was lost
	last time.Time // when the last one arrived
}

// NewLink makes a link whose packets have not begun to flow.
func NewLink(n Network) *Link {
	return &Link{n: n, rand: rand.New(rand.NewPCG(n.Seed, 1))}
}

// Carry takes a packet sent at a time and returns when it arrives: never, once or
// twice. Packets keep their order but for those that Reorder takes out.
func (l *Link) Carry(sent time.Time) []time.Time {
	if l.loses() {
		return nil
	}
	copies := 1
	if l.percent(l.n.Duplicate) {
		copies = 2
	}
	arrivals := make([]time.Time, 0, 2)
	for range copies {
		arrivals = append(arrivals, l.arrival(sent))
	}
	return arrivals
}

func (l *Link) arrival(sent time.Time) time.Time {
	late := l.n.Delay
	if l.n.Jitter > 0 {
		late += time.Duration(max(0, min(4, l.rand.NormFloat64())) * float64(l.n.Jitter))
	}
	at := sent.Add(late)
	if l.percent(l.n.Reorder) {
		return sent.Add(l.n.Delay)
	}
	if at.Before(l.last) {
		at = l.last
	}
	l.last = at
	return at
}

// loses is Gilbert's model: two states, in one of which every packet is lost.
func (l *Link) loses() bool {
	if l.n.Burst <= 1 {
		return l.percent(l.n.Loss)
	}
	leave := 1 / l.n.Burst
	p := l.n.Loss / 100
	if l.bad {
		l.bad = l.rand.Float64() >= leave
	} else {
		l.bad = p > 0 && l.rand.Float64() < leave*p/(1-p)
	}
	return l.bad
}

func (l *Link) percent(p float64) bool { return p > 0 && l.rand.Float64()*100 < p }
