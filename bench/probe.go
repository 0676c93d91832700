package bench

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/roomline/roomline/media"
)

// probe sends packets with the time in them and notes how old those are that
// come from the other side of the relay.
type probe struct {
	conn   *net.UDPConn
	to     netip.AddrPort
	packet []byte
	ended  chan struct{}

	mu      sync.Mutex
	delayMS []float64
}

var epoch = time.Now() // what the times in packets count from

func newProbe(port uint16, size int) (*probe, error) {
	conn, err := loopbackUDP()
	if err != nil {
		return nil, err
	}
	p := &probe{
		conn: conn, packet: make([]byte, max(size, 20)), ended: make(chan struct{}),
		to: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port),
	}
	go p.read()
	return p, nil
}

func (p *probe) send() {
	binary.BigEndian.PutUint64(p.packet[12:], uint64(time.Since(epoch)))
	_, _ = p.conn.WriteToUDPAddrPort(p.packet, p.to)
}

func (p *probe) read() {
	defer close(p.ended)
	buf := make([]byte, 1500)
	for {
		n, _, err := p.conn.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || n < 20 {
			continue
		}
		age := time.Since(epoch) - time.Duration(binary.BigEndian.Uint64(buf[12:]))
		p.mu.Lock()
		p.delayMS = append(p.delayMS, milliseconds(age))
		p.mu.Unlock()
	}
}

func (p *probe) close() {
	_ = p.conn.Close()
	<-p.ended
}

func allDelays(probes []*probe) []float64 {
	var all []float64
	for _, p := range probes {
		p.mu.Lock()
		// The first second is warming up.
		if skip := int(time.Second / media.FrameDuration); len(p.delayMS) > skip {
			all = append(all, p.delayMS[skip:]...)
		}
		p.mu.Unlock()
	}
	return all
}
