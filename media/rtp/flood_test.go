package rtp

import (
	"bytes"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/roomline/roomline/media"
)

// bad are the packets that are refused: made once, so that sending them is cheap.
func badPackets(t testing.TB, p Params) map[string][]byte {
	good, wrong := newFar(t, p.Security.Suite, p.Security.Receive), newFar(t, p.Security.Suite, p.Security.Suite.NewSecret())
	return map[string][]byte{
		"replayed":  good.packet(0, 7),
		"wrong key": wrong.packet(30000, 7),
		"new SSRC":  wrong.packet(1, 99),
		"plain":     wire(t, 0, 5, 0, 7, make([]byte, 160)),
		"garbage":   bytes.Repeat([]byte{0x9F}, 200),
		"DTLS":      append([]byte{22, 254, 253}, make([]byte, 200)...),
		"STUN":      {0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12},
	}
}

// TestGoodCallGoesOnUnderAFlood sends 20,000 bad packets within 2 s to a protected
// leg, from strangers and from the peer's own address, while the peer talks.
func TestGoodCallGoesOnUnderAFlood(t *testing.T) {
	peer, stranger := socketAt(t, "127.0.0.1"), socketAt(t, "127.0.0.2")
	p := keyedPhone(AES128CMSHA1With80)
	p.Remote = addr(peer)
	s := open(t, p)
	var mu sync.Mutex
	var heard []uint16
	s.Receive(func(p *media.Packet) {
		mu.Lock()
		defer mu.Unlock()
		heard = append(heard, p.SequenceNumber)
	}, nil)
	to := net.UDPAddrFromAddrPort(s.LocalAddr())
	far := newFar(t, p.Security.Suite, p.Security.Receive)
	first := far.packet(0, 7)
	bad := badPackets(t, p)
	bad["replayed"] = first
	const packets, flood = 100, 10 // bad ones in each millisecond
	beat := time.NewTicker(time.Millisecond)
	defer beat.Stop()
	junk := slices.Collect(maps.Values(bad))
	for ms := range 20 * packets {
		if ms%20 == 0 {
			b := first
			if ms > 0 {
				b = far.packet(uint16(ms/20), 7)
			}
			if _, err := peer.WriteTo(b, to); err != nil {
				t.Fatal(err)
			}
		}
		for i := range flood {
			from := []*net.UDPConn{peer, stranger}[i%2]
			from.WriteTo(junk[(ms+i)%len(junk)], to)
		}
		<-beat.C
	}
	deadline := time.Now().Add(2 * time.Second)
	for done := false; !done && time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		mu.Lock()
		done = len(heard) >= packets
		mu.Unlock()
	}
	mu.Lock()
	defer mu.Unlock()
	for i, n := range heard {
		if i > 0 && n != heard[i-1]+1 {
			t.Errorf("%d after %d", n, heard[i-1])
		}
	}
	if q := s.Quality(); len(heard) != packets || q.PacketsLost != 0 || s.Remote() != addr(peer) {
		t.Errorf("of %d packets amid %d bad ones %d were heard, %d lost", packets, 20*packets*flood, len(heard), q.PacketsLost)
	}
}

// BenchmarkRefused is what a bad packet costs; times 10,000 it is the CPU that a
// flood of them takes each second, the socket's own apart.
func BenchmarkRefused(b *testing.B) {
	p := keyedPhone(AES128CMSHA1With80)
	for name, packet := range badPackets(b, p) {
		for from, source := range map[string]netip.AddrPort{"peer": phoneAddr, "stranger": netip.MustParseAddrPort("127.0.0.9:9")} {
			b.Run(name+" from a "+from, func(b *testing.B) {
				s := open(b, p)
				far := newFar(b, p.Security.Suite, p.Security.Receive)
				s.receivedRTP(far.packet(0, 7), phoneAddr, time.Now())
				b.ReportAllocs()
				now := time.Now()
				for b.Loop() {
					s.receivedRTP(packet, source, now)
				}
			})
		}
	}
}
