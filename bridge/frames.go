package bridge

import "github.com/roomline/roomline/media"

// mostJump is the longest jump of timestamps that [Frames] fills, in samples: a
// stream that never falls silent jumps further only where the machine stood still.
const mostJump = media.NarrowbandHz

// Frames cuts a stream of G.711 into frames of 20 ms for who wants nothing else,
// as programs behind a WebSocket do. It is the [media.Writer] of a seat's
// [Participant.Listen]:
//
//	sink := p.Listen(&bridge.Frames{Take: send}, media.PCMU, 20*time.Millisecond)
//
// Whatever the lengths of packets are, frames follow each other without a gap:
// where timestamps jump, silence is filled in, of at most a second; what overlaps
// is left out. Nothing is allocated.
type Frames struct {
	// Take is given every frame: 160 bytes, which are its own until it returns,
	// and how many were before it, so that the frame begins n * 20 ms after the
	// first one. It is called on the goroutine of the packet, or on the beat, one
	// at a time, with the stream's locks held: it must neither block nor call
	// anything of this package.
	Take func(frame []byte, n int64)

	begun bool
	next  uint32 // timestamp just after the last packet
	frame [media.FrameSamples]byte
	have  int // bytes in frame
	n     int64
}

// WritePacket implements [media.Writer]. Packets of other codecs than G.711, as
// keys are, are passed over: their time becomes silence.
func (f *Frames) WritePacket(p *media.Packet) error {
	silence, known := silenceByte[p.Codec]
	if !known {
		return nil
	}
	payload := p.Payload
	gap := int(int32(p.Timestamp - f.next))
	f.next = p.Timestamp + uint32(len(payload))
	switch {
	case !f.begun:
		f.begun = true
	case gap > 0:
		f.fill(min(gap, mostJump), silence)
	case gap < 0 && -gap < mostJump:
		payload = payload[min(-gap, len(payload)):]
	}
	f.add(payload)
	return nil
}

func (f *Frames) fill(n int, silence byte) {
	for ; n > 0; n-- {
		f.frame[f.have] = silence
		f.have++
		f.full()
	}
}

func (f *Frames) add(payload []byte) {
	for len(payload) > 0 {
		n := copy(f.frame[f.have:], payload)
		payload = payload[n:]
		f.have += n
		f.full()
	}
}

// full hands out the frame once it is.
func (f *Frames) full() {
	if f.have == len(f.frame) {
		f.have = 0
		f.n++
		f.Take(f.frame[:], f.n-1)
	}
}
