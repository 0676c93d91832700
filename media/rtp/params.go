package rtp

import (
	"net/netip"
	"time"

	"github.com/roomline/roomline/media"
)

// PayloadCodec says which codec a payload type number stands for.
type PayloadCodec struct {
	PayloadType uint8 // 0 to 127
	Codec       media.Codec
}

// Params is what SDP agreed on for one stream in both directions. A re-INVITE
// replaces it as a whole with [Session.Update].
type Params struct {
	Remote           netip.AddrPort // where the peer wants RTP; zero: not known yet, nothing is sent or accepted
	RemoteRTCP       netip.AddrPort // zero: Remote with port + 1
	Codec            media.Codec    // what we send
	PayloadType      uint8          // the number of Codec towards the peer
	Accept           []PayloadCodec // what the peer may send, with telephone-event and CN
	EventPayloadType uint8          // telephone-event towards the peer, if EventsAgreed
	EventsAgreed     bool
	Ptime            time.Duration // of what we send, 10 to 60 ms; 0 means 20 ms
	Latch            bool          // the signalled address may be wrong (NAT): learn it
	Send, Receive    bool
}
