package bridge

import "github.com/roomline/roomline/media"

// relayNumbers translate the numbers of a forwarded source's packets, in whatever
// order they come, so that retransmissions fit in and gaps stay gaps.
type relayNumbers struct {
	seq   uint16 // outgoing minus incoming
	ts    uint32
	begun bool
}

func (r *relayNumbers) number(p *media.Packet, n *numbering) place {
	if !r.begun {
		*r = relayNumbers{seq: n.seq - p.SequenceNumber, ts: n.base - p.Timestamp, begun: true}
	}
	return place{seq: p.SequenceNumber + r.seq, ts: p.Timestamp + r.ts, marker: p.Marker}
}

// relay sends a packet of s untouched but for its numbers.
func (k *Sink) relay(s *Source, p *media.Packet) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed.Load() || k.driver.Load() != s {
		return
	}
	k.send(k.relayed.number(p, &k.num), p.Codec, p.Payload)
}
