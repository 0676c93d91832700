package sip

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomline/roomline/sip/socket"
)

// memNet is a UDP network in memory, for tests in a synctest bubble.
type memNet struct {
	mu    sync.Mutex
	conns map[netip.AddrPort]*memConn
	next  uint16
	// road sees every datagram before it is delivered; it returns how many copies
	// arrive. nil: one.
	road func(from, to netip.AddrPort, data []byte) int
}

type memPacket struct {
	data []byte
	from netip.AddrPort
}

// memConn is one bound port.
type memConn struct {
	net    *memNet
	local  netip.AddrPort
	in     chan memPacket
	closed chan struct{}
	once   sync.Once

	mu       sync.Mutex
	deadline time.Time
	changed  chan struct{} // closed when the deadline changes
}

func newMemNet() *memNet { return &memNet{conns: map[netip.AddrPort]*memConn{}, next: 40000} }

// Listen is a media.Listen.
func (n *memNet) Listen(_ context.Context, _, address string) (net.PacketConn, error) {
	want, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if want.Port() == 0 {
		n.next += 2 // the next one is for RTCP
		want = netip.AddrPortFrom(want.Addr(), n.next)
	}
	if n.conns[want] != nil {
		return nil, errors.New("address in use")
	}
	c := &memConn{net: n, local: want, in: make(chan memPacket, 256), closed: make(chan struct{}), changed: make(chan struct{})}
	n.conns[want] = c
	return c, nil
}

func (c *memConn) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		c.mu.Lock()
		deadline, changed := c.deadline, c.changed
		c.mu.Unlock()
		var late <-chan time.Time
		if !deadline.IsZero() {
			late = time.After(time.Until(deadline))
		}
		select {
		case p := <-c.in:
			return copy(b, p.data), net.UDPAddrFromAddrPort(p.from), nil
		case <-c.closed:
			return 0, nil, net.ErrClosed
		case <-late:
			return 0, nil, os.ErrDeadlineExceeded
		case <-changed:
		}
	}
}

func (c *memConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	close(c.changed)
	c.changed = make(chan struct{})
	return nil
}

func (c *memConn) WriteTo(b []byte, to net.Addr) (int, error) {
	select {
	case <-c.closed:
		return 0, net.ErrClosed
	default:
	}
	target, _ := socket.AddrPort(to)
	copies := 1
	if c.net.road != nil {
		copies = c.net.road(c.local, target, b)
	}
	c.net.mu.Lock()
	peer := c.net.conns[target]
	c.net.mu.Unlock()
	for range copies {
		if peer == nil {
			break
		}
		select {
		case peer.in <- memPacket{append([]byte(nil), b...), c.local}:
		default: // full, as a socket's buffer can be
		}
	}
	return len(b), nil
}

func (c *memConn) Close() error {
	c.once.Do(func() {
		close(c.closed)
		c.net.mu.Lock()
		delete(c.net.conns, c.local)
		c.net.mu.Unlock()
	})
	return nil
}

func (c *memConn) LocalAddr() net.Addr              { return net.UDPAddrFromAddrPort(c.local) }
func (c *memConn) SetDeadline(t time.Time) error    { return c.SetReadDeadline(t) }
func (c *memConn) SetWriteDeadline(time.Time) error { return nil }

// deafListener is a TCP listener that nobody calls.
type deafListener struct {
	addr   net.Addr
	closed chan struct{}
	once   sync.Once
}

// listenDeaf is a Config.ListenTCP.
func listenDeaf(_ context.Context, _, address string) (net.Listener, error) {
	addr, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	return &deafListener{addr: net.TCPAddrFromAddrPort(addr), closed: make(chan struct{})}, nil
}

func (d *deafListener) Accept() (net.Conn, error) { <-d.closed; return nil, net.ErrClosed }
func (d *deafListener) Addr() net.Addr            { return d.addr }
func (d *deafListener) Close() error              { d.once.Do(func() { close(d.closed) }); return nil }

// bubble runs a test with fake time, a network in memory and an agent on it.
func bubble(t *testing.T, change func(*Config), test func(*testing.T, *memNet, *agent)) {
	synctest.Test(t, func(t *testing.T) {
		n := newMemNet()
		a := startAgent(t, func(c *Config) {
			c.Listen, c.ListenTCP = n.Listen, listenDeaf
			if change != nil {
				change(c)
			}
		})
		test(t, n, a)
	})
}

// wire is a peer made of bytes on this network.
func (n *memNet) wire(t *testing.T, to netip.AddrPort) *wire {
	t.Helper()
	conn, err := n.Listen(t.Context(), "udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &wire{t: t, conn: conn, to: net.UDPAddrFromAddrPort(to)}
}
