//go:build linux && (amd64 || arm64 || riscv64)

package webrtc

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/roomline/roomline/media"
)

// quickSocket is a UDP socket whose packets are read and written by
// [media.RecvDatagram] and [media.SendDatagram]. All else, waiting for packets
// too, is the affair of net.UDPConn. It implements ice.AddrPortReaderWriter, by which
// pion avoids to allocate addresses.
type quickSocket struct {
	*net.UDPConn
	raw       syscall.RawConn
	six       bool
	transfers sync.Pool
}

// transfer is one packet on its way, kept for the next so that none allocates.
type transfer struct {
	b          []byte
	peer       netip.AddrPort
	n          int
	errno      unix.Errno
	recv, send func(fd uintptr) (done bool)
}

// quick makes the packets of a plain UDP socket cheaper; false for others.
func quick(conn net.PacketConn) (datagrams, bool) {
	c, ok := conn.(*net.UDPConn)
	if !ok {
		return nil, false
	}
	local, err := netip.ParseAddrPort(c.LocalAddr().String())
	if err != nil || local.Addr().Zone() != "" {
		return nil, false
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, false
	}
	s := &quickSocket{UDPConn: c, raw: raw, six: local.Addr().Is6()}
	s.transfers.New = func() any { return newTransfer(s.six) }
	return s, true
}

func newTransfer(six bool) *transfer {
	t := &transfer{}
	t.recv = func(fd uintptr) bool {
		t.n, t.peer, t.errno = media.RecvDatagram(int(fd), t.b)
		return t.errno != unix.EAGAIN && t.errno != unix.EINTR
	}
	t.send = func(fd uintptr) bool {
		t.errno = media.SendDatagram(int(fd), t.b, t.peer, six)
		return true // a full buffer loses the packet, as networks do: who sends must not wait
	}
	return t
}

// ReadFromAddrPort implements ice.AddrPortReaderWriter.
func (s *quickSocket) ReadFromAddrPort(b []byte) (int, netip.AddrPort, error) {
	t := s.transfers.Get().(*transfer)
	defer s.transfers.Put(t)
	t.b, t.n, t.errno = b, 0, 0
	err := s.raw.Read(t.recv)
	t.b = nil
	if err == nil && t.errno != 0 {
		err = fmt.Errorf("read from UDP socket: %w", t.errno)
	}
	return t.n, t.peer, err
}

// WriteToAddrPort implements ice.AddrPortReaderWriter.
func (s *quickSocket) WriteToAddrPort(b []byte, to netip.AddrPort) (int, error) {
	if to.Addr().Zone() != "" || !s.six && !to.Addr().Unmap().Is4() {
		return s.WriteToUDPAddrPort(b, to)
	}
	t := s.transfers.Get().(*transfer)
	defer s.transfers.Put(t)
	t.b, t.peer, t.errno = b, to, 0
	err := s.raw.Write(t.send)
	t.b = nil
	if err == nil && t.errno != 0 {
		err = fmt.Errorf("write to UDP socket: %w", t.errno)
	}
	if err != nil {
		return 0, err
	}
	return len(b), nil
}

// siblings opens n more sockets on the port that first is bound to, or as many as
// can be. The port had to be free for the first; that the kernel lets others join it
// is said only now, so that a port in use is still an error. (It lets none join
// but processes of the same user that say the same.)
func siblings(ctx context.Context, first *net.UDPConn, n int) (more []*net.UDPConn, err error) {
	share := func(_, _ string, raw syscall.RawConn) (err error) {
		if e := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) }); e != nil {
			return e
		}
		return err
	}
	raw, err := first.SyscallConn()
	if err != nil || n <= 0 {
		return nil, err
	}
	if err := share("", "", raw); err != nil {
		return nil, err
	}
	address := first.LocalAddr()
	network, err := udpNetwork(address.String())
	lc := net.ListenConfig{Control: share}
	for len(more) < n && err == nil {
		var c net.PacketConn
		if c, err = lc.ListenPacket(ctx, network, address.String()); err == nil {
			more = append(more, c.(*net.UDPConn))
		}
	}
	return more, err
}
