package webrtc

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/roomline/roomline/media"
)

// nat is a middlebox in front of the client. Its outside address may change.
type nat struct {
	inside  net.PacketConn
	mu      sync.Mutex
	outside net.PacketConn
	client  net.Addr
	server  net.Addr
	loops   sync.WaitGroup
}

func newNAT(t testing.TB, server *net.UDPAddr) *nat {
	n := &nat{server: server}
	n.inside = n.open(t)
	n.move(t)
	n.loops.Go(func() {
		b := make([]byte, 2000)
		for {
			size, from, err := n.inside.ReadFrom(b)
			if err != nil {
				return
			}
			n.mu.Lock()
			n.client = from
			_, _ = n.outside.WriteTo(b[:size], n.server)
			n.mu.Unlock()
		}
	})
	t.Cleanup(func() {
		n.inside.Close()
		n.outside.Close()
		n.loops.Wait()
	})
	return n
}

func (n *nat) open(t testing.TB) net.PacketConn {
	c, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// move gives the client another outside address.
func (n *nat) move(t testing.TB) {
	c := n.open(t)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.outside != nil {
		n.outside.Close()
	}
	n.outside = c
	n.loops.Go(func() {
		b := make([]byte, 2000)
		for {
			size, _, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			n.mu.Lock()
			if n.client != nil {
				_, _ = n.inside.WriteTo(b[:size], n.client)
			}
			n.mu.Unlock()
		}
	})
}

func (n *nat) address() netip.AddrPort {
	n.mu.Lock()
	defer n.mu.Unlock()
	return netip.MustParseAddrPort(n.outside.LocalAddr().String())
}

// rewrite makes the server's candidates lead to the inside.
func (n *nat) rewrite(sdp string) string {
	_, from, _ := net.SplitHostPort(n.server.String())
	_, to, _ := net.SplitHostPort(n.inside.LocalAddr().String())
	return strings.ReplaceAll(sdp, "127.0.0.1 "+from+" typ", "127.0.0.1 "+to+" typ")
}

// A peer that comes from another address is heard from there after ICE has
// validated it, not before; and its streams go on with their keys and counters.
func TestTheShortRoadFollowsThePeer(t *testing.T) {
	box, ready := (*nat)(nil), make(chan struct{})
	listen := func(ctx context.Context, network, address string) (net.PacketConn, error) {
		c, err := media.ListenUDP(ctx, network, address)
		if err == nil {
			box = newNAT(t, c.LocalAddr().(*net.UDPAddr))
			close(ready)
		}
		return c, err
	}
	k := newTalk(t, Config{Listen: listen}, Config{}, func(s string) string { <-ready; return box.rewrite(s) })
	k.warm(t)
	k.settle(t)
	if k.client() != box.address() {
		t.Fatalf("the route leads to %v, want %v", k.client(), box.address())
	}
	k.exchange(t, 1)
	shorts := received(k.s)

	before := box.address()
	box.move(t)
	ssrc, seq := k.up.header.SSRC, k.up.header.SequenceNumber
	for range 20 {
		seq++
		_, _ = k.side.socket.WriteToAddrPort(k.sealed(t, 111, ssrc, seq, "too early"),
			netip.MustParseAddrPort(box.inside.LocalAddr().String()))
	}
	k.negotiate(t, true, box.rewrite)
	stop := k.pump()
	for received(k.s) < shorts+20 {
		if got := wait(t, "a packet from the new address", k.atS); string(got.Payload) == "too early" {
			t.Fatal("heard from an address that was not validated")
		}
	}
	stop()
	if k.client() != box.address() || k.server.doors.find(before) != nil {
		t.Errorf("the route leads to %v, want %v", k.client(), box.address())
	}
	if k.up.header.SSRC != ssrc {
		t.Error("the stream is another one")
	}
}
