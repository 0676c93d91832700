//go:build linux && (amd64 || arm64 || riscv64)

package media

import (
	"net/netip"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// System calls on UDP sockets that never wait, and of which the Go scheduler is
// not told: telling it wakes its monitor thread, which then looks every 20 µs
// whether the call has got stuck. With a packet every few hundred microseconds
// that thread took a tenth of what a call costs.

// RecvDatagram reads one datagram from a UDP socket; EAGAIN when there is none.
// Of one longer than b the rest is lost. An IPv4 sender is told as one also by
// an IPv6 socket.
func RecvDatagram(fd int, b []byte) (n int, from netip.AddrPort, errno unix.Errno) {
	var address unix.RawSockaddrInet6
	size := uint32(unsafe.Sizeof(address))
	got, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), unix.MSG_DONTWAIT,
		uintptr(unsafe.Pointer(&address)), uintptr(unsafe.Pointer(&size)))
	if errno != 0 {
		return 0, netip.AddrPort{}, errno
	}
	return int(got), sender(&address), 0
}

// sender reads the address that the kernel wrote.
func sender(a *unix.RawSockaddrInet6) netip.AddrPort {
	if a.Family == unix.AF_INET {
		four := (*unix.RawSockaddrInet4)(unsafe.Pointer(a))
		return netip.AddrPortFrom(netip.AddrFrom4(four.Addr), hostOrder(four.Port))
	}
	ip := netip.AddrFrom16(a.Addr).Unmap()
	if a.Scope_id != 0 && ip.IsLinkLocalUnicast() {
		ip = ip.WithZone(strconv.FormatUint(uint64(a.Scope_id), 10))
	}
	return netip.AddrPortFrom(ip, hostOrder(a.Port))
}

// SendDatagram sends one datagram on a UDP socket, which is an IPv6 one if six;
// EAGAIN when its buffer is full. Zones are not heeded.
func SendDatagram(fd int, b []byte, to netip.AddrPort, six bool) (errno unix.Errno) {
	var address unix.RawSockaddrInet6
	size := writeAddress(&address, to, six)
	_, _, errno = unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL,
		uintptr(unsafe.Pointer(&address)), size)
	return errno
}

// writeAddress writes an address as a socket of that family wants it.
func writeAddress(a *unix.RawSockaddrInet6, to netip.AddrPort, six bool) (size uintptr) {
	if six {
		a.Family, a.Port, a.Addr = unix.AF_INET6, hostOrder(to.Port()), to.Addr().As16()
		return unsafe.Sizeof(*a)
	}
	four := (*unix.RawSockaddrInet4)(unsafe.Pointer(a))
	four.Family, four.Port, four.Addr = unix.AF_INET, hostOrder(to.Port()), to.Addr().Unmap().As4()
	return unsafe.Sizeof(*four)
}

// hostOrder swaps a port between network and host order on the little-endian
// machines that this file is built for.
func hostOrder(port uint16) uint16 { return port<<8 | port>>8 }
