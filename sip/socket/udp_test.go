package socket

import (
	"net"
	"net/netip"
	"testing"

	"github.com/roomline/roomline/sip/grammar"
)

func TestMemoryOfSourcesIsBounded(t *testing.T) {
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := NewGuard("test", "INVITE, ACK", func(*grammar.Head, *grammar.Fault, netip.AddrPort, string) {})
	s := NewUDP(conn, netip.MustParseAddrPort(conn.LocalAddr().String()), 0, g, nil)
	t.Cleanup(func() { s.Close() })
	readers := make(chan *Reader, 3*maxRetired)
	s.Serve = func(r *Reader) { readers <- r }
	first := s.NewReader()
	s.retire(first)
	for range maxRetired {
		select {
		case <-first.end:
			t.Fatal("a reader was ended whose transactions may still go on")
		default:
		}
		s.retire(<-readers)
	}
	select {
	case <-first.end:
	default:
		t.Error("the oldest reader was not ended")
	}
	if _, _, err := first.ReadFrom(nil); err == nil || len(s.retired) != maxRetired {
		t.Errorf("it reads on (%v), %d are retired", err, len(s.retired))
	}
}
