package webrtc

// order lets no packet overtake those before it that are still on pion's road: a
// stream comes to the short road after a packet sent behind them has come out.
type order struct {
	settled bool // nothing is on pion's road
	marked  bool
	mark    uint64 // the index of a packet that went there behind all others
	out     bool   // it came out
}

// wait reports whether a packet has to take pion's road, as others are there;
// queued: some that came out have not been read.
func (o *order) wait(index uint64, queued bool) bool {
	if o.settled || o.marked && o.out && !queued {
		o.settled, o.marked = true, false
		return false
	}
	o.marked, o.mark, o.out = true, index, false
	return true
}

// came notes what came out of pion's road.
func (o *order) came(index uint64) {
	o.settled = false
	o.out = o.out || o.marked && index >= o.mark
}
