package bridge

import (
	"math/rand/v2"
	"time"
)

const (
	// staleAfter is how far behind the outgoing stream a packet's place may lie
	// and still be sent, moved up to the next free place. Packets further behind
	// are a burst after a stall: what filled their place has been heard.
	staleAfter = 60 * time.Millisecond
	// staleFor is how long such a burst may last. A source that stays behind has
	// stopped its timeline for a while, and the stream follows the new one.
	staleFor = 200 * time.Millisecond
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
	stale  time.Time // when packets began to come too late; zero: they do not
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
	switch {
	case !n.begun || n.driver != src:
		pos, n.debt, lost, marker = clock, debt, 0, true
	case pos < n.next():
		if n.late(now, time.Duration(n.next()-pos)*time.Second/time.Duration(n.rate)) {
			return place{}, false
		}
		pos, lost = n.next(), 0
	case pos-clock > int64(timelineJump/time.Second)*n.rate:
		pos, n.debt, lost, marker = clock, debt, 0, true
	}
	n.driver, n.offset, n.stale = src, pos-at, time.Time{}
	return n.put(pos, length, lost, marker, now), true
}

// late decides whether a packet whose place was filled is dropped.
func (n *numbering) late(now time.Time, behind time.Duration) bool {
	if behind <= staleAfter || behind >= timelineJump {
		return false
	}
	if n.stale.IsZero() {
		n.stale = now
	}
	return now.Sub(n.stale) < staleFor
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
// stream away from it.
func (n *numbering) fill(now time.Time, length int64) place {
	pos, debt := n.elapsed(now, length)
	n.debt = debt
	return n.put(pos, length, 0, false, now)
}

func (n *numbering) put(pos, length int64, lost int, marker bool, now time.Time) place {
	n.seq += uint16(1 + lost)
	n.last, n.length, n.at, n.begun = pos, length, now, true
	return place{seq: n.seq, ts: n.base + uint32(pos), marker: marker}
}
