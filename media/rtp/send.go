package rtp

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"github.com/roomline/roomline/media"
)

// outbound is what was sent, for reports.
type outbound struct {
	packets, octets uint64 // octets of payload, section 6.4.1
	timestamp       uint32 // of the last packet with sound
	at              time.Time
	rateHz          int    // of timestamp; 0: nothing was sent yet
	reported        uint64 // packets at the last report

	// What the peer's last report said.
	roundTrip    time.Duration
	remote       media.Reported
	remoteJitter time.Duration
}

// WritePacket sends one packet, see [media.Writer]. Packets are dropped
// silently while Send is off, or the peer's address or the keys are not known. It is an error
// to send a codec that the peer has not agreed to, or more than fits a datagram.
func (s *Session) WritePacket(p *media.Packet) error {
	a, to := s.agreed.Load(), s.remote.Load()
	if a == nil || to == nil || !a.Send || a.Security != nil && s.sealer.Load() == nil {
		return nil
	}
	number, ok := a.numberOf(p.Codec)
	if !ok {
		return fmt.Errorf("send RTP: the peer has not agreed to %s", p.Codec)
	}
	if len(p.Payload) > maxPacket-headerSize {
		return fmt.Errorf("send RTP: payload of %d bytes does not fit a packet of %d", len(p.Payload), maxPacket)
	}
	if err := s.write(p, number, *to); err != nil {
		return fmt.Errorf("send RTP to %s: %w", *to, err)
	}
	s.sent(p, time.Now())
	return nil
}

// write puts the packet together in the session's buffer; the lock is for
// callers that break the rule of one at a time.
func (s *Session) write(p *media.Packet, number uint8, to netip.AddrPort) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	put(s.buffer[:], p, number, s.ssrc)
	n := copy(s.buffer[headerSize:], p.Payload)
	if p.Codec == media.TelephoneEvent {
		s.agreed.Load().stretch(s.buffer[headerSize : headerSize+n])
	}
	b := s.buffer[:headerSize+n]
	if k := s.sealer.Load(); k != nil {
		var err error
		if b, err = k.seal(b); err != nil {
			return err
		}
	}
	return s.rtp.send(b, to)
}

// stretch puts the duration of a key, in units of 8000 Hz, into those agreed on.
func (a *agreed) stretch(event []byte) {
	if a.EventHz <= eventClock || len(event) < 4 {
		return
	}
	units := int(binary.BigEndian.Uint16(event[2:])) * a.EventHz / eventClock
	binary.BigEndian.PutUint16(event[2:], uint16(min(units, 0xFFFF)))
}

func (s *Session) sent(p *media.Packet, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out.packets++
	s.out.remote.Sent(p.SequenceNumber)
	s.out.octets += uint64(len(p.Payload))
	if p.Codec != media.TelephoneEvent { // whose timestamps stand still
		s.out.timestamp, s.out.at, s.out.rateHz = p.Timestamp, now, p.Codec.ClockRate()
	}
}

// timestampAt returns the RTP time of now: that of the last packet plus what went by.
func (o *outbound) timestampAt(now time.Time) uint32 {
	return o.timestamp + uint32(units(now.Sub(o.at), o.rateHz))
}
