package socket

import (
	"container/list"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// What leads to a ban.
const (
	BanTries  = 10          // failed tries
	BanWindow = time.Minute // within which they must fall
)

const (
	banFirst  = 10 * time.Minute // how long packets are dropped then; it doubles each time
	banMost   = 24 * time.Hour
	vouchTime = time.Hour // how long a right password speaks for an address
	maxSeen   = 8192      // addresses that are remembered
)

// Bans remembers who tries what is not his. Its memory is bounded: the address
// that was quiet for longest is forgotten first. Safe for concurrent use.
//
// A UDP source can be forged. Sources that we know are never struck, and for an
// address that has shown a password lately only tries count that prove it: those
// that carry a nonce which we sent there.
type Bans struct {
	active  atomic.Int64  // addresses banned now, or lately
	dropped atomic.Uint64 // packets

	mu   sync.Mutex
	seen map[netip.Addr]*list.Element // of *offender
	lru  list.List                    // the latest first
}

// offender is one address, of IPv6 the /64 that it is in.
type offender struct {
	key   netip.Addr
	addr  netip.Addr          // the one seen last
	tries [BanTries]time.Time // the last ones, as a ring
	next  int
	until time.Time // banned until; zero: not
	times int       // how often it was banned
	good  time.Time // when it last showed a right password
}

// NewBans remembers nobody yet.
func NewBans() *Bans { return &Bans{seen: map[netip.Addr]*list.Element{}} }

// BanKey is what is banned for an address: IPv6 hosts have a whole /64 to themselves.
func BanKey(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}

// banned says whether a packet from an address is to be dropped unread.
func (b *Bans) banned(a netip.Addr, now time.Time) bool {
	if b.active.Load() == 0 {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.seen[BanKey(a)]
	if e == nil {
		return false
	}
	o := e.Value.(*offender)
	if o.until.IsZero() {
		return false
	}
	if now.After(o.until) {
		b.releaseLocked(o)
		return false
	}
	b.lru.MoveToFront(e)
	b.dropped.Add(1)
	return true
}

func (b *Bans) releaseLocked(o *offender) {
	if !o.until.IsZero() {
		o.until = time.Time{}
		b.active.Add(-1)
	}
	o.tries = [BanTries]time.Time{}
}

// Strike counts a failed try. It returns for how long the address is to be
// banned, 0 for not yet; immune is asked before that, and makes a fresh start.
func (b *Bans) Strike(a netip.Addr, proven bool, now time.Time, immune func() bool) time.Duration {
	if !b.count(a, proven, now) || immune() {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	o := b.offenderLocked(a)
	if !o.until.IsZero() {
		return 0
	}
	d := banFirst << min(o.times, 20)
	if d > banMost || d <= 0 {
		d = banMost
	}
	o.times++
	o.until = now.Add(d)
	b.active.Add(1)
	return d
}

// count says whether this try was the last one allowed.
func (b *Bans) count(a netip.Addr, proven bool, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	o := b.offenderLocked(a)
	o.addr = a
	if !o.until.IsZero() || !proven && now.Sub(o.good) < vouchTime {
		return false
	}
	o.tries[o.next] = now
	o.next = (o.next + 1) % BanTries
	oldest := o.tries[o.next]
	if oldest.IsZero() || now.Sub(oldest) > BanWindow {
		return false
	}
	o.tries = [BanTries]time.Time{}
	return true
}

// Vouch forgives an address that has shown a right password.
func (b *Bans) Vouch(a netip.Addr, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	o := b.offenderLocked(a)
	b.releaseLocked(o)
	o.good = now
}

// Pardon lifts the bans of those who are known now.
func (b *Bans) Pardon(known func(netip.Addr) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.seen {
		if o := e.Value.(*offender); !o.until.IsZero() && known(o.addr) {
			b.releaseLocked(o)
		}
	}
}

func (b *Bans) offenderLocked(a netip.Addr) *offender {
	key := BanKey(a)
	if e := b.seen[key]; e != nil {
		b.lru.MoveToFront(e)
		return e.Value.(*offender)
	}
	if b.lru.Len() >= maxSeen {
		last := b.lru.Back()
		o := last.Value.(*offender)
		b.releaseLocked(o)
		b.lru.Remove(last)
		delete(b.seen, o.key)
	}
	o := &offender{key: key}
	b.seen[key] = b.lru.PushFront(o)
	return o
}

// Counts says how many addresses are banned, and how many of their packets were dropped.
func (b *Bans) Counts() (addresses int, dropped uint64) {
	return int(b.active.Load()), b.dropped.Load()
}
