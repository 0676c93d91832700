package rtp

import (
	"fmt"
	"math/rand/v2"
	"sync"
)

// Ports hands out pairs of UDP ports, an even one for RTP and the next for RTCP
// (RFC 3550 section 11), round robin from a random start, so that a port that was
// given back rests as long as possible. It binds nothing. Safe for concurrent use.
type Ports struct {
	low, high int // as configured, for errors

	mu    sync.Mutex
	first int // even port of pair 0
	taken []bool
	next  int // index into taken
	inUse int
}

// NewPorts makes a pool of the pairs within low and high, both included.
func NewPorts(low, high int) (*Ports, error) {
	if low < 1 || high > 65535 || low > high {
		return nil, fmt.Errorf("RTP ports %d-%d: want a range within 1-65535", low, high)
	}
	first := low + low%2
	pairs := (high - first + 1) / 2
	if pairs < 1 {
		return nil, fmt.Errorf("RTP ports %d-%d: no even port with its neighbour in the range", low, high)
	}
	return &Ports{low: low, high: high, first: first, taken: make([]bool, pairs), next: rand.IntN(pairs)}, nil
}

// Take reserves the next free pair and returns its even port.
func (p *Ports) Take() (port int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for range p.taken {
		i := p.next
		p.next = (p.next + 1) % len(p.taken)
		if !p.taken[i] {
			p.taken[i] = true
			p.inUse++
			return p.first + 2*i, nil
		}
	}
	return 0, fmt.Errorf("all %d pairs of RTP ports %d-%d are in use", len(p.taken), p.low, p.high)
}

// Free gives the pair of an even port back. Ports that are not taken are ignored.
func (p *Ports) Free(port int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := (port - p.first) / 2
	if port < p.first || port%2 != 0 || i >= len(p.taken) || !p.taken[i] {
		return
	}
	p.taken[i] = false
	p.inUse--
}

// InUse returns how many pairs are taken.
func (p *Ports) InUse() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.inUse
}

// Pairs returns how many pairs there are.
func (p *Ports) Pairs() int { return len(p.taken) }
