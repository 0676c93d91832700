//go:build !linux || !(amd64 || arm64 || riscv64)

package webrtc

import "net"

func quick(conn net.PacketConn) net.PacketConn { return conn }
