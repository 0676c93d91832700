package socket

import (
	"net"
	"net/netip"
	"sync"
)

// Feed hands connections to sipgo, both those that peers opened, once they have
// said something sound, and our own. sipgo takes it for a listener.
type Feed struct {
	addr   net.Addr
	opened chan net.Conn
	closed chan struct{}
	once   sync.Once
}

// NewFeed makes a Feed that calls itself addr.
func NewFeed(addr netip.AddrPort) *Feed {
	return &Feed{addr: net.TCPAddrFromAddrPort(addr), opened: make(chan net.Conn), closed: make(chan struct{})}
}

// Addr implements net.Listener.
func (f *Feed) Addr() net.Addr { return f.addr }

// Close implements net.Listener.
func (f *Feed) Close() error {
	f.once.Do(func() { close(f.closed) })
	return nil
}

// Accept implements net.Listener.
func (f *Feed) Accept() (net.Conn, error) {
	select {
	case c := <-f.opened:
		return c, nil
	case <-f.closed:
		return nil, net.ErrClosed
	}
}

// Give returns when sipgo takes the connection; false when it will not.
func (f *Feed) Give(c *Stream) bool {
	select {
	case f.opened <- c:
		return true
	case <-f.closed:
		return false
	}
}
