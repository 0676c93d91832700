//go:build !linux || !(amd64 || arm64 || riscv64)

package webrtc

import (
	"context"
	"net"
	"net/netip"
)

// plainSocket gives a net.UDPConn the names of ice.AddrPortReaderWriter.
type plainSocket struct{ *net.UDPConn }

func quick(conn net.PacketConn) (datagrams, bool) {
	c, ok := conn.(*net.UDPConn)
	return plainSocket{c}, ok
}

// ReadFromAddrPort implements ice.AddrPortReaderWriter.
func (s plainSocket) ReadFromAddrPort(b []byte) (int, netip.AddrPort, error) {
	n, from, err := s.ReadFromUDPAddrPort(b)
	return n, netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), err
}

// WriteToAddrPort implements ice.AddrPortReaderWriter.
func (s plainSocket) WriteToAddrPort(b []byte, to netip.AddrPort) (int, error) {
	return s.WriteToUDPAddrPort(b, to)
}

func siblings(context.Context, *net.UDPConn, int) ([]*net.UDPConn, error) { return nil, nil }
