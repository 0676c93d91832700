package impair

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/roomline/roomline/media"
)

// Listen opens UDP sockets behind bad networks: out is on the way of what they
// send, in of what they receive. RTP and SRTP alone are touched; signalling, RTCP
// and handshakes get through.
func Listen(out, in Network) media.Listen {
	return func(ctx context.Context, network, address string) (net.PacketConn, error) {
		c, err := media.ListenUDP(ctx, network, address)
		if err != nil {
			return nil, err
		}
		conn := &conn{UDPConn: c.(*net.UDPConn), closed: make(chan struct{}), woken: make(chan struct{}, 1)}
		conn.out = newQueue(out, conn.write)
		conn.in = newQueue(in, conn.arrive)
		conn.reader.Go(conn.read)
		return conn, nil
	}
}

// conn is a socket behind two links. Its goroutines are the queues' and one that reads.
type conn struct {
	*net.UDPConn
	out, in *queue
	reader  sync.WaitGroup
	once    sync.Once
	closed  chan struct{}
	woken   chan struct{}

	mu       sync.Mutex
	arrived  []datagram
	deadline bool // nothing is to be waited for any more
}

// datagram is one packet with its peer.
type datagram struct {
	b    []byte
	peer netip.AddrPort
}

func (c *conn) write(d datagram) { _, _ = c.UDPConn.WriteToUDPAddrPort(d.b, d.peer) }

func (c *conn) arrive(d datagram) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.arrived = append(c.arrived, d)
	c.wake()
}

func (c *conn) wake() {
	select {
	case c.woken <- struct{}{}:
	default:
	}
}

// read takes what comes until the socket is closed.
func (c *conn) read() {
	buf := make([]byte, 65536)
	for {
		n, from, err := c.UDPConn.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			c.in.carry(buf[:n], from)
		}
	}
}

// ReadFromUDPAddrPort returns the next datagram that got through.
func (c *conn) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) {
	for {
		d, ok, err := c.next()
		if ok || err != nil {
			return copy(b, d.b), d.peer, err
		}
		select {
		case <-c.woken:
		case <-c.closed:
			return 0, netip.AddrPort{}, net.ErrClosed
		}
	}
}

func (c *conn) next() (d datagram, ok bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.deadline {
		return d, false, os.ErrDeadlineExceeded
	}
	if len(c.arrived) == 0 {
		return d, false, nil
	}
	d, c.arrived = c.arrived[0], c.arrived[1:]
	return d, true, nil
}

// ReadFrom implements net.PacketConn.
func (c *conn) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := c.ReadFromUDPAddrPort(b)
	if err != nil {
		return n, nil, err
	}
	return n, net.UDPAddrFromAddrPort(from), nil
}

// WriteToUDPAddrPort sends a datagram over the link; it does not wait for it.
func (c *conn) WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error) {
	select {
	case <-c.closed:
		return 0, net.ErrClosed
	default:
	}
	c.out.carry(b, to)
	return len(b), nil
}

// WriteTo implements net.PacketConn.
func (c *conn) WriteTo(b []byte, to net.Addr) (int, error) {
	address, err := netip.ParseAddrPort(to.String())
	if err != nil {
		return 0, err
	}
	return c.WriteToUDPAddrPort(b, address)
}

// SetReadDeadline knows the past, in which reading ends at once, and the far future.
func (c *conn) SetReadDeadline(at time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = !at.IsZero() && time.Until(at) <= 0
	c.wake()
	return nil
}

// SetDeadline implements net.PacketConn.
func (c *conn) SetDeadline(at time.Time) error { return c.SetReadDeadline(at) }

// Close ends the socket and its goroutines; what was under way is lost.
func (c *conn) Close() (err error) {
	c.once.Do(func() {
		close(c.closed)
		err = c.UDPConn.Close()
		c.reader.Wait()
		c.out.end()
		c.in.end()
	})
	return err
}
