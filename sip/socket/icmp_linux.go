package socket

import (
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// receiveErrors asks the kernel to keep ICMP errors with the destination that
// they are about; an unconnected socket would not hear of them otherwise.
func receiveErrors(conn net.PacketConn) {
	control(conn, func(fd int) {
		unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_RECVERR, 1)
		unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVERR, 1)
	})
}

// pendingErrors takes the destinations of ICMP errors off the socket's queue.
func pendingErrors(conn net.PacketConn) []netip.AddrPort {
	var list []netip.AddrPort
	control(conn, func(fd int) {
		var data [64]byte
		var extra [512]byte
		for len(list) < 64 {
			_, _, _, from, err := unix.Recvmsg(fd, data[:], extra[:], unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
			if err != nil {
				return
			}
			switch a := from.(type) {
			case *unix.SockaddrInet4:
				list = append(list, netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port)))
			case *unix.SockaddrInet6:
				list = append(list, netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port)))
			}
		}
	})
	return list
}

// control runs f on the socket's descriptor, if it has one.
func control(conn net.PacketConn, f func(fd int)) {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) { f(int(fd)) })
}
