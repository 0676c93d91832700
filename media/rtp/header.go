package rtp

import (
	"encoding/binary"
	"errors"

	"github.com/roomline/roomline/media"
)

// headerSize is that of the headers we send: no CSRC, no extension.
const headerSize = 12

// header is the fixed part of RFC 3550 section 5.1; contributing sources and
// extensions are skipped, they mean nothing to a telephone.
type header struct {
	marker      bool
	payloadType uint8
	sequence    uint16
	timestamp   uint32
	ssrc        uint32
}

var (
	errTruncated = errors.New("RTP packet is cut short")
	errVersion   = errors.New("RTP version is not 2")
	errPadding   = errors.New("RTP padding is longer than the payload, or zero")
)

// parse reads an RTP packet; payload lies within b, without padding.
func parse(b []byte) (h header, payload []byte, err error) {
	if len(b) < headerSize {
		return h, nil, errTruncated
	}
	if b[0]>>6 != 2 {
		return h, nil, errVersion
	}
	start := headerSize + 4*int(b[0]&0x0F) // CSRC
	if b[0]&0x10 != 0 {                    // extension, section 5.3.1
		if len(b) < start+4 {
			return h, nil, errTruncated
		}
		start += 4 + 4*int(binary.BigEndian.Uint16(b[start+2:]))
	}
	end := len(b)
	if start > end {
		return h, nil, errTruncated
	}
	if b[0]&0x20 != 0 { // padding: its last byte counts it, itself included
		padding := int(b[end-1])
		if padding == 0 || padding > end-start {
			return h, nil, errPadding
		}
		end -= padding
	}
	h = header{
		marker:      b[1]&0x80 != 0,
		payloadType: b[1] & 0x7F,
		sequence:    binary.BigEndian.Uint16(b[2:]),
		timestamp:   binary.BigEndian.Uint32(b[4:]),
		ssrc:        binary.BigEndian.Uint32(b[8:]),
	}
	return h, b[start:end], nil
}

// put writes the header of p into b, which holds headerSize bytes or more.
func put(b []byte, p *media.Packet, payloadType uint8, ssrc uint32) {
	b[0] = 2 << 6
	b[1] = payloadType & 0x7F
	if p.Marker {
		b[1] |= 0x80
	}
	binary.BigEndian.PutUint16(b[2:], p.SequenceNumber)
	binary.BigEndian.PutUint32(b[4:], p.Timestamp)
	binary.BigEndian.PutUint32(b[8:], ssrc)
}

// looksLikeRTCP tells RTCP on the RTP port from RTP (RFC 5761 section 4).
func looksLikeRTCP(b []byte) bool {
	return len(b) >= 8 && b[0]>>6 == 2 && b[1] >= 192 && b[1] <= 223
}
