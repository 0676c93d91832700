package rtp

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/roomline/roomline/media"
)

// PayloadCodec says which codec a payload type number stands for.
type PayloadCodec struct {
	PayloadType uint8 // 0 to 127
	Codec       media.Codec
	ClockHz     int // of telephone-event: 8000 or 48000; 0: the codec's own
}

// Opus is what the peer asks of the Opus that we send, RFC 7587 section 6.1.
// Zero fields are not said.
type Opus struct {
	MaxPlaybackHz int  // it plays no more than this
	MaxBitrate    int  // bits per second
	FEC           bool // it can use in-band forward error correction
	Stereo        bool // it prefers stereo; we send mono
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
	EventHz          int           // clock of telephone-event towards the peer, 8000 or 48000; 0 means 8000
	Opus             Opus          // if Codec is Opus
	Ptime            time.Duration // of what we send, 10 to 60 ms; 0 means 20 ms
	Latch            bool          // the signalled address may be wrong (NAT): learn it
	Send, Receive    bool
	Mux              bool      // RTCP goes over the RTP port both ways, RFC 5761; RemoteRTCP is not looked at
	Security         *Security // nil: plain RTP. It is not changed afterwards
}

// agreed is Params made ready for the road; it never changes.
type agreed struct {
	Params
	codecs [128]media.Codec // by payload type
	clocks [128]int         // of telephone-events, by payload type
	noise  int              // payload type of comfort noise, -1: not agreed
}

func agree(p Params, local netip.Addr) (*agreed, error) {
	if p.Ptime == 0 {
		p.Ptime = media.FrameDuration
	}
	p.Remote, p.RemoteRTCP = unmap(p.Remote), unmap(p.RemoteRTCP)
	if err := p.check(local); err != nil {
		return nil, err
	}
	if p.Mux {
		p.RemoteRTCP = p.Remote
	}
	if !p.RemoteRTCP.IsValid() && usable(p.Remote) {
		p.RemoteRTCP = netip.AddrPortFrom(p.Remote.Addr(), p.Remote.Port()+1)
	}
	p.Accept = slices.Clone(p.Accept)
	a := &agreed{Params: p, noise: -1}
	for _, pc := range p.Accept {
		a.codecs[pc.PayloadType] = pc.Codec
		a.clocks[pc.PayloadType] = pc.ClockHz
		if pc.Codec == media.ComfortNoise {
			a.noise = int(pc.PayloadType)
		}
	}
	return a, nil
}

func (p *Params) check(local netip.Addr) error {
	switch {
	case p.Ptime < 10*time.Millisecond || p.Ptime > 60*time.Millisecond:
		return fmt.Errorf("ptime of %v: want 10 to 60 ms", p.Ptime)
	case p.PayloadType > 127 || p.EventPayloadType > 127:
		return fmt.Errorf("payload types %d and %d: want 0 to 127", p.PayloadType, p.EventPayloadType)
	case p.EventHz != 0 && p.EventHz != eventClock && p.EventHz != 48000:
		return fmt.Errorf("clock of %d Hz for telephone-event: want 8000 or 48000", p.EventHz)
	case p.Send && usable(p.Remote) && !p.Codec.Audio():
		return fmt.Errorf("codec %s carries no sound to send", p.Codec)
	case usable(p.Remote) && p.Remote.Addr().Is4() != local.Is4():
		return fmt.Errorf("peer's address %s is not of the family of ours, %s", p.Remote.Addr(), local)
	case usable(p.RemoteRTCP) && p.RemoteRTCP.Addr().Is4() != local.Is4():
		return fmt.Errorf("peer's RTCP address %s is not of the family of ours, %s", p.RemoteRTCP.Addr(), local)
	}
	for _, pc := range p.Accept {
		if pc.PayloadType > 127 {
			return fmt.Errorf("payload type %d of %s: want 0 to 127", pc.PayloadType, pc.Codec)
		}
	}
	return p.Security.check()
}

// clockOf returns the clock of a telephone-event's payload type.
func (a *agreed) clockOf(payloadType uint8) uint32 {
	return uint32(cmp.Or(a.clocks[payloadType], eventClock))
}

// rtcpOf returns where the RTCP of a peer goes whose RTP comes from an address.
func (a *agreed) rtcpOf(from netip.AddrPort) netip.AddrPort {
	if a.Mux {
		return from
	}
	return netip.AddrPortFrom(from.Addr(), from.Port()+1)
}

// numberOf returns the payload type for a codec towards the peer.
func (a *agreed) numberOf(c media.Codec) (uint8, bool) {
	switch {
	case c == a.Codec:
		return a.PayloadType, true
	case c == media.TelephoneEvent:
		return a.EventPayloadType, a.EventsAgreed
	case c == media.ComfortNoise:
		return uint8(a.noise), a.noise >= 0
	}
	return 0, false
}

// usable reports whether packets can be sent there: 0.0.0.0 is the old way to
// say hold (RFC 3264 section 8.4), port 0 says no stream.
func usable(a netip.AddrPort) bool {
	return a.IsValid() && !a.Addr().IsUnspecified() && a.Port() != 0
}

func unmap(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}
