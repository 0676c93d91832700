package webrtc

import (
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	pionrtp "github.com/pion/rtp"
	pion "github.com/pion/webrtc/v4"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/red"
)

// askedFor is how long a browser is asked for redundancy at least: each new offer
// costs it up to a frame of sound.
const askedFor = time.Minute

// soundOf is the codec inside: what RED wraps is Opus.
func soundOf(c media.Codec) media.Codec {
	if c == redundant {
		return media.Opus
	}
	return c
}

// mending is the RED side of an InTrack. As soon as its sender uses RED, every
// packet is delivered once: by itself, or from a later one when it was lost.
type mending struct {
	learned bool
	opus    uint8 // the payload type inside
	on      bool  // RED has been seen
	mender  red.Mender
	blocks  [red.MaxBlocks]red.Block
	packet  media.Packet
	mended  atomic.Uint64 // packets that were lost and had from later ones
}

// learn finds out what the blocks are.
func (m *mending) learn(codecs []pion.RTPCodecParameters) {
	for _, c := range codecs {
		if codecOf(c.RTPCodecCapability) == media.Opus {
			m.opus, m.learned = uint8(c.PayloadType), true
			return
		}
	}
}

// pass hands on a packet and, before it, those that it brings along and that
// were lost. It reports whether the packet was well formed.
func (m *mending) pass(p *media.Packet, emit func(*media.Packet)) bool {
	if p.Codec == redundant {
		return m.unwrap(p, emit)
	}
	if !m.on || m.mender.Take(p.SequenceNumber, p.Timestamp) {
		emit(p)
	}
	return true
}

// unwrap leaves out blocks that are no Opus.
func (m *mending) unwrap(p *media.Packet, emit func(*media.Packet)) bool {
	blocks, err := red.Parse(p.Payload, m.blocks[:0])
	if err != nil {
		return false
	}
	m.on = true
	last := len(blocks) - 1
	for i, b := range blocks[:last] {
		if b.PayloadType != m.opus || len(b.Payload) == 0 || !m.mender.Missing(p.SequenceNumber, p.Timestamp, last-i, b.Offset) {
			continue
		}
		m.packet = media.Packet{
			Codec: media.Opus, SequenceNumber: p.SequenceNumber - uint16(last-i), Timestamp: p.Timestamp - uint32(b.Offset),
			Payload: b.Payload, Arrived: p.Arrived, Redundant: true,
		}
		m.mended.Add(1)
		emit(&m.packet)
	}
	primary := blocks[last]
	if fresh := m.mender.Take(p.SequenceNumber, p.Timestamp); fresh && primary.PayloadType == m.opus && len(primary.Payload) > 0 {
		p.Codec, p.Payload = media.Opus, primary.Payload
		emit(p)
	}
	return true
}

// repeating is the RED side of an OutTrack. Its gate opens with the loss that the
// other side reports.
type repeating struct {
	gate   red.Gate
	packer red.Packer
}

// wrap returns what is to be sent for p with the header h, whose payload type
// becomes that of RED when there is something to repeat.
func (r *repeating) wrap(h *pionrtp.Header, b *binding, p *media.Packet) []byte {
	if r.gate.Depth() == 0 || b.red < 0 || p.Codec != media.Opus {
		r.packer.Reset()
		return p.Payload
	}
	wrapped := r.packer.Pack(h.SequenceNumber, h.Timestamp, h.PayloadType, p.Payload, r.gate.Depth())
	if wrapped == nil {
		return p.Payload
	}
	h.PayloadType = uint8(b.red)
	return wrapped
}

// redType is the payload type that wraps Opus as the other side has it; -1: none.
func redType(codecs []pion.RTPCodecParameters) int16 {
	opus, found := "", int16(-1)
	for _, c := range codecs {
		if codecOf(c.RTPCodecCapability) == media.Opus {
			opus = strconv.Itoa(int(c.PayloadType))
			break
		}
	}
	for _, c := range codecs {
		// RFC 2198 section 5: "111/111" are the formats inside, the primary first.
		if codecOf(c.RTPCodecCapability) == redundant && opus != "" && strings.HasPrefix(c.SDPFmtpLine, opus+"/"+opus) {
			found = int16(c.PayloadType)
		}
	}
	return found
}

// Redundant reports whether packets are repeated (RED) at present, because the
// other side reports loss and takes it. In-band FEC is of no use to it then.
func (t *OutTrack) Redundant() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.bound != nil && t.bound.red >= 0 && t.repeat.gate.Depth() > 0
}

// WantsRedundancy reports whether offers and answers made now would ask the other
// side for RED: always, never, or while its packets get lost and it knows RED. An
// offer is due when that changes.
func (p *Peer) WantsRedundancy() bool {
	switch p.engine.cfg.Redundancy {
	case RedundancyAlways:
		return true
	case NoRedundancy:
		return false
	}
	_, ins := p.tracks()
	for _, t := range ins {
		if t.Kind() == Audio && t.wantsRedundancy() {
			return true
		}
	}
	return false
}

func (t *InTrack) wantsRedundancy() bool {
	t.mu.Lock()
	wants := t.received.want.Depth() > 0
	t.mu.Unlock()
	return wants && redType(t.receiver.GetParameters().Codecs) >= 0
}
