package agent

import (
	"context"
	"net"
	"sync"
	"time"
)

// Nobody waits for DNS at the start of a call: the address that a worker's name
// led to is used again while it works. Probes keep it fresh where calls are rare.
const (
	nameLasts    = 90 * time.Second
	cachedFor    = 300 * time.Millisecond // what a remembered address has to answer within
	mostNames    = 1000
	dialPatience = 3 * time.Second
)

// names remembers where connections went. The zero value is ready, and safe for
// concurrent use.
type names struct {
	mu    sync.Mutex
	known map[string]place // by host:port
}

type place struct {
	addr string // ip:port
	at   time.Time
}

// dial connects as net.Dialer.DialContext does, rather to where the last one went.
func (n *names) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if p, ok := n.find(address, time.Now()); ok {
		quick, cancel := context.WithTimeout(ctx, cachedFor)
		conn, err := (&net.Dialer{}).DialContext(quick, network, p.addr)
		cancel()
		if err == nil || ctx.Err() != nil {
			return conn, err
		}
		n.forget(address)
	}
	conn, err := (&net.Dialer{Timeout: dialPatience}).DialContext(ctx, network, address)
	if err == nil {
		n.remember(address, conn.RemoteAddr().String(), time.Now())
	}
	return conn, err
}

func (n *names) find(address string, now time.Time) (place, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	p, ok := n.known[address]
	return p, ok && now.Sub(p.at) < nameLasts
}

func (n *names) forget(address string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.known, address)
}

func (n *names) remember(address, addr string, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.known == nil || len(n.known) >= mostNames {
		n.known = map[string]place{}
	}
	n.known[address] = place{addr, now}
}
