package transcode

import "github.com/roomline/roomline/media"

// Redundancy returns how much sound from before a payload can be had from it with
// Recover, in samples at rateHz: the length of one frame where Opus carries
// in-band redundancy (LBRR), else 0.
func Redundancy(codec media.Codec, payload []byte, rateHz int) int {
	if codec != media.Opus {
		return 0
	}
	if _, err := opusUnits(payload); err != nil || payload[0]>>3 >= 16 { // CELT has none
		return 0
	}
	first := firstFrame(payload)
	if len(first) < 2 { // decoders take it for silence, as in DTX
		return 0
	}
	units := frameUnits(payload[0])
	if !hasLBRR(first[0], max(1, units/8), payload[0]&4 != 0) {
		return 0
	}
	return units * rateHz / 400
}

// hasLBRR looks for the LBRR flags in the first byte of a frame of so many SILK
// frames of 20 ms or less: after the voice activity flags of each channel, RFC
// 6716 section 4.2.3. They are coded with equal odds, so that they lie bare.
func hasLBRR(b byte, frames int, stereo bool) bool {
	if b>>(7-frames)&1 != 0 {
		return true
	}
	return stereo && b>>(6-2*frames)&1 != 0
}

// firstFrame returns the first frame of a packet that passed opusUnits.
func firstFrame(packet []byte) []byte {
	rest := packet[1:]
	switch packet[0] & 3 {
	case 0:
		return rest
	case 1:
		return rest[:len(rest)/2]
	case 2:
		length, n := frameLength(rest)
		return rest[n : n+length]
	}
	count, vbr, padded := int(rest[0]&0x3f), rest[0]&0x80 != 0, rest[0]&0x40 != 0
	rest = rest[1:]
	if padded {
		rest, _ = unpad(rest)
	}
	if !vbr {
		return rest[:len(rest)/count]
	}
	if count == 1 {
		return rest
	}
	length, _ := frameLength(rest)
	for range count - 1 {
		_, n := frameLength(rest)
		rest = rest[n:]
	}
	return rest[:length]
}
