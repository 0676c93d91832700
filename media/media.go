// Package media is the lowest stone of the house: what a packet, a codec, a
// frame, a level and a tone are. It opens no socket, starts no goroutine and
// knows no protocol above RTP's header fields.
//
// PCM everywhere is signed 16-bit, mono, in slices of int16; roads run at
// [NarrowbandHz] or at [WidebandHz].
package media

import (
	"context"
	"net"
	"strings"
	"time"
)

// NarrowbandHz is the sampling rate of the telephone network and of every
// decoded frame on the narrowband road.
const NarrowbandHz = 8000

// WidebandHz is the sampling rate of the wideband road, for G.722 and for Opus
// that somebody can hear in full.
const WidebandHz = 16000

// FrameDuration is the length of one beat: the frame that mixers and paced
// sinks work in.
const FrameDuration = 20 * time.Millisecond

// FrameSamples is the number of narrowband samples in one FrameDuration.
const FrameSamples = 160

// Codec names the encoding of an RTP payload.
type Codec uint8

// The codecs that the gateway carries. TelephoneEvent and ComfortNoise are
// payloads without sound of their own.
const (
	NoCodec        Codec = iota
	PCMU                 // G.711 µ-law, RFC 3551, 8000 Hz
	PCMA                 // G.711 A-law, RFC 3551, 8000 Hz
	Opus                 // RFC 7587, clock 48000 Hz whatever is inside
	TelephoneEvent       // RFC 4733 at 8000 Hz
	ComfortNoise         // RFC 3389, 8000 Hz
	VP8                  // RFC 7741, 90000 Hz
	H264                 // RFC 6184, 90000 Hz
	G722                 // RFC 3551 section 4.5.2: samples at 16000 Hz, an RTP clock of 8000 Hz
)

var codecNames = [...]string{"none", "PCMU", "PCMA", "opus", "telephone-event", "CN", "VP8", "H264", "G722"}

// String returns the encoding name of SDP's rtpmap.
func (c Codec) String() string {
	if int(c) < len(codecNames) {
		return codecNames[c]
	}
	return "unknown"
}

// ClockRate returns the RTP clock in Hz, 0 for NoCodec.
func (c Codec) ClockRate() int {
	switch c {
	case PCMU, PCMA, G722, TelephoneEvent, ComfortNoise:
		return 8000
	case Opus:
		return 48000
	case VP8, H264:
		return 90000
	}
	return 0
}

// Audio reports whether the codec carries sound.
func (c Codec) Audio() bool { return c == PCMU || c == PCMA || c == Opus || c == G722 }

// Video reports whether the codec carries pictures.
func (c Codec) Video() bool { return c == VP8 || c == H264 }

// ParseCodec finds the codec with an SDP encoding name, in any letter case.
func ParseCodec(name string) (Codec, bool) {
	for i, n := range codecNames[1:] {
		if strings.EqualFold(n, name) {
			return Codec(i + 1), true
		}
	}
	return NoCodec, false
}

// Packet is one RTP packet between its transport and the bridge: transports
// translate payload types to codecs on the way in, and stamp SSRC and payload
// type on the way out. Whoever is handed a Packet may read it and its Payload
// until it returns, and must copy what it keeps.
type Packet struct {
	Codec          Codec
	Marker         bool
	SequenceNumber uint16
	Timestamp      uint32    // in units of Codec.ClockRate
	Payload        []byte    // codec bytes, no RTP header, no padding
	Redundant      bool      // it was lost, and had from the redundancy in a later packet (RFC 2198)
	Arrived        time.Time // when the socket gave it to us; zero on the way out
}

// Writer is the transport of one outgoing stream. The caller owns sequence
// numbers and timestamps; the Writer owns SSRC, payload type, encryption and
// RTCP sender reports. WritePacket does not block, does not keep the packet,
// and is called by one goroutine at a time.
type Writer interface {
	WritePacket(p *Packet) error
}

// Listen opens a packet socket. Every media and signalling socket of the
// process is opened through one such function that is handed in, so that tests
// and later a socket keeper can take its place. network is "udp4" or "udp6".
type Listen func(ctx context.Context, network, address string) (net.PacketConn, error)

// ListenUDP is the Listen of the operating system.
func ListenUDP(ctx context.Context, network, address string) (net.PacketConn, error) {
	var lc net.ListenConfig
	return lc.ListenPacket(ctx, network, address)
}
