//go:build !linux

package socket

import (
	"net"
	"net/netip"
)

// receiveErrors does nothing here: calls to a closed port end by timeout.
func receiveErrors(net.PacketConn) {}

func pendingErrors(net.PacketConn) []netip.AddrPort { return nil }
