//go:build linux && (amd64 || arm64 || riscv64)

package rtp

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/roomline/roomline/media"
)

// polledSocket is a UDP socket that a shared poller reads. It holds the file
// descriptor alone, away from Go's poller, and its system calls never wait.
type polledSocket struct {
	handler handler
	weight  int
	poller  *poller

	reading sync.Mutex // held while handler runs
	stopped bool

	sending  sync.Mutex // guards the life of fd against senders; held over a call that does not wait
	fd       int        // -1: closed
	six      bool
	failures int
}

// inbox is where one goroutine's packets are read to.
type inbox struct {
	buffer [maxPacket + 1]byte // one more, to see what is too long
}

// newPolledSocket takes conn over if it is a plain UDP socket. weight is how much
// it will have to read, as compared to others.
func newPolledSocket(conn net.PacketConn, h handler, weight int) (socket, bool) {
	c, ok := conn.(*net.UDPConn)
	local := localAddr(conn)
	if !ok || local.Addr().Zone() != "" {
		return nil, false
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, false
	}
	s := &polledSocket{handler: h, weight: weight, fd: -1, six: local.Addr().Is6()}
	raw.Control(func(fd uintptr) { s.fd, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) })
	if err != nil || s.fd < 0 {
		return nil, false
	}
	if shared.join(s) != nil {
		unix.Close(s.fd)
		return nil, false
	}
	c.Close() // the duplicate lives on
	return s, true
}

// read takes one datagram, if there is one.
func (s *polledSocket) read(in *inbox) {
	s.reading.Lock()
	defer s.reading.Unlock()
	if s.stopped {
		return
	}
	n, from, errno := media.RecvDatagram(s.fd, in.buffer[:])
	if errno != 0 {
		s.failed(errno)
		return
	}
	s.failures = 0
	from = netip.AddrPortFrom(from.Addr().WithZone(""), from.Port()) // SDP knows no zones
	s.handler(in.buffer[:n], from, time.Now())
}

// failed stops to watch a socket that only gives errors.
func (s *polledSocket) failed(errno unix.Errno) {
	if errno == unix.EAGAIN || errno == unix.EINTR {
		return
	}
	if s.failures++; s.failures == 100 {
		unix.EpollCtl(s.poller.epoll, unix.EPOLL_CTL_DEL, s.fd, nil)
	}
}

func (s *polledSocket) send(b []byte, to netip.AddrPort) error {
	if to.Addr().Is4() == s.six {
		return fmt.Errorf("%s is not of the socket's family", to.Addr())
	}
	s.sending.Lock()
	defer s.sending.Unlock()
	if s.fd < 0 {
		return net.ErrClosed
	}
	if errno := media.SendDatagram(s.fd, b, to, s.six); errno != 0 {
		return fmt.Errorf("send to UDP socket: %w", errno)
	}
	return nil
}

// stopReading waits for the handler, which is why it must not be called from it.
func (s *polledSocket) stopReading() {
	s.reading.Lock()
	s.stopped = true
	s.reading.Unlock()
	shared.leave(s)
}

func (s *polledSocket) close() error {
	s.sending.Lock()
	defer s.sending.Unlock()
	if s.fd < 0 {
		return nil
	}
	err := unix.Close(s.fd)
	s.fd = -1
	return err
}
