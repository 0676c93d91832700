package webrtc

import (
	"net"
	"net/netip"

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
	}
}
