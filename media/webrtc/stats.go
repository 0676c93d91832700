package webrtc

import (
	"math/rand/v2"
	"time"

	"github.com/pion/rtcp"
	pionrtp "github.com/pion/rtp"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/red"
)

// sentStats counts one outgoing stream, for sender reports and quality.
type sentStats struct {
	packets, octets uint32 // as in a sender report: they wrap
	total           uint64
	highest         uint16
	lastTimestamp   uint32
	lastAt          time.Time
	clockRate       uint32

	remote    media.Reported
	loss      float64 // percent, of the last report
	jitter    time.Duration
	roundTrip time.Duration
}

func (s *sentStats) add(h *pionrtp.Header, p *media.Packet, length int, now time.Time) {
	if s.packets == 0 || int16(h.SequenceNumber-s.highest) > 0 {
		s.highest = h.SequenceNumber
	}
	s.packets++
	s.total++
	s.remote.Sent(h.SequenceNumber)
	s.octets += uint32(length)
	if p.Codec != media.TelephoneEvent {
		s.lastTimestamp, s.lastAt, s.clockRate = p.Timestamp, now, uint32(p.Codec.ClockRate())
	}
}

// report is our sender report (RFC 3550 section 6.4.1); nil before the first packet.
func (s *sentStats) report(ssrc uint32, now time.Time) *rtcp.SenderReport {
	if s.packets == 0 || s.lastAt.IsZero() {
		return nil
	}
	elapsed := now.Sub(s.lastAt)
	return &rtcp.SenderReport{
		SSRC: ssrc, NTPTime: ntp(now),
		RTPTime:     s.lastTimestamp + uint32(int64(elapsed)*int64(s.clockRate)/int64(time.Second)),
		PacketCount: s.packets, OctetCount: s.octets,
	}
}

// reported takes in what the other side says about our stream.
func (s *sentStats) reported(r rtcp.ReceptionReport, codec media.Codec, now time.Time) {
	s.remote.Add(r.FractionLost, r.LastSequenceNumber, r.TotalLost)
	s.loss = s.remote.Percent()
	if rate := codec.ClockRate(); rate > 0 {
		s.jitter = time.Duration(r.Jitter) * time.Second / time.Duration(rate)
	}
	if r.LastSenderReport == 0 {
		return
	}
	// RFC 3550 section 6.4.1: round trip = now - LSR - DLSR, in 1/65536 s.
	middle := uint32(ntp(now) >> 16)
	if d := int32(middle - r.LastSenderReport - r.Delay); d >= 0 {
		s.roundTrip = time.Duration(d) * time.Second / 65536
	}
}

// maxDropout is RFC 3550 appendix A.1's MAX_DROPOUT.
const maxDropout = 3000

// receivedStats counts one incoming stream as RFC 3550 appendix A asks.
type receivedStats struct {
	ssrc      uint32 // of ours, in reports about it
	clockRate uint32
	started   bool
	first     uint32 // extended sequence numbers
	highest   uint32
	packets   uint64
	discarded uint64
	transit   int64
	losses    media.Losses
	packing   media.Packing
	jitter    float64 // in clock units
	epoch     time.Time

	lastExpected, lastPackets uint64
	want                      red.Gate // redundancy, by what we report
	lastSR                    uint32
	lastSRAt                  time.Time
}

func (s *receivedStats) ourSSRC() uint32 {
	if s.ssrc == 0 {
		s.ssrc = rand.Uint32() | 1
	}
	return s.ssrc
}

func (s *receivedStats) add(seq uint16, timestamp uint32, now time.Time) {
	s.packets++
	s.losses.Add(seq)
	s.packing.Add(seq, timestamp)
	if !s.started {
		s.started, s.epoch = true, now
		s.first = 1<<16 | uint32(seq) // one cycle up, so that a late packet cannot go below 0
		s.highest = s.first
		s.transit = -int64(timestamp)
		return
	}
	switch d := int16(seq - uint16(s.highest)); {
	case d >= maxDropout || d <= -maxDropout: // it numbers anew: nothing is lost in between
		expected := uint32(s.expected())
		s.highest = 1<<16 | uint32(seq)
		s.first = s.highest - expected
	case d > 0:
		s.highest += uint32(d)
	}
	arrival := int64(now.Sub(s.epoch)) * int64(s.clockRate) / int64(time.Second)
	transit := arrival - int64(timestamp)
	d := int64(int32(transit - s.transit)) // timestamps wrap
	s.transit = transit
	if d < 0 {
		d = -d
	}
	s.jitter += (float64(d) - s.jitter) / 16
}

func (s *receivedStats) senderReport(ntpTime uint64, now time.Time) {
	s.lastSR, s.lastSRAt = uint32(ntpTime>>16), now
}

func (s *receivedStats) expected() uint64 {
	if !s.started {
		return 0
	}
	return uint64(s.highest-s.first) + 1
}

func (s *receivedStats) lost() uint64 {
	if e := s.expected(); e > s.packets {
		return e - s.packets
	}
	return 0
}

// report is one block of our receiver report (RFC 3550 appendix A.3).
func (s *receivedStats) report(ssrc uint32, now time.Time) rtcp.ReceptionReport {
	expected := s.expected()
	newExpected, newPackets := expected-s.lastExpected, s.packets-s.lastPackets
	s.lastExpected, s.lastPackets = expected, s.packets
	r := rtcp.ReceptionReport{
		SSRC: ssrc, LastSequenceNumber: s.highest - 1<<16, Jitter: uint32(s.jitter),
		TotalLost: uint32(min(s.lost(), 0x7fffff)),
	}
	if newExpected > newPackets {
		r.FractionLost = uint8(min((newExpected-newPackets)*256/newExpected, 255))
	}
	if newExpected > 0 {
		s.want.Report(float64(r.FractionLost)*100/256, now)
	}
	if !s.lastSRAt.IsZero() {
		r.LastSenderReport = s.lastSR
		r.Delay = uint32(now.Sub(s.lastSRAt) * 65536 / time.Second)
	}
	return r
}

// ntp is a time in NTP's 32.32 format (RFC 3550 section 4).
func ntp(t time.Time) uint64 {
	const since1900 = 2208988800
	return (uint64(t.Unix())+since1900)<<32 | uint64(t.Nanosecond())<<32/uint64(time.Second)
}
