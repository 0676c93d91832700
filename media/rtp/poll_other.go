//go:build !linux || !(amd64 || arm64 || riscv64)

package rtp

import "net"

func newPolledSocket(net.PacketConn, handler, int) (socket, bool) { return nil, false }
