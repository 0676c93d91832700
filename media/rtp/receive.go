package rtp

import (
	"net/netip"
	"runtime/debug"
	"time"

	"github.com/roomline/roomline/media"
)

// inbound is what is known of the packets that come to us.
type inbound struct {
	latch        latch
	rtcp         netip.AddrPort // where reports go to and come from
	reception    reception
	timeline     timeline
	digits       digitReceiver
	lastReceived time.Time
	discarded    uint64

	reportID uint32    // middle 32 bits of the NTP time of the last SR; 0: none came
	reportAt time.Time // when it came
	left     bool      // the peer said BYE
}

// Receive sets who gets the peer's packets and keys, in place of who got them
// before; nil for nobody. Both are called on the reading goroutine, one at a
// time, and must not block; the packet and its Payload are only valid during the
// call. onPacket gets sound and comfort noise in order of arrival. Numbers and
// timestamps continue across changes of the peer's SSRC, and packets of digits
// leave no gap in the numbers, so that a gap means sound that was lost.
//
// A receiver that panics is not called again, nor is the other one.
func (s *Session) Receive(onPacket func(*media.Packet), onDigit func(Digit)) {
	s.receivers.Store(&receivers{packet: onPacket, digit: onDigit})
}

// LastReceived returns when the last packet was accepted; before the first,
// and after a time without Receive, when receiving started.
func (s *Session) LastReceived() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.in.lastReceived
}

// receivedRTP takes one datagram from the RTP port.
func (s *Session) receivedRTP(b []byte, from netip.AddrPort, now time.Time) {
	defer s.recovered()
	if s.broken.Load() {
		return
	}
	if s.strayRTCP(b) {
		s.takeRTCP(b, from, now, true)
		return
	}
	digit, pressed, sound := s.take(b, from, now)
	to := s.receivers.Load()
	if to == nil {
		return
	}
	if pressed && to.digit != nil {
		to.digit(digit)
	}
	if sound && to.packet != nil {
		to.packet(&s.packet)
	}
}

// recovered ends what one session's receiver broke: going on might deadlock on
// a lock that it left held, and with it every session that shares the goroutine.
func (s *Session) recovered() {
	if p := recover(); p != nil {
		s.broken.Store(true)
		s.log.Error("receiver of RTP panicked, nothing is delivered any more", "panic", p, "stack", string(debug.Stack()))
	}
}

// take accounts for one packet and, if it is to be heard, leaves it in s.packet.
func (s *Session) take(b []byte, from netip.AddrPort, now time.Time) (digit Digit, pressed, sound bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.agreed.Load()
	if a == nil || s.in.latch.stranger(from) {
		s.in.discarded++
		return
	}
	h, payload, err := parse(b)
	codec := a.codecs[h.payloadType]
	if err != nil || codec == media.NoCodec || !s.admit(from, h, now) {
		s.in.discarded++
		return
	}
	how := s.in.reception.add(h)
	if how == foreign {
		s.in.discarded++
		return
	}
	if how == restart {
		s.in.timeline.restart(h.sequence)
		s.in.digits = digitReceiver{}
	}
	s.in.lastReceived = now
	if codec == media.TelephoneEvent {
		s.in.timeline.skip(h.sequence)
		digit, pressed = s.in.digits.push(payload, h.timestamp, h.marker)
		return digit, pressed && a.Receive, false
	}
	s.in.reception.time(h.timestamp, codec.ClockRate(), now)
	s.packet = media.Packet{
		Codec:          codec,
		Marker:         h.marker || how == restart,
		SequenceNumber: s.in.timeline.number(h.sequence),
		Timestamp:      s.in.timeline.stamp(h.timestamp, codec.ClockRate(), how == restart, now),
		Payload:        payload,
		Arrived:        now,
	}
	return digit, false, a.Receive && len(payload) > 0
}

// admit asks the latch, and follows the peer when it has learnt its address.
func (s *Session) admit(from netip.AddrPort, h header, now time.Time) bool {
	wasOpen := s.in.latch.open
	if !s.in.latch.accept(from, h, now) {
		return false
	}
	if wasOpen && s.in.latch.learned {
		s.sendTo(from)
		s.in.rtcp = netip.AddrPortFrom(from.Addr(), from.Port()+1)
		s.log.Info("RTP comes from another address than signalled", "from", from, "signalled", s.agreed.Load().Remote)
	}
	return true
}

// strayRTCP reports whether b is RTCP that the peer sent to the RTP port. RTCP's
// types are also the marked packets of payload types 64 to 95, if those were agreed.
func (s *Session) strayRTCP(b []byte) bool {
	if !looksLikeRTCP(b) {
		return false
	}
	a := s.agreed.Load()
	return a == nil || a.codecs[b[1]&0x7F] == media.NoCodec
}
