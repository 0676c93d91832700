package sip

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
)

// lossy is a road that loses and doubles datagrams by the dice.
type lossy struct {
	agents map[netip.AddrPort]bool

	mu   sync.Mutex
	rng  *rand.Rand
	loss float64
	over map[string]bool // branches of INVITEs that were refused
}

func newLossy(seed uint64, agents ...*agent) *lossy {
	l := &lossy{agents: map[netip.AddrPort]bool{}, rng: rand.New(rand.NewPCG(seed, 2)), over: map[string]bool{}}
	l.loss = []float64{0, 0, 0.1, 0.3}[l.rng.IntN(4)]
	for _, a := range agents {
		l.agents[a.Addr()] = true
	}
	return l
}

// copies is a memNet's road.
func (l *lossy) copies(_, to netip.AddrPort, data []byte) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.agents[to] && l.afterRefusal(data) {
		return 0
	}
	switch x := l.rng.Float64(); {
	case x < l.loss:
		return 0
	case x < l.loss*1.3:
		return 2
	}
	return 1
}

// afterRefusal finds what follows a refusal of an INVITE. sipgo answers a repeated
// one after T2 and holds a mutex meanwhile, which stops the clock of a bubble.
func (l *lossy) afterRefusal(data []byte) bool {
	m := parseMessage(data)
	if !m.Response || !strings.HasSuffix(m.value("cseq"), "INVITE") {
		return false
	}
	before := l.over[m.value("via")]
	l.over[m.value("via")] = before || m.code >= 300
	return before
}
