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

	keys     *keyring // nil: the leg is not protected
	rtcpKeys *keyring // of a DTLS handshake on the RTCP port
	shakes   [2]shake // the DTLS handshakes, by port
	name     string   // of what protects the leg
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
	if isDTLS(b) {
		s.takeDTLS(onRTP, b, from, now)
		return
	}
	if s.strayRTCP(b) {
		s.takeRTCP(b, from, now, true)
		return
	}
	t := s.take(b, from, now)
	if t.learnt {
		s.log.Info("RTP comes from another address than signalled", "from", from, "signalled", s.Params().Remote)
	}
	to := s.receivers.Load()
	if to == nil {
		return
	}
	if t.pressed && to.digit != nil {
		to.digit(t.digit)
	}
	if t.sound && to.packet != nil {
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

// taken is what became of one packet.
type taken struct {
	digit   Digit
	pressed bool // digit is a new key
	sound   bool // s.packet is to be heard
	learnt  bool // it showed where the peer really is
}

// take accounts for one packet.
func (s *Session) take(b []byte, from netip.AddrPort, now time.Time) (t taken) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.agreed.Load()
	if a == nil || s.in.latch.stranger(from) || len(b) > maxPacket {
		s.in.discarded++
		return t
	}
	b, ok := s.openLocked(b, from, now)
	if !ok {
		s.in.discarded++
		return t
	}
	h, payload, err := parse(b)
	codec := a.codecs[h.payloadType]
	if err != nil || codec == media.NoCodec || !s.in.latch.accept(from, h, now) {
		s.in.discarded++
		return t
	}
	if t.learnt = s.remote.Load() != nil && from != *s.remote.Load(); t.learnt {
		s.sendTo(from)
		s.in.rtcp = a.rtcpOf(from)
	}
	how := s.in.reception.add(h)
	if how == foreign {
		s.in.discarded++
		return t
	}
	if how == restart {
		s.in.timeline.restart(h.sequence)
		s.in.digits = digitReceiver{}
	}
	s.in.lastReceived = now
	if codec == media.TelephoneEvent {
		s.in.timeline.skip(h.sequence)
		t.digit, t.pressed = s.in.digits.push(payload, h.timestamp, h.marker, a.clockOf(h.payloadType))
		t.pressed = t.pressed && a.Receive
		return t
	}
	s.in.reception.time(h.timestamp, codec.ClockRate(), now)
	if len(payload) == 0 { // some keep NAT bindings open that way
		s.in.timeline.skip(h.sequence)
		return t
	}
	t.sound = a.Receive
	s.deliver(h, codec, payload, how == restart, now)
	return t
}

// deliver makes s.packet out of a packet that was accepted. s.mu is held.
func (s *Session) deliver(h header, codec media.Codec, payload []byte, restarted bool, now time.Time) {
	s.packet = media.Packet{
		Codec:          codec,
		Marker:         h.marker || restarted,
		SequenceNumber: s.in.timeline.number(h.sequence),
		Timestamp:      s.in.timeline.stamp(h.timestamp, codec.ClockRate(), restarted, now),
		Payload:        payload,
		Arrived:        now,
	}
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
