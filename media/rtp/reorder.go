package rtp

import (
	"math/bits"
	"time"

	"github.com/roomline/roomline/media"
)

// Reorder puts packets back in order. It holds packets only while one is
// missing before them, at most a few and not for long; what is in order passes
// through untouched. Not safe for concurrent use.
type Reorder struct {
	// Memory is for how many packets a stream is waited for that came out of order.
	// On one that did not, a missing packet is lost, not late, and waiting for it
	// would delay the next ones for nothing. 0: every stream is waited for.
	Memory int

	newest  uint32 // timestamp of the last packet emitted
	wary    int    // packets left of Memory
	passed  uint64 // which numbers before next have been emitted, next-1 in the lowest bit
	wait    time.Duration
	most    int          // packets held
	held    []heldPacket // slots, by sequence number modulo their count, a power of two so that it wraps with the numbers
	count   int
	next    uint16 // the number that is due
	started bool
	overdue int    // packets given up that came after all
	late    int    // packets in a row that came too late
	lateAt  uint16 // the number of the last of them
}

type heldPacket struct {
	packet media.Packet
	buffer []byte // backs packet.Payload, kept for the next one
	used   bool
}

// After this many packets in a row that are too late, the peer numbers anew.
const lateRun = 8

// NewReorder makes a Reorder that holds up to most packets (kept within 1 to
// 32) and none longer than wait.
func NewReorder(most int, wait time.Duration) *Reorder {
	r := &Reorder{}
	r.Wait(most, wait)
	return r
}

// Wait changes how many packets are held, 1 to 32, and how long, from the next
// packet on. More than ever before allocates.
func (r *Reorder) Wait(most int, wait time.Duration) {
	r.most, r.wait = max(1, min(32, most)), wait
	slots := 1 << bits.Len(uint(r.most-1))
	if slots <= len(r.held) {
		return
	}
	held := make([]heldPacket, slots)
	for _, h := range r.held {
		if h.used {
			held[int(h.packet.SequenceNumber)%slots] = h
		}
	}
	r.held = held
}

// Overdue returns how many packets came only after they had been given up: with
// more patience they would have been of use.
func (r *Reorder) Overdue() int { return r.overdue }

// Push takes the next packet as it arrived and emits what is in order now;
// lost is the number of packets given up right before the emitted one.
// Duplicates and packets that come too late are dropped. A peer that numbers
// anew, by a jump of 100 back or of 3000 ahead, is followed without a loss.
// Held packets are copies; an emitted packet is valid during emit only.
func (r *Reorder) Push(p *media.Packet, emit func(p *media.Packet, lost int)) {
	ahead := p.SequenceNumber - r.next
	switch {
	case !r.started:
		r.pass(p, 0, emit)
	case ahead == 0:
		if r.count > 0 {
			r.wary = r.Memory
		}
		r.pass(p, 0, emit)
		r.release(emit)
	case ahead < maxDropout && r.Memory > 0 && r.wary == 0:
		r.pass(p, int(ahead), emit)
	case ahead < maxDropout:
		r.hold(p, emit)
	case ahead >= 65535-maxMisorder && !r.anew(p):
		if r.missed(p.SequenceNumber) {
			r.wary = r.Memory
			r.overdue++
		}
		return // late or twice
	default:
		r.drain(emit)
		r.pass(p, 0, emit)
	}
	r.late = 0
}

// Flush gives up on gaps that have been waited for long enough at now.
func (r *Reorder) Flush(now time.Time, emit func(p *media.Packet, lost int)) {
	for r.count > 0 && now.Sub(r.first().packet.Arrived) >= r.wait {
		r.skip(emit)
	}
}

// Deadline returns when Flush would emit something, zero if nothing is held.
func (r *Reorder) Deadline() time.Time {
	if r.count == 0 {
		return time.Time{}
	}
	return r.first().packet.Arrived.Add(r.wait)
}

// Reset forgets everything.
func (r *Reorder) Reset() {
	for i := range r.held {
		r.held[i].used = false
	}
	r.count, r.late, r.wary, r.started = 0, 0, 0, false
}

func (r *Reorder) pass(p *media.Packet, lost int, emit func(p *media.Packet, lost int)) {
	r.next, r.newest, r.started = p.SequenceNumber+1, p.Timestamp, true
	r.passed = r.passed<<(lost+1) | 1
	r.wary = max(0, r.wary-1)
	emit(p, lost)
}

// missed reports whether a number before next has been given up.
func (r *Reorder) missed(sequence uint16) bool {
	back := r.next - 1 - sequence
	return back < 64 && r.passed>>back&1 == 0
}

// hold keeps a packet that came before its turn; when it does not fit, gaps are
// given up until it does.
func (r *Reorder) hold(p *media.Packet, emit func(p *media.Packet, lost int)) {
	for r.count > 0 && int(p.SequenceNumber-r.next) > r.most {
		r.skip(emit)
	}
	switch ahead := int(p.SequenceNumber - r.next); {
	case ahead == 0:
		r.pass(p, 0, emit)
		r.release(emit)
	case ahead > r.most: // a gap that no waiting would bring back
		r.pass(p, ahead, emit)
	default:
		r.keep(p)
		if r.count >= r.most { // full: the missing one is not worth more delay
			r.skip(emit)
		}
	}
}

func (r *Reorder) keep(p *media.Packet) {
	slot := &r.held[int(p.SequenceNumber)%len(r.held)]
	if slot.used {
		return // twice
	}
	slot.buffer = append(slot.buffer[:0], p.Payload...)
	slot.packet, slot.used = *p, true
	slot.packet.Payload = slot.buffer
	r.count++
}

// skip gives up what is missing before the first held packet.
func (r *Reorder) skip(emit func(p *media.Packet, lost int)) {
	slot := r.first()
	lost := int(slot.packet.SequenceNumber - r.next)
	slot.used = false
	r.count--
	r.pass(&slot.packet, lost, emit)
	r.release(emit)
}

// release emits the held packets whose turn it is.
func (r *Reorder) release(emit func(p *media.Packet, lost int)) {
	for r.count > 0 {
		slot := &r.held[int(r.next)%len(r.held)]
		if !slot.used || slot.packet.SequenceNumber != r.next {
			return
		}
		slot.used = false
		r.count--
		r.pass(&slot.packet, 0, emit)
	}
}

func (r *Reorder) drain(emit func(p *media.Packet, lost int)) {
	for r.count > 0 {
		r.skip(emit)
	}
}

// first returns the held packet that is due first; there is one.
func (r *Reorder) first() *heldPacket {
	var best *heldPacket
	for i := range r.held {
		slot := &r.held[i]
		if slot.used && (best == nil || slot.packet.SequenceNumber-r.next < best.packet.SequenceNumber-r.next) {
			best = slot
		}
	}
	return best
}

// anew reports whether a packet that comes too late is one of a new numbering:
// its sound is later than all before it, or such packets have followed each other
// for long.
func (r *Reorder) anew(p *media.Packet) bool {
	if p.SequenceNumber != r.lateAt+1 {
		r.late = 0
	}
	r.lateAt = p.SequenceNumber
	r.late++
	return r.late >= lateRun || int32(p.Timestamp-r.newest) > 0
}
