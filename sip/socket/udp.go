package socket

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// socketBuffer holds what arrives while all processors are busy elsewhere:
// about a thousand messages, by the kernel's way of counting.
const socketBuffer = 2 << 20

// Bounds on sipgo's memory of UDP sources, see Reader.
const (
	maxSources  = 4096
	maxRetired  = 8
	retiredLife = 40 * time.Second // longer than 64*T1: what a reader passed up has been answered
)

// UDP is one signalling socket. sipgo reads it through one Reader at a time.
type UDP struct {
	Gone  func(netip.AddrPort) // an ICMP error came back from there; may be nil
	Serve func(*Reader)        // starts sipgo on a reader, in a goroutine of its own
	Known chan struct{}        // closed by the first read: sipgo knows the socket now
	Deaf  atomic.Bool          // drops everything that arrives: the UA is closing

	conn   net.PacketConn
	local  netip.AddrPort
	face   int // see facedAddr
	tap    Tap
	guard  *Guard
	closed chan struct{}
	once   sync.Once
	first  sync.Once

	mu      sync.Mutex
	retired []*Reader
}

// NewUDP takes over conn, which is bound to local and is the face-th of the UDP
// sockets, from 0. Gone and Serve are set before its first reader is served.
func NewUDP(conn net.PacketConn, local netip.AddrPort, face int, g *Guard, t Tap) *UDP {
	receiveErrors(conn)
	if c, ok := conn.(interface{ SetReadBuffer(int) error }); ok {
		c.SetReadBuffer(socketBuffer) // the kernel gives what it allows
	}
	return &UDP{conn: conn, local: local, face: face, tap: t, guard: g, closed: make(chan struct{}), Known: make(chan struct{})}
}

// Close ends all readers.
func (s *UDP) Close() error {
	s.once.Do(func() { close(s.closed) })
	return s.conn.Close()
}

// Reader is the PacketConn that sipgo sees. sipgo remembers every source
// address for as long as it reads from one PacketConn; so that a stranger with
// many addresses cannot fill the memory, a reader that has seen maxSources of
// them gives its place to a fresh one, and reports itself closed only when
// the transactions that it started are over.
type Reader struct {
	socket *UDP
	seen   map[netip.AddrPort]struct{}
	end    chan struct{} // closed to end a retired reader early
	old    bool
}

// NewReader makes a reader for Serve.
func (s *UDP) NewReader() *Reader {
	return &Reader{socket: s, seen: map[netip.AddrPort]struct{}{}, end: make(chan struct{})}
}

// retire puts a fresh reader in r's place.
func (s *UDP) retire(r *Reader) {
	r.old, r.seen = true, nil
	s.mu.Lock()
	s.retired = append(s.retired, r)
	if len(s.retired) > maxRetired {
		close(s.retired[0].end)
		s.retired = s.retired[1:]
	}
	s.mu.Unlock()
	s.Serve(s.NewReader())
}

// forget takes an ended reader off the list.
func (s *UDP) forget(r *Reader) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, q := range s.retired {
		if q == r {
			s.retired = append(s.retired[:i], s.retired[i+1:]...)
			return
		}
	}
}

// ReadFrom returns the next message that passed the guard.
func (r *Reader) ReadFrom(b []byte) (int, net.Addr, error) {
	r.socket.first.Do(func() { close(r.socket.Known) })
	if r.old {
		return r.waitForEnd()
	}
	for {
		n, addr, err := r.socket.conn.ReadFrom(b)
		if err != nil {
			if r.socket.readError(err) {
				continue
			}
			return 0, nil, net.ErrClosed
		}
		source, ok := AddrPort(addr)
		if !ok {
			continue
		}
		if r.socket.Deaf.Load() || !r.socket.passes(b[:n], source) {
			continue
		}
		r.seen[source] = struct{}{}
		if len(r.seen) >= maxSources {
			r.socket.retire(r)
		}
		if r.socket.face > 0 {
			addr = facedAddr{addr, r.socket.face}
		}
		return n, addr, nil
	}
}

func (r *Reader) waitForEnd() (int, net.Addr, error) {
	life := time.NewTimer(retiredLife)
	defer life.Stop()
	select {
	case <-life.C:
	case <-r.end:
	case <-r.socket.closed:
	}
	r.socket.forget(r)
	return 0, nil, net.ErrClosed
}

// passes asks the guard and sends its answer. A panic costs one datagram.
func (s *UDP) passes(data []byte, source netip.AddrPort) (ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	s.tap.received(data, "udp", s.local, source)
	ok, answer := s.guard.Admit(data, source, "udp")
	if answer != nil {
		s.Write(answer, net.UDPAddrFromAddrPort(ReplyTo(answer, source)))
	}
	return ok
}

// readError says whether reading may go on. An ICMP error belongs to something
// that we sent: its destination is reported and the socket is as good as before.
func (s *UDP) readError(err error) (goOn bool) {
	select {
	case <-s.closed:
		return false
	default:
	}
	if errors.Is(err, net.ErrClosed) {
		return false
	}
	s.reportErrors()
	return isNetworkError(err)
}

func (s *UDP) reportErrors() {
	for _, a := range pendingErrors(s.conn) {
		if s.Gone != nil {
			s.Gone(a)
		}
	}
}

// Write sends once more when the socket reports an earlier datagram's ICMP error.
func (s *UDP) Write(b []byte, addr net.Addr) (int, error) {
	if s.tap != nil {
		remote, _ := AddrPort(addr)
		s.tap.sent(b, "udp", s.local, remote)
	}
	n, err := s.conn.WriteTo(b, addr)
	if err != nil && isNetworkError(err) {
		s.reportErrors()
		n, err = s.conn.WriteTo(b, addr)
	}
	return n, err
}

func isNetworkError(err error) bool {
	for _, e := range []syscall.Errno{syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENETUNREACH,
		syscall.EHOSTDOWN, syscall.EACCES, syscall.EPERM, syscall.EMSGSIZE, syscall.ENOPROTOOPT, syscall.EPROTO, syscall.ENOBUFS} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// WriteTo sends a message; sipgo's own responses get our tag on the way.
func (r *Reader) WriteTo(b []byte, addr net.Addr) (int, error) {
	out := r.socket.guard.Retag(b)
	if r.socket.face > 0 {
		out = plainPort(out)
	}
	if _, err := r.socket.Write(out, addr); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Close does nothing: the socket belongs to who made it.
func (r *Reader) Close() error { return nil }

// LocalAddr implements net.PacketConn.
func (r *Reader) LocalAddr() net.Addr { return r.socket.conn.LocalAddr() }

// SetDeadline and its like do nothing: sipgo does not use them on UDP.
func (r *Reader) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing, see SetDeadline.
func (r *Reader) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing, see SetDeadline.
func (r *Reader) SetWriteDeadline(time.Time) error { return nil }

// AddrPort is the address of a UDP or TCP peer, IPv4 as such; false where there is none.
func AddrPort(a net.Addr) (netip.AddrPort, bool) {
	switch a := a.(type) {
	case *net.UDPAddr:
		ap := a.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), ap.IsValid()
	case *net.TCPAddr:
		ap := a.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), ap.IsValid()
	}
	ap, err := netip.ParseAddrPort(a.String())
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), err == nil
}
