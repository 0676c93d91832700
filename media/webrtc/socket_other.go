//go:build !linux || !(amd64 || arm64 || riscv64)

package webrtc

import (
	"context"
	"net"
)

func quick(net.PacketConn) (datagrams, bool) { return nil, false }

func siblings(context.Context, *net.UDPConn, int) ([]*net.UDPConn, error) { return nil, nil }
