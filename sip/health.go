package sip

import (
	"net/netip"
	"slices"
	"time"
)

// downTime is how long a server that did not answer is tried last.
const downTime = 2 * time.Minute

const maxHealth = 4096

// targetKey is an address of a server.
type targetKey struct {
	addr      netip.AddrPort
	transport string
}

// health is what we last saw of one address.
type health struct {
	up      bool
	reason  string // why it is down, in words
	rtt     time.Duration
	checked time.Time // when an OPTIONS last told; zero: never
	until   time.Time // when this is too old to go by
}

// down keeps in mind that a server is out of order.
func (n *locator) down(t target, reason string, d time.Duration) {
	n.note(t, func(h *health) { h.up, h.reason, h.until = false, reason, time.Now().Add(d) })
}

// up keeps in mind that a server answers.
func (n *locator) up(t target) {
	n.note(t, func(h *health) { h.up, h.reason, h.until = true, "", time.Now().Add(downTime) })
}

// pinged is what an OPTIONS showed.
func (n *locator) pinged(t target, up bool, reason string, rtt, valid time.Duration) {
	n.note(t, func(h *health) {
		now := time.Now()
		if h.checked, h.until, h.up, h.reason = now, now.Add(valid), up, reason; up {
			h.rtt = rtt
		}
	})
}

func (n *locator) note(t target, change func(*health)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.health) >= maxHealth {
		clear(n.health) // more addresses than any plan has: start afresh
	}
	key := targetKey{t.addr, t.transport}
	h := n.health[key]
	change(&h)
	n.health[key] = h
}

// healthOf is what is known of an address now; known is false when that is nothing.
func (n *locator) healthOf(t target) (h health, known bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	h, ok := n.health[targetKey{t.addr, t.transport}]
	return h, ok && time.Now().Before(h.until)
}

// downLast moves the addresses that are out of order behind the others.
func (n *locator) downLast(list []target) []target {
	rank := func(t target) int {
		if h, known := n.healthOf(t); known && !h.up {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(list, func(a, b target) int { return rank(a) - rank(b) })
	return list
}
