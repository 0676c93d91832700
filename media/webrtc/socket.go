package webrtc

import (
	"fmt"
	"net"
	"net/netip"
	"runtime"

	"github.com/pion/ice/v4"
)

// datagrams is a UDP socket that needs no allocation for addresses.
type datagrams interface {
	net.PacketConn
	ice.AddrPortReaderWriter
}

// guardedSocket is the one UDP port as pion sees it: without the sound that
// takes the short road.
type guardedSocket struct {
	datagrams
	doors *doors
}

// ReadFromAddrPort implements ice.AddrPortReaderWriter.
func (s *guardedSocket) ReadFromAddrPort(b []byte) (int, netip.AddrPort, error) {
	for {
		n, from, err := s.datagrams.ReadFromAddrPort(b)
		if err != nil || !s.doors.takes(b[:n], from) {
			return n, from, err
		}
		runtime.Gosched()
	}
}

// plainSocket is any other PacketConn, such as one of a test.
type plainSocket struct{ net.PacketConn }

// ReadFromAddrPort implements ice.AddrPortReaderWriter.
func (s plainSocket) ReadFromAddrPort(b []byte) (int, netip.AddrPort, error) {
	if c, ok := s.PacketConn.(*net.UDPConn); ok {
		n, from, err := c.ReadFromUDPAddrPort(b)
		return n, unmap(from), err
	}
	n, from, err := s.ReadFrom(b)
	if err != nil {
		return n, netip.AddrPort{}, err
	}
	u, ok := from.(*net.UDPAddr)
	if !ok {
		return n, netip.AddrPort{}, fmt.Errorf("%s is no UDP address", from)
	}
	return n, unmap(u.AddrPort()), nil
}

// WriteToAddrPort implements ice.AddrPortReaderWriter.
func (s plainSocket) WriteToAddrPort(b []byte, to netip.AddrPort) (int, error) {
	if c, ok := s.PacketConn.(*net.UDPConn); ok {
		return c.WriteToUDPAddrPort(b, to)
	}
	return s.WriteTo(b, net.UDPAddrFromAddrPort(to))
}

func unmap(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }
