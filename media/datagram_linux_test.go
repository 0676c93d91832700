//go:build linux && (amd64 || arm64 || riscv64)

package media

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestDatagramsOfBothFamilies(t *testing.T) {
	for _, c := range []struct {
		network, address string
	}{{"udp4", "127.0.0.1:0"}, {"udp6", "[::1]:0"}} {
		conn, err := ListenUDP(t.Context(), c.network, c.address)
		if err != nil {
			t.Logf("%s: %v", c.address, err)
			continue
		}
		defer conn.Close()
		self := netip.MustParseAddrPort(conn.LocalAddr().String())
		raw, err := conn.(*net.UDPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		raw.Control(func(fd uintptr) { exchange(t, int(fd), self) })
	}
}

func exchange(t *testing.T, fd int, self netip.AddrPort) {
	buf := make([]byte, 4)
	if _, _, errno := RecvDatagram(fd, buf); errno != unix.EAGAIN {
		t.Errorf("%v: nothing to read gave %v", self, errno)
	}
	for _, text := range []string{"", "abc", "longer than the buffer"} {
		if errno := SendDatagram(fd, []byte(text), self, self.Addr().Is6()); errno != 0 {
			t.Fatalf("%v: send: %v", self, errno)
		}
		n, from, errno := RecvDatagram(fd, buf)
		for limit := time.Now().Add(5 * time.Second); errno == unix.EAGAIN && time.Now().Before(limit); {
			n, from, errno = RecvDatagram(fd, buf)
		}
		if want := text[:min(len(text), len(buf))]; errno != 0 || from != self || string(buf[:n]) != want {
			t.Errorf("%v: %q from %v, %v; want %q", self, buf[:n], from, errno, want)
		}
	}
}
