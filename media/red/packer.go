package red

// MaxDepth is the most packets whose payloads a [Packer] repeats.
const MaxDepth = 2

// MaxPayload is the longest payload that a [Packer] makes: with an RTP header and
// the tag of SRTP a packet has 1200 bytes at most, which every road carries.
const MaxPayload = 1200 - 12 - 16

// longestStep is the longest that follows on without a pause: 120 ms of Opus, in
// its clock.
const longestStep = 120 * 48

// Packer makes the payloads of one outgoing stream. The zero value is ready.
type Packer struct {
	history [MaxDepth]sent // the newest first
	count   int
	out     []byte
}

type sent struct {
	sequence  uint16
	timestamp uint32
	payload   []byte
}

// Pack returns the payload of the packet with these numbers, with those of up to
// depth packets before it, all of payload type pt; nil when there is nothing to
// repeat and the payload may go out as it is. Packets before a gap, a pause or a
// step back are not repeated. The result is the Packer's until the next call;
// payload is copied.
func (p *Packer) Pack(sequence uint16, timestamp uint32, pt uint8, payload []byte, depth int) []byte {
	p.follow(sequence, timestamp)
	depth = min(depth, p.count, MaxDepth)
	for depth > 0 && p.size(timestamp, len(payload), depth) > MaxPayload {
		depth--
	}
	var out []byte
	if depth > 0 {
		out = p.write(timestamp, pt, payload, depth)
	}
	p.keep(sequence, timestamp, payload)
	return out
}

// Reset forgets what was sent.
func (p *Packer) Reset() { p.count = 0 }

// follow forgets the history when the next packet does not come right after it.
func (p *Packer) follow(sequence uint16, timestamp uint32) {
	if p.count == 0 {
		return
	}
	last := &p.history[0]
	if step := timestamp - last.timestamp; sequence != last.sequence+1 || step == 0 || step > longestStep {
		p.Reset()
	}
}

// size is the length of a payload with depth redundant blocks; MaxPayload + 1
// when one cannot be said in a header.
func (p *Packer) size(timestamp uint32, primary, depth int) int {
	n := 1 + primary
	for i := range p.history[:depth] {
		b := &p.history[i]
		if timestamp-b.timestamp > MaxOffset || len(b.payload) > MaxLength {
			return MaxPayload + 1
		}
		n += 4 + len(b.payload)
	}
	return n
}

// write lays out headers, then payloads, oldest first.
func (p *Packer) write(timestamp uint32, pt uint8, payload []byte, depth int) []byte {
	out := p.out[:0]
	for i := depth - 1; i >= 0; i-- {
		b := &p.history[i]
		offset, length := timestamp-b.timestamp, len(b.payload)
		out = append(out, 0x80|pt, byte(offset>>6), byte(offset<<2)|byte(length>>8), byte(length))
	}
	out = append(out, pt&0x7f)
	for i := depth - 1; i >= 0; i-- {
		out = append(out, p.history[i].payload...)
	}
	p.out = append(out, payload...)
	return p.out
}

func (p *Packer) keep(sequence uint16, timestamp uint32, payload []byte) {
	oldest := p.history[MaxDepth-1].payload // its memory is used again
	copy(p.history[1:], p.history[:])
	p.history[0] = sent{sequence, timestamp, append(oldest[:0], payload...)}
	p.count = min(p.count+1, MaxDepth)
}
