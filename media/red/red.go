// Package red is redundant sound, RFC 2198: each packet carries, before its own
// payload, those of a few packets before it, so that a lost packet is had from
// the next one. [Parse] takes such a payload apart, a [Packer] makes one, a
// [Mender] says which of its blocks are missing and need to be heard, and a
// [Gate] decides when redundancy is worth its bits.
//
// It knows no codec, opens nothing, starts no goroutine and does not ask the
// clock. Nothing in it is safe for concurrent use.
package red

import "errors"

// What a block header has room for, RFC 2198 section 3.
const (
	MaxOffset = 1<<14 - 1 // RTP clock units that a block may lie before its packet
	MaxLength = 1<<10 - 1 // bytes of a redundant block
)

// MaxBlocks is how many blocks [Parse] takes; browsers send 2 or 3.
const MaxBlocks = 9

// Block is one encoding in a packet.
type Block struct {
	PayloadType uint8
	Offset      uint16 // RTP clock units that it lies before the packet; 0 for the primary
	Payload     []byte // a part of the packet's payload
}

// Why a payload is refused.
var (
	ErrHeader = errors.New("RED: a block header is cut off")
	ErrLength = errors.New("RED: the redundant blocks are longer than the packet")
	ErrBlocks = errors.New("RED: more than 9 blocks")
)

// Parse takes a payload apart, RFC 2198 section 3, and appends its blocks to
// into: the redundant ones as sent, oldest first, then the primary, which may be
// empty. The blocks' payloads are parts of payload. On error nothing is appended.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	|1|  block PT   |  timestamp offset         |   block length    |   redundant
//	|0|  block PT   |                                                  primary
func Parse(payload []byte, into []Block) ([]Block, error) {
	blocks, rest := into, payload
	total := 0
	for {
		if len(rest) == 0 {
			return into, ErrHeader
		}
		if len(blocks)-len(into) == MaxBlocks {
			return into, ErrBlocks
		}
		b := Block{PayloadType: rest[0] & 0x7f}
		if rest[0]&0x80 == 0 {
			blocks, rest = append(blocks, b), rest[1:]
			break
		}
		if len(rest) < 4 {
			return into, ErrHeader
		}
		b.Offset = uint16(rest[1])<<6 | uint16(rest[2])>>2
		length := int(rest[2]&3)<<8 | int(rest[3])
		rest = rest[4:]
		if total += length; total > len(rest) {
			return into, ErrLength
		}
		b.Payload = rest[:length] // its length; its place is known below
		blocks = append(blocks, b)
	}
	if total > len(rest) {
		return into, ErrLength
	}
	place(blocks[len(into):], rest)
	return blocks, nil
}

// place gives each block its part of the data behind the headers.
func place(blocks []Block, data []byte) {
	last := len(blocks) - 1
	for i := range blocks[:last] {
		n := len(blocks[i].Payload)
		blocks[i].Payload, data = data[:n:n], data[n:]
	}
	blocks[last].Payload = data
}
