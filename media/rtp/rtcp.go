package rtp

import (
	"math/rand/v2"
	"net/netip"
	"time"

	pionrtcp "github.com/pion/rtcp"
)

// reportInterval is the minimum of RFC 3550 section 6.2, which two members never exceed.
const reportInterval = 5 * time.Second

// sendReports sends a report every half to one and a half intervals, the first
// after half that time (section 6.3.1), until Close.
func (s *Session) sendReports() {
	timer := time.NewTimer(randomised(reportInterval / 2))
	defer timer.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-timer.C:
			s.sendReport(time.Now(), false)
			timer.Reset(randomised(reportInterval))
		}
	}
}

func randomised(d time.Duration) time.Duration { return d/2 + rand.N(d) }

// sendReport sends the compound packet of section 6.1 to the peer, if its address is known.
func (s *Session) sendReport(now time.Time, bye bool) {
	s.mu.Lock()
	packets, to, a := s.report(now, bye), s.in.rtcp, s.agreed.Load()
	s.mu.Unlock()
	if a == nil || !usable(to) {
		return
	}
	b, err := pionrtcp.Marshal(packets)
	if err == nil {
		err = s.writeRTCP(b, to, a)
	}
	if err != nil {
		s.log.Debug("RTCP report not sent", "to", to, "err", err)
	}
}

// ownRTCPKeys says whether the RTCP port has a DTLS handshake of its own, which
// gives keys for no other, RFC 5764 section 4.1.
func (a *agreed) ownRTCPKeys() bool { return a.Security != nil && a.Security.DTLS != nil && !a.Mux }

// writeRTCP sends a compound packet, encrypted where the leg is.
func (s *Session) writeRTCP(b []byte, to netip.AddrPort, a *agreed) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if a.Security != nil {
		k := s.sealer.Load()
		if a.ownRTCPKeys() {
			k = s.rtcpSealer.Load()
		}
		if k == nil {
			return nil // no keys yet
		}
		var err error
		if b, err = k.sealRTCP(b); err != nil {
			return err
		}
	}
	if a.Mux {
		return s.rtp.send(b, to)
	}
	return s.rtcp.send(b, to)
}

// report builds SR or RR, SDES, and BYE at the end. s.mu is held.
func (s *Session) report(now time.Time, bye bool) []pionrtcp.Packet {
	var packets []pionrtcp.Packet
	if blocks := s.in.block(now); s.out.packets > s.out.reported {
		packets = append(packets, &pionrtcp.SenderReport{
			SSRC: s.ssrc, NTPTime: ntp(now), RTPTime: s.out.timestampAt(now),
			PacketCount: uint32(s.out.packets), OctetCount: uint32(s.out.octets), Reports: blocks,
		})
	} else {
		packets = append(packets, &pionrtcp.ReceiverReport{SSRC: s.ssrc, Reports: blocks})
	}
	s.out.reported = s.out.packets
	packets = append(packets, pionrtcp.NewCNAMESourceDescription(s.ssrc, s.cname))
	if bye {
		packets = append(packets, &pionrtcp.Goodbye{Sources: []uint32{s.ssrc}})
	}
	return packets
}

// block is the reception report on the peer's stream, none before its first packet.
func (in *inbound) block(now time.Time) []pionrtcp.ReceptionReport {
	r := &in.reception
	if !r.started {
		return nil
	}
	report := pionrtcp.ReceptionReport{
		SSRC:               r.ssrc,
		FractionLost:       r.fraction(),
		TotalLost:          uint32(min(r.streamLost(), 1<<23-1)),
		LastSequenceNumber: r.extended(),
		Jitter:             uint32(r.jitter * float64(r.rateHz)),
	}
	if in.reportID != 0 {
		report.LastSenderReport = in.reportID
		report.Delay = uint32(units(now.Sub(in.reportAt), 65536))
	}
	return []pionrtcp.ReceptionReport{report}
}

// receivedRTCP takes one datagram from the RTCP port.
func (s *Session) receivedRTCP(b []byte, from netip.AddrPort, now time.Time) {
	defer s.recovered()
	if isDTLS(b) {
		s.takeDTLS(onRTCP, b, from, now)
		return
	}
	s.takeRTCP(b, from, now, false)
}

// takeRTCP accounts for one compound packet. Only the peer's are looked into: from
// its RTCP address, from its RTP address if it mixes both, and, where its RTP
// address had to be learnt, from the same host with the SSRC that we hear.
func (s *Session) takeRTCP(b []byte, from netip.AddrPort, now time.Time, muxed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := from == s.in.rtcp && !muxed || from == s.in.latch.source && muxed
	nearby := !muxed && s.in.latch.learnt && from.Addr() == s.in.latch.source.Addr()
	if s.agreed.Load() == nil || !known && !nearby {
		s.in.discarded++
		return
	}
	b, ok := s.openRTCPLocked(b, from, known, muxed, now)
	if !ok {
		s.in.discarded++
		return
	}
	packets, err := pionrtcp.Unmarshal(b)
	if err != nil || !known && !sentBy(packets, s.in.reception.ssrc) {
		s.in.discarded++
		return
	}
	if nearby {
		s.in.rtcp = from
	}
	for _, p := range packets {
		s.hearReport(p, now)
	}
}

// sentBy reports whether a compound packet begins with a report of ssrc.
func sentBy(packets []pionrtcp.Packet, ssrc uint32) bool {
	switch p := packets[0].(type) {
	case *pionrtcp.SenderReport:
		return p.SSRC == ssrc
	case *pionrtcp.ReceiverReport:
		return p.SSRC == ssrc
	}
	return false
}

func (s *Session) hearReport(p pionrtcp.Packet, now time.Time) {
	switch p := p.(type) {
	case *pionrtcp.SenderReport:
		s.in.reportID, s.in.reportAt = uint32(p.NTPTime>>16), now
		s.hearBlocks(p.Reports, now)
	case *pionrtcp.ReceiverReport:
		s.hearBlocks(p.Reports, now)
	case *pionrtcp.Goodbye:
		for _, ssrc := range p.Sources {
			s.in.left = s.in.left || ssrc == s.in.reception.ssrc
		}
	}
}

// hearBlocks reads what the peer says about our stream.
func (s *Session) hearBlocks(reports []pionrtcp.ReceptionReport, now time.Time) {
	for _, r := range reports {
		if r.SSRC != s.ssrc {
			continue
		}
		s.out.remote.Add(r.FractionLost, r.LastSequenceNumber, r.TotalLost)
		if jitter := time.Duration(r.Jitter) * time.Second; s.out.rateHz > 0 && jitter < time.Duration(10*s.out.rateHz)*time.Second {
			s.out.remoteJitter = jitter / time.Duration(s.out.rateHz) // 10 s and more are no jitter
		}
		if r.LastSenderReport == 0 {
			continue
		}
		// Section 6.4.1; in 1/65536 s, which wrap after 18 hours.
		trip := uint32(ntp(now)>>16) - r.LastSenderReport - r.Delay
		if trip < 10<<16 { // else the peer's clock or its arithmetic is off
			s.out.roundTrip = time.Duration(trip) * time.Second / 65536
		}
	}
}

// ntp converts to seconds since 1900 in 32.32 fixed point, section 4.
func ntp(t time.Time) uint64 {
	const from1900To1970 = 2208988800
	return uint64(t.Unix()+from1900To1970)<<32 | uint64(t.Nanosecond())<<32/uint64(time.Second)
}
