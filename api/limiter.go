package api

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// Bounds of failed attempts: a source may fail failureBurst times at once and
// then once per failurePause.
const (
	failureBurst   = 10
	failurePause   = 6 * time.Second
	failureSources = 10_000 // sources remembered; the quietest are forgotten first
)

// failures counts wrong keys per source as a leaking bucket. It is safe for
// concurrent use.
type failures struct {
	mu      sync.Mutex
	buckets map[netip.Prefix]bucket
}

// bucket is how full it was at a time; it leaks one failure per failurePause.
type bucket struct {
	level float64
	at    time.Time
}

// levelAt returns what is left in the bucket at now.
func (b bucket) levelAt(now time.Time) float64 {
	return max(0, b.level-now.Sub(b.at).Seconds()/failurePause.Seconds())
}

// wait returns how long the source must wait before it may try again, 0 for not at all.
func (f *failures) wait(source netip.Prefix, now time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	over := f.buckets[source].levelAt(now) - (failureBurst - 1)
	if over <= 0 {
		return 0
	}
	return time.Duration(over * float64(failurePause))
}

// add notes one failed attempt.
func (f *failures) add(source netip.Prefix, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.buckets == nil {
		f.buckets = make(map[netip.Prefix]bucket)
	}
	if _, known := f.buckets[source]; !known && len(f.buckets) >= failureSources {
		f.forgetLocked(now)
	}
	f.buckets[source] = bucket{level: f.buckets[source].levelAt(now) + 1, at: now}
}

// forgetLocked makes room: empty buckets go, and one more if none was empty.
func (f *failures) forgetLocked(now time.Time) {
	var quietest netip.Prefix
	lowest := float64(failureBurst * 2)
	for source, b := range f.buckets {
		level := b.levelAt(now)
		if level == 0 {
			delete(f.buckets, source)
		}
		if level < lowest {
			quietest, lowest = source, level
		}
	}
	delete(f.buckets, quietest)
}

// sourceOf returns whom a request counts for: the IPv4 address or the IPv6 /64
// that it came from. Behind a proxy on the same machine it is the address that
// this proxy appended to X-Forwarded-For; nobody else's word is taken.
func sourceOf(r *http.Request) netip.Prefix {
	addr := remoteAddr(r.RemoteAddr)
	if forwarded := r.Header.Values("X-Forwarded-For"); addr.IsLoopback() && len(forwarded) > 0 {
		list := strings.Split(forwarded[len(forwarded)-1], ",")
		if a, err := netip.ParseAddr(strings.TrimSpace(list[len(list)-1])); err == nil {
			addr = a
		}
	}
	addr = addr.Unmap().WithZone("")
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	prefix, _ := addr.Prefix(bits)
	return prefix
}

// remoteAddr reads "address:port"; the zero Addr when it is neither.
func remoteAddr(s string) netip.Addr {
	host, _, err := net.SplitHostPort(s)
	if err != nil {
		host = s
	}
	addr, _ := netip.ParseAddr(host)
	return addr
}
