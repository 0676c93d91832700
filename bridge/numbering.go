package bridge

import (
	"math/rand/v2"
	"time"
)

// timelineJump is how far a source's timestamps may run away from the clock
// before the source is taken to have started a new timeline.
const timelineJump = 2 * time.Second

// numbering owns sequence numbers and timestamps of one outgoing stream. They
// never restart: whoever drives the stream, positions go on from the last
// packet by the time that has passed. Positions count the stream's RTP clock
// from its first packet.
type numbering struct {
	rate int64 // RTP clock, Hz

	seq    uint16
	base   uint32 // RTP timestamp of position 0
	last   int64  // position of the last packet
	length int64  // its duration in clock units
	at     time.Time
	begun  bool
	debt   int64 // how far the stream was behind the clock when it last went by it

	driver *Source   // whose timeline offset translates; nil: the beat
	offset int64     // position minus source position
	ahead  int64     // how much later than it should the driver is, as its place was filled
	filled bool      // the last packet was the beat's, in the driver's stead
	late   time.Time // when the last packet came whose place was filled; zero: none did
}

func newNumbering(rateHz int) numbering {
	// Below 32768: who misses the first packets of a protected stream must not miss
	// that its numbers began again at 0, RFC 3711 section 3.3.1.
	return numbering{rate: int64(rateHz), seq: uint16(rand.Uint32()) >> 1, base: rand.Uint32()}
}

// reclock makes the stream go on by another RTP clock from where it would go on
// by this one, in the timestamps on the wire too.
func (n *numbering) reclock(rateHz int) {
	rate := int64(rateHz)
	if rate == n.rate || rate == 0 {
		return
	}
	due := n.next()
	next := due * rate / n.rate
	n.length = n.length * rate / n.rate
	n.last = next - n.length
	n.debt = n.debt * rate / n.rate
	n.base += uint32(due) - uint32(next)
	n.rate, n.driver = rate, nil
}

// place is where the next packet goes.
type place struct {
	seq    uint16
	ts     uint32
	marker bool
}

// next is the position just after the last packet.
func (n *numbering) next() int64 {
	if !n.begun {
		return 0
	}
	return n.last + n.length
}

// elapsed is the position that the clock asks for: the last one plus the time
// since in whole frames of the given length, never before next, and never with a
// hole of less than a frame. What that leaves out or adds is carried as debt to
// the next time, so that the stream stays with the clock in the long run.
func (n *numbering) elapsed(now time.Time, frame int64) (pos, debt int64) {
	if !n.begun || frame <= 0 {
		return n.next(), 0
	}
	asked := n.last + int64(now.Sub(n.at))*n.rate/int64(time.Second) + n.debt
	pos = n.next()
	if ahead := asked - pos; ahead >= frame {
		pos += ahead / frame * frame
	}
	return pos, max(-frame, asked-pos)
}

// follow numbers a packet of src that stands at position at of src's timeline
// (in this stream's clock), lasts length units and comes after lost packets
// that were not replaced. ok is false for a packet whose place has been filled.
func (n *numbering) follow(src *Source, now time.Time, at, length int64, lost int, marker bool) (p place, ok bool) {
	pos := at + n.offset
	clock, debt := n.elapsed(now, length)
	switch due := n.next(); {
	case !n.begun || n.driver != src:
		pos, n.debt, n.ahead, lost, marker = clock, debt, 0, 0, true
	case pos < due:
		if n.filled && n.stale(now, due-pos, length) {
			return place{}, false
		}
		if n.filled {
			n.ahead += due - pos
		}
		pos, lost = due, 0
	case pos-clock > int64(timelineJump/time.Second)*n.rate:
		pos, n.debt, n.ahead, lost, marker = clock, debt, 0, 0, true
	default:
		back := min(pos-due, n.ahead)
		pos, n.ahead = pos-back, n.ahead-back
	}
	n.driver, n.offset, n.late, n.filled = src, pos-at, time.Time{}, false
	return n.put(pos, length, lost, marker, now), true
}

// stale decides whether a packet of some length whose place was filled, so far
// behind, is dropped: one of a burst after a stall is, half of which or more has
// been stood in for. Packets that stay behind and follow each other no faster than
// they sound are on a timeline that has stopped for a while, and are followed.
func (n *numbering) stale(now time.Time, behind, length int64) bool {
	if 2*behind <= length {
		return false
	}
	before := n.late
	n.late = now
	return before.IsZero() || int64(now.Sub(before))*n.rate < length*3/4*int64(time.Second)
}

// beat numbers a packet that the gateway makes itself, length units long. After
// another driver, or when resumed is true, it goes where the clock is.
func (n *numbering) beat(now time.Time, length int64, resumed bool) place {
	pos, marker := n.next(), false
	if !n.begun || n.driver != nil || resumed {
		pos, n.debt = n.elapsed(now, length)
		marker = true
	}
	n.driver = nil
	return n.put(pos, length, 0, marker, now)
}

// fill numbers a packet that stands in for a silent driver without taking the
// stream away from it. It keeps a packet behind the clock, lest it take the place
// of the driver's next one.
func (n *numbering) fill(now time.Time, length int64) place {
	if !n.filled {
		n.filled, n.debt = true, -length
	}
	pos, debt := n.elapsed(now, length)
	n.debt = debt
	return n.put(pos, length, 0, false, now)
}

// unsent gives back the last packet's number. Its time has passed all the same.
func (n *numbering) unsent() { n.seq-- }

func (n *numbering) put(pos, length int64, lost int, marker bool, now time.Time) place {
	n.seq += uint16(1 + lost)
	n.last, n.length, n.at, n.begun = pos, length, now, true
	return place{seq: n.seq, ts: n.base + uint32(pos), marker: marker}
}
