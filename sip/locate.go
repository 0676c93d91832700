package sip

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/roomline/roomline/sip/sdp"
)

// Resolver looks names up; net.Resolver is one.
type Resolver interface {
	LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

const (
	answerLife  = time.Minute     // net.Resolver does not tell TTLs
	answerKeep  = 24 * time.Hour  // how long an answer serves while DNS is away
	dnsPause    = 5 * time.Second // after a failure, before DNS is asked again for a name that has an old answer
	lookupShort = time.Second     // patience with DNS where an old answer would do
	maxNames    = 1024
)

// locator finds the addresses of servers, RFC 3263 as far as carriers use it:
// SRV, then address records; NAPTR is left out, because a trunk says its
// transport. Answers are cached, and the last good one serves while DNS is
// down. It also keeps which addresses are out of order. Safe for concurrent use.
type locator struct {
	resolver Resolver

	mu      sync.Mutex
	pick    func(n int) int // random in [0,n)
	answers map[string]*answer
	health  map[targetKey]health
	seen    map[string]netip.AddrPort // an address of each host that was found
}

// answer is what DNS said about one name.
type answer struct {
	mu      sync.Mutex // held while DNS is asked, so that it is asked once
	srv     []*net.SRV
	addrs   []netip.Addr
	err     error // it does not exist
	fetched time.Time
	checked time.Time // when DNS was last asked, in vain or not
	vain    error     // what was wrong with DNS then
}

func newLocator(r Resolver) *locator {
	if r == nil {
		r = net.DefaultResolver
	}
	return &locator{resolver: r, pick: rand.IntN, answers: map[string]*answer{}, health: map[targetKey]health{},
		seen: map[string]netip.AddrPort{}}
}

// find turns a hop into addresses of one family, in the order in which they
// should be tried; there is at least one if err is nil.
func (n *locator) find(ctx context.Context, h hop, v4 bool) ([]target, error) {
	if addr, err := netip.ParseAddr(h.host); err == nil {
		addr = addr.Unmap()
		if addr.Is4() != v4 {
			return nil, fmt.Errorf("%s is an %s address and this side speaks the other family", addr, sdp.Family(addr))
		}
		return []target{{netip.AddrPortFrom(addr, portFor(h.port, h.transport)), h.transport, h}}, nil
	}
	if h.port != 0 {
		return n.addresses(ctx, h, h.host, h.port, v4) // RFC 3263 section 4.2: a port rules SRV out
	}
	return n.services(ctx, h, v4)
}

// services follows SRV records, else the name itself.
func (n *locator) services(ctx context.Context, h hop, v4 bool) ([]target, error) {
	records, err := n.srv(ctx, h)
	if err != nil || len(records) == 0 {
		return n.addresses(ctx, h, h.host, 0, v4)
	}
	if len(records) == 1 && records[0].Target == "." {
		return nil, fmt.Errorf("the name %s says by its SRV record that it offers no SIP over %s", h.host, h.transport)
	}
	var list []target
	var failed error
	for _, r := range n.shuffle(records) {
		more, err := n.addresses(ctx, h, strings.TrimSuffix(r.Target, "."), int(r.Port), v4)
		if err != nil {
			failed = err
		}
		list = append(list, more...)
	}
	if len(list) == 0 {
		return nil, failed
	}
	return list, nil
}

func (n *locator) srv(ctx context.Context, h hop) ([]*net.SRV, error) {
	service, proto := "sip", h.transport
	if h.transport == "tls" {
		service, proto = "sips", "tcp"
	}
	a, err := n.ask(ctx, "srv|"+service+"|"+proto+"|"+h.host, func(ctx context.Context, a *answer) error {
		_, list, err := n.resolver.LookupSRV(ctx, service, proto, h.host)
		if err == nil {
			a.srv = list
		}
		return err
	})
	return a.srv, err
}

// addresses looks address records up.
func (n *locator) addresses(ctx context.Context, h hop, host string, port int, v4 bool) ([]target, error) {
	network := "ip6"
	if v4 {
		network = "ip4"
	}
	a, err := n.ask(ctx, network+"|"+host, func(ctx context.Context, a *answer) error {
		list, err := n.resolver.LookupNetIP(ctx, network, host)
		if err == nil {
			a.addrs = list
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("the name %s has no address: %w", host, err)
	}
	var list []target
	for _, addr := range a.addrs {
		list = append(list, target{netip.AddrPortFrom(addr.Unmap(), portFor(port, h.transport)), h.transport, h})
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("the name %s has no %s address", host, network)
	}
	n.mu.Lock()
	if len(n.seen) >= maxNames {
		clear(n.seen)
	}
	n.seen[h.host] = list[0].addr
	n.mu.Unlock()
	return list, nil
}

// lastSeen is where a host was last found, without asking anybody.
func (n *locator) lastSeen(host string) (netip.AddrPort, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	addr, ok := n.seen[host]
	return addr, ok
}

// found is a copy of an answer that needs no lock.
type found struct {
	srv   []*net.SRV
	addrs []netip.Addr
}

// ask gives a cached answer, or asks DNS. A name that DNS says does not exist is
// believed; a DNS that does not answer is not, and the last good answer serves.
func (n *locator) ask(ctx context.Context, key string, lookup func(context.Context, *answer) error) (found, error) {
	a := n.entry(key)
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	good := a.err == nil && !a.fetched.IsZero() && now.Sub(a.fetched) < answerKeep
	fresh := !a.fetched.IsZero() && now.Sub(a.fetched) < answerLife
	if fresh || good && now.Sub(a.checked) < dnsPause {
		return found{a.srv, a.addrs}, a.err
	}
	if a.vain != nil && now.Sub(a.checked) < time.Second {
		return found{}, a.vain // who waited for the same question gets the same answer
	}
	patience := lookupTime
	if good {
		patience = lookupShort
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := lookup(ctx, a)
	a.checked = time.Now()
	if a.vain = err; err == nil || isNotFound(err) {
		a.fetched, a.err, a.vain = a.checked, err, nil
		if err != nil {
			a.srv, a.addrs = nil, nil
		}
		return found{a.srv, a.addrs}, err
	}
	if good {
		return found{a.srv, a.addrs}, nil
	}
	return found{}, err
}

func (n *locator) entry(key string) *answer {
	n.mu.Lock()
	defer n.mu.Unlock()
	a := n.answers[key]
	if a == nil {
		if len(n.answers) >= maxNames {
			clear(n.answers)
		}
		a = &answer{}
		n.answers[key] = a
	}
	return a
}

func isNotFound(err error) bool {
	var d *net.DNSError
	return errors.As(err, &d) && d.IsNotFound
}

// shuffle orders SRV records by priority, and by chance in proportion to their
// weights within one, RFC 2782.
func (n *locator) shuffle(records []*net.SRV) []*net.SRV {
	n.mu.Lock()
	defer n.mu.Unlock()
	return shuffleSRV(records, n.pick)
}

func portFor(port int, transport string) uint16 {
	if port > 0 && port <= 65535 {
		return uint16(port)
	}
	if transport == "tls" {
		return 5061
	}
	return 5060
}
