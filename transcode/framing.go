package transcode

import "fmt"

// Limits of RFC 6716 section 3.4.
const (
	maxOpusFrame = 1275 // bytes, R2
	maxOpusUnits = 48   // frames of 2.5 ms in the longest packet, 120 ms, R5
)

// Why an Opus packet is malformed; made once, so that garbage costs nothing.
var (
	errOpusEmpty   = fmt.Errorf("opus: %w: empty", ErrMalformed)
	errOpusLong    = fmt.Errorf("opus: %w: lasts more than 120 ms or holds no frame", ErrMalformed)
	errOpusFrame   = fmt.Errorf("opus: %w: a frame over 1275 bytes", ErrMalformed)
	errOpusLengths = fmt.Errorf("opus: %w: frame lengths and packet length disagree", ErrMalformed)
)

// opusSamples returns the duration of a well-formed packet in samples at rateHz.
func opusSamples(packet []byte, rateHz int) (int, error) {
	units, err := opusUnits(packet)
	return units * rateHz / 400, err
}

// opusUnits checks a packet's framing by the rules R1 to R7 of RFC 6716
// section 3.4, and returns its duration in units of 2.5 ms.
func opusUnits(packet []byte) (int, error) {
	if len(packet) == 0 {
		return 0, errOpusEmpty // R1
	}
	perFrame, rest := frameUnits(packet[0]), packet[1:]
	switch packet[0] & 3 {
	case 0: // one frame, section 3.2.2
		return checkUnits(perFrame, checkFrame(len(rest)))
	case 1: // two frames of one size, section 3.2.3
		if len(rest)%2 != 0 {
			return 0, errOpusLengths // R3
		}
		return checkUnits(2*perFrame, checkFrame(len(rest)/2))
	case 2: // two frames, section 3.2.4
		first, n := frameLength(rest)
		if n == 0 || first > len(rest)-n {
			return 0, errOpusLengths // R4
		}
		return checkUnits(2*perFrame, checkFrame(max(first, len(rest)-n-first)))
	default:
		return manyFrames(perFrame, rest)
	}
}

// manyFrames checks a code 3 packet from its frame count byte on, section 3.2.5.
func manyFrames(perFrame int, rest []byte) (int, error) {
	if len(rest) == 0 {
		return 0, errOpusLengths // R6, R7
	}
	count, vbr, padded := int(rest[0]&0x3f), rest[0]&0x80 != 0, rest[0]&0x40 != 0
	if count == 0 || count*perFrame > maxOpusUnits {
		return 0, errOpusLong // R5
	}
	rest = rest[1:]
	if padded {
		var ok bool
		if rest, ok = unpad(rest); !ok {
			return 0, errOpusLengths
		}
	}
	if !vbr {
		if len(rest)%count != 0 {
			return 0, errOpusLengths // R6
		}
		return checkUnits(count*perFrame, checkFrame(len(rest)/count))
	}
	return checkUnits(count*perFrame, checkLengths(count, rest))
}

// checkLengths checks the frame lengths of a VBR code 3 packet, R7: one for
// each frame but the last, then the frames.
func checkLengths(count int, rest []byte) error {
	total := 0
	for range count - 1 {
		length, n := frameLength(rest)
		if n == 0 {
			return errOpusLengths
		}
		total += length
		rest = rest[n:]
	}
	if total > len(rest) {
		return errOpusLengths
	}
	return checkFrame(len(rest) - total)
}

// unpad takes the padding's length bytes from the front and the padding from
// the end. Each 255 stands for 254 bytes and says that another follows.
func unpad(rest []byte) ([]byte, bool) {
	padding := 0
	for {
		if len(rest) == 0 {
			return nil, false
		}
		b := rest[0]
		rest = rest[1:]
		if b < 255 {
			padding += int(b)
			break
		}
		padding += 254
	}
	if padding > len(rest) {
		return nil, false
	}
	return rest[:len(rest)-padding], true
}

// frameLength reads a frame length of one or two bytes, section 3.2.1, and
// returns it with the number of bytes read, 0 when there are too few.
func frameLength(b []byte) (length, n int) {
	switch {
	case len(b) == 0 || b[0] >= 252 && len(b) == 1:
		return 0, 0
	case b[0] < 252:
		return int(b[0]), 1
	}
	return int(b[0]) + 4*int(b[1]), 2
}

// frameUnits returns the duration of each frame in units of 2.5 ms from the
// TOC byte, RFC 6716 table 2.
func frameUnits(toc byte) int {
	config := toc >> 3
	switch {
	case config < 12: // SILK: 10, 20, 40, 60 ms
		return [4]int{4, 8, 16, 24}[config&3]
	case config < 16: // hybrid: 10, 20 ms
		return 4 << (config & 1)
	}
	return 1 << (config & 3) // CELT: 2.5, 5, 10, 20 ms
}

func checkFrame(bytes int) error {
	if bytes > maxOpusFrame {
		return errOpusFrame
	}
	return nil
}

func checkUnits(units int, err error) (int, error) {
	if err == nil && units > maxOpusUnits {
		err = errOpusLong
	}
	if err != nil {
		return 0, err
	}
	return units, nil
}
