package bench

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"sync"
)

// given are the ports that freePorts has given out: gateways that start at the same
// time must not be told the same one.
var given sync.Map

// freePorts returns ports of the loopback address that are free for TCP and UDP.
func freePorts(n int) ([]int, error) {
	var ports []int
	for range 20 * n {
		if len(ports) == n {
			return ports, nil
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // all at once, so that none is found twice
		port := l.Addr().(*net.TCPAddr).Port
		if !udpFree(port) {
			continue
		}
		if _, again := given.LoadOrStore(port, true); !again {
			ports = append(ports, port)
		}
	}
	return nil, errors.New("no free ports on 127.0.0.1")
}

// Gateway and telephones take their ports from places apart, both below the ports
// that the system gives away by itself.
const gatewayPorts, phonePorts, portsApart = 10000, 21000, 11000

// freeRange finds an even port from which n UDP ports are free in a place, looking
// at every eighth.
func freeRange(lowest, n int) (int, error) {
	if n >= portsApart {
		return 0, fmt.Errorf("%d ports: too many", n)
	}
	for range 200 {
		var b [2]byte
		_, _ = rand.Read(b[:])
		low := (lowest + (int(b[0])<<8|int(b[1]))%(portsApart-n)) &^ 1
		free := true
		for p := low; p < low+n && free; p += 8 {
			free = udpFree(p)
		}
		if free {
			return low, nil
		}
	}
	return 0, fmt.Errorf("no %d free UDP ports in a row on 127.0.0.1", n)
}

func udpFree(port int) bool {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}
