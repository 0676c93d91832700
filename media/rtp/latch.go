package rtp

import (
	"net/netip"
	"time"
)

// Learning a source takes this many packets in a row within this time.
const (
	latchPackets = 3
	latchWithin  = 500 * time.Millisecond
	candidates   = 64
)

// latch decides whose packets are taken. By default only the signalled address
// may speak. Where that may be wrong (NAT), the first source that shows three
// consistent packets while the signalled address is silent is taken for it, and
// then it alone, until the address is signalled anew.
//
//	open ──packet from the signalled address──▶ closed on it
//	open ──3rd consistent packet of a source──▶ closed on that source
//
// Whoever can guess the port before the caller speaks, and the payload type, can
// still win this race: that is what Latch means, and why it is off by default.
type latch struct {
	source netip.AddrPort // who may speak; while open, where we send
	open   bool
	learnt bool // source was learnt, not signalled
	seen   [candidates]candidate
}

type candidate struct {
	from    netip.AddrPort
	ssrc    uint32
	next    uint16 // sequence number that would follow
	packets int
	since   time.Time
}

// reset starts over with a signalled address.
func (l *latch) reset(signalled netip.AddrPort, learn bool) {
	*l = latch{source: signalled, open: learn && usable(signalled)}
}

// stranger reports whether a packet of this source is refused without a look into it.
func (l *latch) stranger(from netip.AddrPort) bool {
	return from != l.source && !l.open
}

// accept reports whether a well-formed RTP packet of an agreed payload type is
// taken, and closes the latch when it is.
func (l *latch) accept(from netip.AddrPort, h header, now time.Time) bool {
	if from == l.source {
		l.open = false
		return true
	}
	if !l.open {
		return false
	}
	if c := l.candidate(from, now); !c.consistent(h, now) {
		*c = candidate{from: from, ssrc: h.ssrc, next: h.sequence + 1, packets: 1, since: now}
		return false
	} else if c.packets < latchPackets {
		return false
	}
	l.source, l.open, l.learnt = from, false, true
	return true
}

// consistent counts a packet that follows the candidate's last one.
func (c *candidate) consistent(h header, now time.Time) bool {
	if c.packets == 0 || h.ssrc != c.ssrc || h.sequence != c.next || now.Sub(c.since) > latchWithin {
		return false
	}
	c.next++
	c.packets++
	return true
}

// candidate returns the place of a source: its own, else the one of whoever is
// least worth keeping, which is the oldest with the fewest packets.
func (l *latch) candidate(from netip.AddrPort, now time.Time) *candidate {
	worst := &l.seen[0]
	for i := range l.seen {
		c := &l.seen[i]
		if c.from == from {
			return c
		}
		if c.worth(now) < worst.worth(now) || c.worth(now) == worst.worth(now) && c.since.Before(worst.since) {
			worst = c
		}
	}
	*worst = candidate{from: from}
	return worst
}

func (c *candidate) worth(now time.Time) int {
	if now.Sub(c.since) > latchWithin {
		return 0
	}
	return c.packets
}
