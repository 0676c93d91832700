package rtp

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// handler takes one datagram; b is valid during the call.
type handler func(b []byte, from netip.AddrPort, now time.Time)

// socket is one bound UDP port with somebody who reads it.
type socket interface {
	// send does not wait; after close it is net.ErrClosed.
	send(b []byte, to netip.AddrPort) error
	// stopReading returns when no handler runs and none will.
	stopReading()
	close() error
}

// newSocket takes conn over and starts to read it: by a shared poller where that
// can be, else by a goroutine of its own. weight is how much it will have to
// read, as compared to others.
func newSocket(conn net.PacketConn, h handler, weight int) socket {
	if s, ok := newPolledSocket(conn, h, weight); ok {
		return s
	}
	s := &ownSocket{conn: asAddrPortConn(conn)}
	s.reader.Go(func() { s.read(h) })
	return s
}

// ownSocket is read by its own goroutine.
type ownSocket struct {
	conn    addrPortConn
	stopped atomic.Bool
	reader  sync.WaitGroup
}

// addrPortConn is the part of *net.UDPConn that does not allocate addresses.
type addrPortConn interface {
	ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error)
	WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error)
	SetReadDeadline(t time.Time) error
	Close() error
}

func (s *ownSocket) send(b []byte, to netip.AddrPort) error {
	_, err := s.conn.WriteToUDPAddrPort(b, to)
	return err
}

func (s *ownSocket) stopReading() {
	s.stopped.Store(true)
	if s.conn.SetReadDeadline(time.Unix(1, 0)) != nil {
		s.conn.Close()
	}
	s.reader.Wait()
}

func (s *ownSocket) close() error {
	if err := s.conn.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// read hands every datagram to h until stopReading. Errors that last end it.
func (s *ownSocket) read(h handler) {
	buffer := make([]byte, maxPacket+1) // one more, to see what is too long
	for failures := 0; failures < 100 && !s.stopped.Load(); failures++ {
		n, from, err := s.conn.ReadFromUDPAddrPort(buffer)
		if err != nil {
			continue
		}
		failures = -1
		h(buffer[:n], unmap(from), time.Now())
	}
}

// localAddr returns what conn is bound to.
func localAddr(conn net.PacketConn) netip.AddrPort { return addrPortOf(conn.LocalAddr()) }

func addrPortOf(a net.Addr) netip.AddrPort {
	if u, ok := a.(*net.UDPAddr); ok {
		return u.AddrPort()
	}
	ap, _ := netip.ParseAddrPort(a.String())
	return ap
}

func asAddrPortConn(conn net.PacketConn) addrPortConn {
	if c, ok := conn.(addrPortConn); ok {
		return c
	}
	return plainConn{conn}
}

// plainConn lets any PacketConn serve, at the price of an allocation per packet.
type plainConn struct{ net.PacketConn }

func (c plainConn) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) {
	n, from, err := c.ReadFrom(b)
	if err != nil {
		return 0, netip.AddrPort{}, err
	}
	return n, addrPortOf(from), nil
}

func (c plainConn) WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error) {
	return c.WriteTo(b, net.UDPAddrFromAddrPort(to))
}
