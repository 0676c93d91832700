package rtp

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/roomline/roomline/media"
)

func TestPortsHandOutEachPairOnce(t *testing.T) {
	p, err := NewPorts(20001, 20010) // 20002 to 20009: 4 pairs
	if err != nil || p.Pairs() != 4 {
		t.Fatal(p, err)
	}
	seen := map[int]bool{}
	var last int
	for range 4 {
		last, err = p.Take()
		if err != nil || last%2 != 0 || last < 20002 || last > 20008 || seen[last] {
			t.Fatalf("port %d, %v, seen %v", last, err, seen)
		}
		seen[last] = true
	}
	if _, err := p.Take(); err == nil || !strings.Contains(err.Error(), "all 4 pairs of RTP ports 20001-20010 are in use") {
		t.Errorf("exhausted: %v", err)
	}
	p.Free(last)
	p.Free(last) // twice is once
	p.Free(last + 1)
	p.Free(1)
	p.Free(40000)
	if p.InUse() != 3 {
		t.Errorf("%d in use, want 3", p.InUse())
	}
	if again, err := p.Take(); again != last || err != nil {
		t.Errorf("got %d, %v, want %d", again, err, last)
	}
}

func TestPortsRestAfterUse(t *testing.T) {
	p, _ := NewPorts(30000, 30099)
	last := 0
	for range 200 {
		port, err := p.Take()
		if err != nil || port == last {
			t.Fatalf("port %d after %d, %v", port, last, err)
		}
		p.Free(port)
		last = port
	}
}

func TestPortsRanges(t *testing.T) {
	for _, r := range [][2]int{{0, 10}, {10, 5}, {60000, 65536}, {20001, 20002}, {20000, 20000}} {
		if _, err := NewPorts(r[0], r[1]); err == nil {
			t.Errorf("range %v was taken", r)
		}
	}
	p, err := NewPorts(65534, 65535)
	if err != nil {
		t.Fatal(err)
	}
	if port, err := p.Take(); port != 65534 || err != nil {
		t.Errorf("got %d, %v", port, err)
	}
}

func TestPortsTogether(t *testing.T) {
	p, _ := NewPorts(20000, 20199)
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for range 500 {
				if port, err := p.Take(); err == nil {
					p.Free(port)
				}
			}
		})
	}
	wait.Wait()
	if p.InUse() != 0 {
		t.Errorf("%d left in use", p.InUse())
	}
}

// Another program has all of the range but one pair: the call gets that one.
func TestAPairIsFoundWhereNearlyAllAreForeign(t *testing.T) {
	free := freePair(t)
	p, err := NewPorts(free-398, free+1)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), Config{LocalIP: netip.MustParseAddr("127.0.0.1"), Ports: p,
		Listen: func(ctx context.Context, network, address string) (net.PacketConn, error) {
			if port := int(netip.MustParseAddrPort(address).Port()); port < free {
				return nil, &net.OpError{Op: "listen", Net: network, Err: syscall.EADDRINUSE}
			}
			return media.ListenUDP(ctx, network, address)
		}})
	if err != nil {
		t.Fatal(err)
	}
	if port := int(s.LocalAddr().Port()); port != free || p.InUse() != 1 {
		t.Errorf("port %d, want %d; %d pairs are taken", port, free, p.InUse())
	}
	s.Close()
	if p.InUse() != 0 {
		t.Errorf("%d pairs are still taken", p.InUse())
	}
}

// freePair returns an even port that is free, as is the next one.
func freePair(t *testing.T) int {
	t.Helper()
	s, err := Open(t.Context(), Config{LocalIP: netip.MustParseAddr("127.0.0.1")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	return int(s.LocalAddr().Port())
}
