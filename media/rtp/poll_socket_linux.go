//go:build linux && (amd64 || arm64 || riscv64)

package rtp

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
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
	from   unix.RawSockaddrInet6
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

// read takes one datagram, if there is one, and reports whether there was.
func (s *polledSocket) read(in *inbox) bool {
	s.reading.Lock()
	defer s.reading.Unlock()
	if s.stopped {
		return false
	}
	size := uint32(unsafe.Sizeof(in.from))
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(s.fd),
		uintptr(unsafe.Pointer(&in.buffer)), unsafe.Sizeof(in.buffer), unix.MSG_DONTWAIT,
		uintptr(unsafe.Pointer(&in.from)), uintptr(unsafe.Pointer(&size)))
	if errno != 0 {
		return s.failed(errno)
	}
	s.failures = 0
	s.handler(in.buffer[:n], in.sender(), time.Now())
	return true
}

// failed stops to watch a socket that only gives errors.
func (s *polledSocket) failed(errno unix.Errno) bool {
	if errno == unix.EAGAIN || errno == unix.EINTR {
		return false
	}
	if s.failures++; s.failures == 100 {
		unix.EpollCtl(s.poller.epoll, unix.EPOLL_CTL_DEL, s.fd, nil)
	}
	return false
}

// sender reads the address that the kernel wrote.
func (in *inbox) sender() netip.AddrPort {
	if in.from.Family == unix.AF_INET {
		four := (*unix.RawSockaddrInet4)(unsafe.Pointer(&in.from))
		return netip.AddrPortFrom(netip.AddrFrom4(four.Addr), hostOrder(four.Port))
	}
	return netip.AddrPortFrom(netip.AddrFrom16(in.from.Addr).Unmap(), hostOrder(in.from.Port))
}

func (s *polledSocket) send(b []byte, to netip.AddrPort) error {
	if to.Addr().Is4() == s.six {
		return fmt.Errorf("%s is not of the socket's family", to.Addr())
	}
	var address unix.RawSockaddrInet6
	size := address4or6(&address, to, s.six)
	s.sending.Lock()
	defer s.sending.Unlock()
	if s.fd < 0 {
		return net.ErrClosed
	}
	_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(s.fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL,
		uintptr(unsafe.Pointer(&address)), size)
	if errno != 0 {
		return fmt.Errorf("send to UDP socket: %w", errno)
	}
	return nil
}

// address4or6 writes an address as a socket of that family wants it.
func address4or6(a *unix.RawSockaddrInet6, to netip.AddrPort, six bool) (size uintptr) {
	if six {
		a.Family, a.Port, a.Addr = unix.AF_INET6, hostOrder(to.Port()), to.Addr().As16()
		return unsafe.Sizeof(*a)
	}
	four := (*unix.RawSockaddrInet4)(unsafe.Pointer(a))
	four.Family, four.Port, four.Addr = unix.AF_INET, hostOrder(to.Port()), to.Addr().As4()
	return unsafe.Sizeof(*four)
}

// hostOrder swaps a port between network and host order on the little-endian
// machines that this file is built for.
func hostOrder(port uint16) uint16 { return port<<8 | port>>8 }

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
