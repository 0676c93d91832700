package rtp

import (
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"
)

// tunnel is the part of an RTP socket that a DTLS handshake sees: the DTLS
// datagrams of the peer (RFC 7983) come in by push, and leave by the socket.
type tunnel struct {
	socket   socket
	local    netip.AddrPort
	incoming chan []byte
	closed   chan struct{}
	closing  sync.Once

	mu       sync.Mutex
	peer     netip.AddrPort // where the last datagram came from
	deadline chan struct{}  // closed when it is over
	timer    *time.Timer
}

func newTunnel(s socket, local, peer netip.AddrPort) *tunnel {
	return &tunnel{
		socket: s, local: local, peer: peer, incoming: make(chan []byte, 32),
		closed: make(chan struct{}), deadline: make(chan struct{}),
	}
}

// push takes a copy of a datagram; what finds no room is lost, as on any network.
func (t *tunnel) push(b []byte, from netip.AddrPort) {
	t.aim(from)
	select {
	case t.incoming <- slices.Clone(b):
	default:
	}
}

// aim sends what follows to another address.
func (t *tunnel) aim(peer netip.AddrPort) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.peer = peer
}

func (t *tunnel) remote() netip.AddrPort {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.peer
}

// ReadFrom implements net.PacketConn.
func (t *tunnel) ReadFrom(b []byte) (int, net.Addr, error) {
	t.mu.Lock()
	deadline := t.deadline
	t.mu.Unlock()
	select {
	case <-t.closed:
		return 0, nil, net.ErrClosed
	case <-deadline:
		return 0, nil, os.ErrDeadlineExceeded
	case in := <-t.incoming:
		return copy(b, in), net.UDPAddrFromAddrPort(t.remote()), nil
	}
}

// WriteTo implements net.PacketConn; datagrams go where the peer's come from.
func (t *tunnel) WriteTo(b []byte, _ net.Addr) (int, error) {
	select {
	case <-t.closed:
		return 0, net.ErrClosed
	default:
	}
	if to := t.remote(); usable(to) {
		t.socket.send(b, to) // what is lost is sent again
	}
	return len(b), nil
}

// Close implements net.PacketConn; the socket stays open.
func (t *tunnel) Close() error {
	t.closing.Do(func() { close(t.closed) })
	return nil
}

// LocalAddr implements net.PacketConn.
func (t *tunnel) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(t.local) }

// SetDeadline implements net.PacketConn.
func (t *tunnel) SetDeadline(at time.Time) error { return t.SetReadDeadline(at) }

// SetReadDeadline implements net.PacketConn.
func (t *tunnel) SetReadDeadline(at time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.timer != nil {
		t.timer.Stop()
		t.timer = nil
	}
	select {
	case <-t.deadline:
		t.deadline = make(chan struct{})
	default:
	}
	if at.IsZero() {
		return nil
	}
	if left := time.Until(at); left > 0 {
		over := t.deadline
		t.timer = time.AfterFunc(left, func() { t.expire(over) })
	} else {
		close(t.deadline)
	}
	return nil
}

// expire ends the wait of who reads, unless the deadline was moved meanwhile.
func (t *tunnel) expire(over chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case <-over:
	default:
		if t.deadline == over && t.timer != nil {
			close(over)
		}
	}
}

// SetWriteDeadline implements net.PacketConn; writing does not wait.
func (t *tunnel) SetWriteDeadline(time.Time) error { return nil }
