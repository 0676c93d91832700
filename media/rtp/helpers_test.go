package rtp

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	pionrtp "github.com/pion/rtp"
	"go.uber.org/goleak"

	"github.com/roomline/roomline/media"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var loopback = netip.MustParseAddr("127.0.0.1")

// telephone is Params as an ordinary phone at remote has them.
func telephone(remote netip.AddrPort) Params {
	return Params{
		Remote: remote, Codec: media.PCMU, PayloadType: 0,
		Accept: []PayloadCodec{
			{0, media.PCMU, 0}, {8, media.PCMA, 0}, {13, media.ComfortNoise, 0},
			{101, media.TelephoneEvent, 0}, {96, media.TelephoneEvent, 0},
		},
		EventPayloadType: 101, EventsAgreed: true, Send: true, Receive: true,
	}
}

func open(t testing.TB, p Params) *Session {
	t.Helper()
	s, err := Open(context.Background(), Config{LocalIP: loopback})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if err := s.Update(p); err != nil {
		t.Fatal(err)
	}
	return s
}

func socketAt(t testing.TB, ip string) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(ip)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func addr(c *net.UDPConn) netip.AddrPort { return unmap(localAddr(c)) }

// wire builds a packet with the other implementation.
func wire(t testing.TB, payloadType uint8, sequence uint16, timestamp, ssrc uint32, payload []byte, change ...func(*pionrtp.Packet)) []byte {
	t.Helper()
	p := &pionrtp.Packet{
		Header:  pionrtp.Header{Version: 2, PayloadType: payloadType, SequenceNumber: sequence, Timestamp: timestamp, SSRC: ssrc},
		Payload: payload,
	}
	for _, f := range change {
		f(p)
	}
	b, err := p.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// road feeds a session by hand, with a clock of its own, and keeps what comes out.
type road struct {
	*testing.T
	s       *Session
	from    netip.AddrPort
	now     time.Time
	packets []media.Packet
	digits  string
}

var phoneAddr = netip.MustParseAddrPort("127.0.0.1:4000")

func newRoad(t *testing.T, p Params) *road {
	t.Helper()
	r := &road{T: t, from: phoneAddr, now: time.Now()}
	r.s = open(t, p)
	r.s.Receive(func(p *media.Packet) {
		kept := *p
		kept.Payload = slices.Clone(p.Payload)
		r.packets = append(r.packets, kept)
	}, func(d Digit) { r.digits += string(d.Key) })
	return r
}

// in lets a packet arrive now.
func (r *road) in(b []byte) { r.s.receivedRTP(b, r.from, r.now) }

// sound lets 20 ms pass and a packet of 20 ms arrive.
func (r *road) sound(sequence uint16, timestamp, ssrc uint32) {
	r.T.Helper()
	r.now = r.now.Add(20 * time.Millisecond)
	r.in(wire(r.T, 0, sequence, timestamp, ssrc, make([]byte, 160)))
}

func (r *road) numbers() (n []uint16) {
	for _, p := range r.packets {
		n = append(n, p.SequenceNumber)
	}
	return n
}

// want waits for one value.
func want[V any](t testing.TB, c <-chan V, what string) V {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(5 * time.Second):
		t.Fatalf("no %s within 5 s", what)
		panic("not reached")
	}
}

func read(t testing.TB, c *net.UDPConn) []byte {
	t.Helper()
	b := make([]byte, 2000)
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	n, err := c.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return b[:n]
}
