package rtp

import "time"

// remembered is how many packets of digits the timeline can take out of the
// numbering behind a late sound packet.
const remembered = 32

// timeline makes one continuous stream of what the peer sends: whoever listens
// sees numbers of sound alone (packets of digits are taken out of the count) and
// a clock that does not jump when the peer changes SSRC or starts to count anew.
type timeline struct {
	started bool
	highest uint16 // wire number
	shift   uint16 // delivered = wire + shift - digits before it
	digits  uint16 // digit packets since the last restart
	recent  [remembered]uint16

	clockShift uint32
	last       uint32 // delivered timestamp
	lastAt     time.Time
	rateHz     int
}

// restart lets the next packet, with this wire number, follow the last one.
func (t *timeline) restart(sequence uint16) {
	if t.started {
		t.shift = t.sequence(t.highest+1) - sequence
	}
	t.highest, t.digits, t.started = sequence-1, 0, true
}

// skip takes the number of a digit packet out of the count, unless it is late:
// then the gap has been seen already.
func (t *timeline) skip(sequence uint16) {
	if int16(sequence-t.highest) <= 0 {
		return
	}
	t.highest = sequence
	t.recent[t.digits%remembered] = sequence
	t.digits++
}

// number returns the number to deliver for a sound packet.
func (t *timeline) number(sequence uint16) uint16 {
	if int16(sequence-t.highest) > 0 {
		t.highest = sequence
	}
	return t.sequence(sequence)
}

func (t *timeline) sequence(wire uint16) uint16 {
	before := t.digits
	for i := range min(t.digits, remembered) {
		if int16(t.recent[(t.digits-1-i)%remembered]-wire) < 0 {
			break
		}
		before--
	}
	return wire + t.shift - before
}

// clockJump: a clock further than this from the time that went by has jumped.
const clockJump = 10 * time.Second

// stamp returns the timestamp to deliver: the peer's own clock, moved where it
// started anew or jumped so that it goes on by the time that went by.
func (t *timeline) stamp(timestamp uint32, rateHz int, restarted bool, now time.Time) uint32 {
	out := timestamp + t.clockShift
	if t.rateHz != rateHz {
		t.clockShift, out = 0, timestamp
	} else {
		due := t.last + uint32(units(now.Sub(t.lastAt), rateHz))
		if off := int64(int32(out - due)); restarted || max(off, -off) > units(clockJump, rateHz) {
			t.clockShift += due - out
			out = due
		}
	}
	t.rateHz, t.last, t.lastAt = rateHz, out, now
	return out
}
