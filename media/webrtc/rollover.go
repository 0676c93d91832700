package webrtc

// rollover extends a stream's sequence numbers by how often they have wrapped
// (RFC 3711 section 3.3.1), as pion's contexts do. The first packet has counter 0.
type rollover struct {
	started bool
	highest uint64
}

// index is the extended number of seq: the one nearest to the highest so far.
func (r *rollover) index(seq uint16) uint64 {
	if !r.started {
		return uint64(seq)
	}
	i := r.highest&^0xffff | uint64(seq)
	switch d := int64(i - r.highest); {
	case d < -1<<15:
		i += 1 << 16
	case d > 1<<15 && i >= 1<<16:
		i -= 1 << 16
	}
	return i
}

// saw notes that the packet was sent, or was authentic.
func (r *rollover) saw(index uint64) {
	if !r.started || index > r.highest {
		r.started, r.highest = true, index
	}
}

// window knows replays among the last packets of a stream (RFC 3711 section
// 3.3.2). It is as wide as pion's.
type window struct {
	rollover
	seen uint64 // bit n: highest-n was there
}

// fresh reports whether a packet may be taken: neither there before nor too old.
func (w *window) fresh(index uint64) bool {
	if !w.started || index > w.highest {
		return true
	}
	age := w.highest - index
	return age < 64 && w.seen&(1<<age) == 0
}

// saw notes that an authentic packet was taken.
func (w *window) saw(index uint64) {
	if ahead := index - w.highest; w.started && index <= w.highest {
		w.seen |= 1 << (w.highest - index)
	} else if w.started && ahead < 64 {
		w.seen = w.seen<<ahead | 1
	} else {
		w.seen = 1
	}
	w.rollover.saw(index)
}
