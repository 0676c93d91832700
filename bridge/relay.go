package bridge

import (
	"time"

	"github.com/roomline/roomline/media"
)

// relayNumbers translate the numbers of one source's packets, in whatever order
// they come, so that retransmissions fit in and gaps stay gaps. A change of
// source goes on after the highest number sent.
type relayNumbers struct {
	source  *Source
	seq     uint16 // outgoing minus incoming
	ts      uint32
	lastSeq uint16 // highest sent
	lastTS  uint32
	at      time.Time
	begun   bool
}

func (r *relayNumbers) number(s *Source, p *media.Packet, k *Sink) place {
	if r.source != s {
		r.follow(s, p, k)
	}
	out := place{seq: p.SequenceNumber + r.seq, ts: p.Timestamp + r.ts, marker: p.Marker}
	if int16(out.seq-r.lastSeq) > 0 || !r.begun {
		r.lastSeq, r.lastTS, r.at, r.begun = out.seq, out.ts, p.Arrived, true
	}
	return out
}

func (r *relayNumbers) follow(s *Source, p *media.Packet, k *Sink) {
	seq, ts := k.num.seq, k.num.base
	if r.begun {
		elapsed := max(p.Arrived.Sub(r.at), media.FrameDuration)
		seq, ts = r.lastSeq+1, r.lastTS+uint32(int64(elapsed)*k.num.rate/int64(time.Second))
	}
	r.source, r.seq, r.ts = s, seq-p.SequenceNumber, ts-p.Timestamp
}

// relay sends a packet of s untouched but for its numbers.
func (k *Sink) relay(s *Source, p *media.Packet) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed.Load() || k.driver.Load() != s {
		return
	}
	k.write(k.relayed.number(s, p, k), p.Codec, p.Payload)
}
