package rtp

import (
	"math"
	"net/netip"
	"testing"
	"time"

	pionrtcp "github.com/pion/rtcp"

	"github.com/roomline/roomline/media"
)

var phoneRTCP = netip.MustParseAddrPort("127.0.0.1:4001")

func compound(t testing.TB, packets ...pionrtcp.Packet) []byte {
	t.Helper()
	b, err := pionrtcp.Marshal(packets)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// built returns the report that the session would send at now.
func built(s *Session, now time.Time, bye bool) []pionrtcp.Packet {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.report(now, bye)
}

func TestSenderReport(t *testing.T) {
	r := newRoad(t, telephone(phoneAddr))
	start := time.Date(2026, 3, 1, 12, 0, 0, 500_000_000, time.UTC)
	r.s.sent(&media.Packet{Codec: media.PCMU, Timestamp: 0xFFFFFF00, Payload: make([]byte, 160)}, start)
	r.s.sent(&media.Packet{Codec: media.TelephoneEvent, Timestamp: 5, Payload: make([]byte, 4)}, start.Add(time.Second))

	p := built(r.s, start.Add(2*time.Second), false)
	sr, ok := p[0].(*pionrtcp.SenderReport)
	if !ok {
		t.Fatalf("%T, want a sender report", p[0])
	}
	if want := uint32(0xFFFFFF00); sr.RTPTime != want+16000 {
		t.Errorf("RTP time %d, want that of the last sound plus 2 s", sr.RTPTime)
	}
	if sr.NTPTime>>32 != uint64(start.Unix()+2+2208988800) || sr.NTPTime&0xFFFFFFFF != 1<<31 {
		t.Errorf("NTP time %x", sr.NTPTime)
	}
	if sr.SSRC != r.s.SSRC() || sr.PacketCount != 2 || sr.OctetCount != 164 || len(sr.Reports) != 0 {
		t.Errorf("%+v", sr)
	}
	if cname, err := pionrtcp.CompoundPacket(p).CNAME(); err != nil || len(cname) < 16 {
		t.Errorf("CNAME %q, %v", cname, err)
	}
	if _, ok := built(r.s, start.Add(7*time.Second), false)[0].(*pionrtcp.ReceiverReport); !ok {
		t.Error("a sender report though nothing was sent since the last one")
	}
}

func TestReceptionReport(t *testing.T) {
	r := newRoad(t, telephone(phoneAddr))
	for _, n := range []uint16{65535, 0, 1, 3, 4, 6, 7, 8} {
		r.sound(n, 160*uint32(n+1), 0xABCD)
	}
	r.s.receivedRTCP(compound(t, &pionrtcp.SenderReport{SSRC: 0xABCD, NTPTime: 0x1111_2222_3333_4444}), phoneRTCP, r.now)
	blocks := built(r.s, r.now.Add(1500*time.Millisecond), false)[0].(*pionrtcp.ReceiverReport).Reports
	if len(blocks) != 1 {
		t.Fatal(blocks)
	}
	want := pionrtcp.ReceptionReport{
		SSRC: 0xABCD, FractionLost: 51, TotalLost: 2, LastSequenceNumber: 65536 + 8,
		LastSenderReport: 0x2222_3333, Delay: 65536 * 3 / 2, Jitter: blocks[0].Jitter,
	}
	if blocks[0] != want {
		t.Errorf("%+v, want %+v", blocks[0], want)
	}
}

func TestRoundTripAndRemoteLoss(t *testing.T) {
	r := newRoad(t, telephone(phoneAddr))
	r.sound(1, 160, 9)
	sentAt := r.now
	report := func(fraction uint8, delay time.Duration, ssrc uint32) []byte {
		return compound(t, &pionrtcp.ReceiverReport{SSRC: 9, Reports: []pionrtcp.ReceptionReport{{
			SSRC: ssrc, FractionLost: fraction, LastSenderReport: uint32(ntp(sentAt) >> 16), Delay: uint32(units(delay, 65536)),
		}}})
	}
	r.s.receivedRTCP(report(64, 3*time.Second, r.s.SSRC()), phoneRTCP, sentAt.Add(3080*time.Millisecond))
	q := r.s.Quality()
	if math.Abs(q.RoundTripMS-80) > 0.1 || q.RemoteLoss != 25 {
		t.Errorf("%+v, want a round trip of 80 ms and 25 %% lost", q)
	}
	r.s.receivedRTCP(report(128, time.Second, r.s.SSRC()+1), phoneRTCP, sentAt.Add(time.Minute)) // about somebody else
	r.s.receivedRTCP(report(64, time.Hour, r.s.SSRC()), phoneRTCP, sentAt.Add(time.Second))      // a delay that cannot be
	if got := r.s.Quality(); got.RoundTripMS != q.RoundTripMS || got.RemoteLoss != 25 {
		t.Errorf("%+v", got)
	}
}

func TestReportsOfStrangersAreDiscarded(t *testing.T) {
	r := newRoad(t, telephone(phoneAddr))
	r.sound(1, 160, 9)
	bye := compound(t, &pionrtcp.ReceiverReport{SSRC: 9}, &pionrtcp.Goodbye{Sources: []uint32{9}})
	for _, from := range []string{"127.0.0.1:4003", "127.0.0.1:4000", "192.0.2.66:4001"} {
		r.s.receivedRTCP(bye, netip.MustParseAddrPort(from), r.now)
	}
	for _, b := range [][]byte{nil, {0x80}, bye[:5], make([]byte, 400)} {
		r.s.receivedRTCP(b, phoneRTCP, r.now)
	}
	if q := r.s.Quality(); q.Discarded != 7 || r.s.in.left {
		t.Errorf("%+v, left %v", q, r.s.in.left)
	}
	r.s.receivedRTCP(bye, phoneRTCP, r.now)
	if !r.s.in.left {
		t.Error("the peer's BYE went unheard")
	}
}

func TestReportsOnTheSoundPort(t *testing.T) {
	r := newRoad(t, telephone(phoneAddr))
	r.sound(1, 160, 9)
	stray := compound(t, &pionrtcp.SenderReport{SSRC: 9, NTPTime: 1 << 40})
	r.in(stray)
	r.sound(2, 320, 9)
	if q := r.s.Quality(); q.PacketsReceived != 2 || q.Discarded != 0 || q.PacketsLost != 0 || r.s.in.reportID == 0 {
		t.Errorf("%+v", q)
	}
	r.s.receivedRTP(stray, strangerAddr, r.now)
	if q := r.s.Quality(); q.Discarded != 1 {
		t.Errorf("%+v", q)
	}
}

func TestReportsFollowALearntAddress(t *testing.T) {
	r := newRoad(t, nat())
	for i := range uint32(3) {
		r.sound(uint16(i), 160*i, 9)
	}
	if r.s.in.rtcp != phoneRTCP {
		t.Errorf("reports go to %v, want the port after the learnt one", r.s.in.rtcp)
	}
	elsewhere := netip.MustParseAddrPort("127.0.0.1:9999")
	r.s.receivedRTCP(compound(t, &pionrtcp.ReceiverReport{SSRC: 66}), elsewhere, r.now)
	if r.s.in.rtcp != phoneRTCP {
		t.Error("a report of an unknown SSRC moved our reports")
	}
	r.s.receivedRTCP(compound(t, &pionrtcp.ReceiverReport{SSRC: 9}), elsewhere, r.now)
	if r.s.in.rtcp != elsewhere {
		t.Errorf("reports go to %v, want where the peer's come from", r.s.in.rtcp)
	}
}

func FuzzReceiveRTCP(f *testing.F) {
	s := open(f, telephone(phoneAddr))
	now := time.Now()
	s.receivedRTP(wire(f, 0, 1, 160, 9, make([]byte, 160)), phoneAddr, now)
	f.Add(compound(f, &pionrtcp.SenderReport{SSRC: 9, NTPTime: 1 << 40, Reports: []pionrtcp.ReceptionReport{{SSRC: s.SSRC(), LastSenderReport: 1}}}, &pionrtcp.Goodbye{Sources: []uint32{9}}))
	f.Add(compound(f, &pionrtcp.ReceiverReport{SSRC: 9}, pionrtcp.NewCNAMESourceDescription(9, "a@example.com")))
	f.Add([]byte{0x80, 207, 0, 1, 0, 0, 0, 9, 4, 0, 0, 2})
	f.Fuzz(func(t *testing.T, b []byte) {
		s.receivedRTCP(b, phoneRTCP, now)
		s.receivedRTP(b, phoneAddr, now)
		if s.broken.Load() {
			t.Fatal("a panic in a report")
		}
		if q := s.Quality(); q.RoundTripMS < 0 || q.RoundTripMS > 10000 || q.RemoteLoss < 0 || q.RemoteLoss > 100 {
			t.Fatalf("%+v", q)
		}
		built(s, now, true)
	})
}
