package sip

import (
	"context"
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

// Bounds on sipgo's memory of UDP sources, see udpReader.
const (
	maxSources  = 4096
	maxRetired  = 8
	retiredLife = 40 * time.Second // longer than 64*T1: what a reader passed up has been answered
)

// udpSocket is one signalling socket. sipgo reads it through one udpReader at a time.
type udpSocket struct {
	conn   net.PacketConn
	local  netip.AddrPort
	face   int // see facedAddr
	tap    tap
	guard  *guard
	gone   func(netip.AddrPort) // an ICMP error came back from there
	serve  func(*udpReader)     // starts sipgo on a reader, in a goroutine of its own
	deaf   atomic.Bool          // drops everything that arrives: the UA is closing
	closed chan struct{}
	known  chan struct{} // closed by the first read: sipgo knows the socket now
	once   sync.Once
	first  sync.Once

	mu      sync.Mutex
	retired []*udpReader
}

func newUDPSocket(conn net.PacketConn, f *face, g *guard, t tap) *udpSocket {
	receiveErrors(conn)
	if c, ok := conn.(interface{ SetReadBuffer(int) error }); ok {
		c.SetReadBuffer(socketBuffer) // the kernel gives what it allows
	}
	return &udpSocket{conn: conn, local: f.addr, face: f.index, tap: t, guard: g, closed: make(chan struct{}), known: make(chan struct{})}
}

// Close ends all readers.
func (s *udpSocket) Close() error {
	s.once.Do(func() { close(s.closed) })
	return s.conn.Close()
}

// udpReader is the PacketConn that sipgo sees. sipgo remembers every source
// address for as long as it reads from one PacketConn; so that a stranger with
// many addresses cannot fill the memory, a reader that has seen maxSources of
// them gives its place to a fresh one, and reports itself closed only when
// the transactions that it started are over.
type udpReader struct {
	socket *udpSocket
	seen   map[netip.AddrPort]struct{}
	end    chan struct{} // closed to end a retired reader early
	old    bool
}

func (s *udpSocket) newReader() *udpReader {
	return &udpReader{socket: s, seen: map[netip.AddrPort]struct{}{}, end: make(chan struct{})}
}

// retire puts a fresh reader in r's place.
func (s *udpSocket) retire(r *udpReader) {
	r.old, r.seen = true, nil
	s.mu.Lock()
	s.retired = append(s.retired, r)
	if len(s.retired) > maxRetired {
		close(s.retired[0].end)
		s.retired = s.retired[1:]
	}
	s.mu.Unlock()
	s.serve(s.newReader())
}

// forget takes an ended reader off the list.
func (s *udpSocket) forget(r *udpReader) {
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
func (r *udpReader) ReadFrom(b []byte) (int, net.Addr, error) {
	r.socket.first.Do(func() { close(r.socket.known) })
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
		source, ok := addrPortOf(addr)
		if !ok {
			continue
		}
		if r.socket.deaf.Load() || !r.socket.passes(b[:n], source) {
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

func (r *udpReader) waitForEnd() (int, net.Addr, error) {
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
func (s *udpSocket) passes(data []byte, source netip.AddrPort) (ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	s.tap.received(data, "udp", s.local, source)
	ok, answer := s.guard.admit(data, source, "udp")
	if answer != nil {
		s.write(answer, net.UDPAddrFromAddrPort(replyTo(answer, source)))
	}
	return ok
}

// readError says whether reading may go on. An ICMP error belongs to something
// that we sent: its destination is reported and the socket is as good as before.
func (s *udpSocket) readError(err error) (goOn bool) {
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

func (s *udpSocket) reportErrors() {
	for _, a := range pendingErrors(s.conn) {
		if s.gone != nil {
			s.gone(a)
		}
	}
}

// write sends once more when the socket reports an earlier datagram's ICMP error.
func (s *udpSocket) write(b []byte, addr net.Addr) (int, error) {
	if s.tap != nil {
		remote, _ := addrPortOf(addr)
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
func (r *udpReader) WriteTo(b []byte, addr net.Addr) (int, error) {
	out := r.socket.guard.retag(b)
	if r.socket.face > 0 {
		out = plainPort(out)
	}
	if _, err := r.socket.write(out, addr); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Close does nothing: the socket belongs to the UA.
func (r *udpReader) Close() error        { return nil }
func (r *udpReader) LocalAddr() net.Addr { return r.socket.conn.LocalAddr() }

// Deadlines are not used by sipgo on UDP.
func (r *udpReader) SetDeadline(t time.Time) error      { return nil }
func (r *udpReader) SetReadDeadline(t time.Time) error  { return nil }
func (r *udpReader) SetWriteDeadline(t time.Time) error { return nil }

func addrPortOf(a net.Addr) (netip.AddrPort, bool) {
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

// listenUDP opens a socket of the address's family.
func listenUDP(ctx context.Context, c Config, address string) (net.PacketConn, error) {
	network := "udp4"
	if host, _, err := net.SplitHostPort(address); err == nil {
		if a, err := netip.ParseAddr(host); err == nil && a.Is6() && !a.Is4In6() {
			network = "udp6"
		}
	}
	return c.Listen(ctx, network, address)
}
