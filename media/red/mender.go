package red

// window is how many packets back a [Mender] remembers.
const window = 64

// renumbered is after how many late packets in a row the sender has begun to
// number anew.
const renumbered = 8

// Mender knows which packets of one incoming stream have been delivered, so that
// each is delivered once, whether by itself or from redundancy. The zero value is
// ready.
//
// RFC 2198 gives blocks a time and no sequence number. They are the packets right
// before theirs, so their place says the number; a block whose time does not fit
// between those of its neighbours is something else (a digit took a number in
// between), and is not delivered.
type Mender struct {
	span    int    // numbers from highest back that belong to the stream, at most window; 0: nothing came yet
	highest uint16 // sequence number
	seen    uint64 // bit i: highest-i was delivered
	stamps  [window]uint32
	late    int // packets in a row that came too late
}

// Take notes a packet that arrived, and reports whether it is new: false when it
// was delivered before.
func (m *Mender) Take(sequence uint16, timestamp uint32) (fresh bool) {
	back := int(int16(m.highest - sequence))
	switch {
	case m.span == 0:
		m.restart(sequence, timestamp)
		return true
	case back < 0:
		m.late = 0
		m.advance(sequence, timestamp, -back)
		return true
	case back < m.span && m.seen>>back&1 == 0:
		m.late = 0
		m.note(sequence, timestamp, back)
		return true
	case back < m.span && m.stamp(sequence) == timestamp:
		return false
	}
	if m.late++; m.late == renumbered {
		m.restart(sequence, timestamp)
	}
	return true
}

// Missing reports whether the block that lies so many packets and clock units
// before the packet with these numbers was not delivered yet, and notes that it
// will be. It is to be asked before the packet itself is taken.
func (m *Mender) Missing(sequence uint16, timestamp uint32, packets int, offset uint16) bool {
	if m.span == 0 || offset == 0 {
		return false
	}
	sequence, timestamp = sequence-uint16(packets), timestamp-uint32(offset)
	back := int(int16(m.highest - sequence))
	if back < 0 {
		if !after(timestamp, m.stamp(m.highest)) {
			return false
		}
		m.advance(sequence, timestamp, -back)
		return true
	}
	if back >= m.span || m.seen>>back&1 == 1 || !m.fits(timestamp, back) {
		return false
	}
	m.note(sequence, timestamp, back)
	return true
}

// fits reports whether a time lies between those of the nearest packets that were
// delivered before and after a number.
func (m *Mender) fits(timestamp uint32, back int) bool {
	for i := back + 1; i < m.span; i++ {
		if m.seen>>i&1 == 1 {
			if !after(timestamp, m.stamp(m.highest-uint16(i))) {
				return false
			}
			break
		}
	}
	for i := back - 1; i >= 0; i-- {
		if m.seen>>i&1 == 1 {
			return after(m.stamp(m.highest-uint16(i)), timestamp)
		}
	}
	return true
}

func after(a, b uint32) bool { return int32(a-b) > 0 }

func (m *Mender) stamp(sequence uint16) uint32 { return m.stamps[sequence%window] }

func (m *Mender) restart(sequence uint16, timestamp uint32) {
	m.span, m.highest, m.seen, m.late = 1, sequence, 0, 0
	m.note(sequence, timestamp, 0)
}

func (m *Mender) advance(sequence uint16, timestamp uint32, by int) {
	if by >= window { // so far ahead that nothing before it is of use
		m.restart(sequence, timestamp)
		return
	}
	m.span = min(m.span+by, window)
	m.highest, m.seen = sequence, m.seen<<by
	m.note(sequence, timestamp, 0)
}

func (m *Mender) note(sequence uint16, timestamp uint32, back int) {
	m.seen |= 1 << back
	m.stamps[sequence%window] = timestamp
}
