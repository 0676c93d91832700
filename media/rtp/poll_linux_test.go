//go:build linux && (amd64 || arm64 || riscv64)

package rtp

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomline/roomline/media"
)

func pollerCount() (pollers, sockets int) {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	return len(shared.all), shared.sockets
}

func TestPollersLiveWithTheirSessions(t *testing.T) {
	if n, _ := pollerCount(); n != 0 {
		t.Fatalf("%d pollers before the first session", n)
	}
	a, b := open(t, telephone(phoneAddr)), open(t, telephone(phoneAddr))
	if n, sockets := pollerCount(); n == 0 || sockets != 4 {
		t.Errorf("%d pollers with %d sockets for two sessions", n, sockets)
	}
	a.Close()
	b.Close()
	if n, sockets := pollerCount(); n != 0 || sockets != 0 {
		t.Errorf("%d pollers with %d sockets left", n, sockets)
	}
}

func TestSoundIsSpreadOverAllPollers(t *testing.T) {
	for range 8 {
		open(t, telephone(phoneAddr))
	}
	shared.mu.Lock()
	defer shared.mu.Unlock()
	for _, p := range shared.all {
		if want := 8 * 101 / len(shared.all); p.load < want-101 || p.load > want+101 {
			t.Errorf("a poller has load %d, want about %d", p.load, want)
		}
	}
}

// Every packet is heard, one after the other as fast as they go, and alone after
// a pause in which the pollers fell asleep.
func TestPollersWakeForEveryPacket(t *testing.T) {
	phone := socketAt(t, "127.0.0.1")
	var heard atomic.Int64
	arrived := make(chan bool, 1)
	var sessions []*Session
	for range 4 {
		s := open(t, telephone(addr(phone)))
		s.Receive(func(*media.Packet) {
			heard.Add(1)
			select {
			case arrived <- true:
			default:
			}
		}, nil)
		sessions = append(sessions, s)
	}
	sent := int64(0)
	send := func(n uint16) {
		for _, s := range sessions {
			phone.WriteToUDPAddrPort(wire(t, 0, n, 0, 7, []byte("x")), s.LocalAddr())
			sent++
		}
		for heard.Load() < sent {
			want(t, arrived, "packet")
		}
	}
	for n := range uint16(200) {
		send(n)
	}
	for n := range uint16(5) {
		time.Sleep(20 * time.Millisecond)
		send(30000 + n)
	}
}

// A flood to one session does not keep its neighbours from being heard.
func TestFloodOnOneSessionLeavesTheOthersAlone(t *testing.T) {
	phone, stranger := socketAt(t, "127.0.0.1"), socketAt(t, "127.0.0.2")
	victim, neighbour := open(t, telephone(addr(phone))), open(t, telephone(addr(phone)))
	heard := make(chan uint16, 100)
	neighbour.Receive(func(p *media.Packet) { heard <- p.SequenceNumber }, nil)
	var flood sync.WaitGroup
	var over atomic.Bool
	flood.Go(func() {
		for !over.Load() {
			stranger.WriteToUDPAddrPort(make([]byte, 200), victim.LocalAddr())
		}
	})
	for n := range uint16(100) {
		phone.WriteToUDPAddrPort(wire(t, 0, n, 0, 7, []byte("x")), neighbour.LocalAddr())
		if got := want(t, heard, "packet in the flood"); got != n {
			t.Errorf("heard %d, want %d", got, n)
		}
	}
	over.Store(true)
	flood.Wait()
}

// Sessions come and go while packets pour in; no callback runs after Close, and a
// session never hears what was for the one that had its descriptor before.
func TestSessionsComeAndGoUnderTraffic(t *testing.T) {
	phone := socketAt(t, "127.0.0.1")
	stay := open(t, telephone(addr(phone)))
	stay.Receive(func(*media.Packet) {}, nil)
	var over atomic.Bool
	var target atomic.Pointer[netip.AddrPort]
	var traffic, churn sync.WaitGroup
	traffic.Go(func() {
		for n := uint16(0); !over.Load(); n++ {
			b := wire(t, 0, n, 0, 7, []byte("x"))
			phone.WriteToUDPAddrPort(b, stay.LocalAddr())
			if a := target.Load(); a != nil {
				phone.WriteToUDPAddrPort(b, *a)
			}
		}
	})
	for range 2 {
		churn.Go(func() {
			for range 50 {
				s, err := Open(t.Context(), Config{LocalIP: loopback})
				if err != nil {
					t.Error(err)
					return
				}
				s.Update(telephone(addr(phone)))
				var closed atomic.Bool
				s.Receive(func(p *media.Packet) {
					if closed.Load() {
						t.Error("a callback after Close")
					}
					s.WritePacket(p)
				}, nil)
				a := s.LocalAddr()
				target.Store(&a)
				s.Close()
				closed.Store(true)
			}
		})
	}
	churn.Wait()
	over.Store(true)
	traffic.Wait()
}
