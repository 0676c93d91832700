package sip

import (
	"container/list"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roomline/roomline/bridge"
)

const (
	banTries  = 10               // failed tries
	banWindow = time.Minute      // within which they must fall
	banFirst  = 10 * time.Minute // how long packets are dropped then; it doubles each time
	banMost   = 24 * time.Hour
	vouchTime = time.Hour // how long a right password speaks for an address
	maxSeen   = 8192      // addresses that are remembered
)

// bans remembers who tries what is not his. Its memory is bounded: the address
// that was quiet for longest is forgotten first. Safe for concurrent use.
//
// A UDP source can be forged. Sources that we know are never struck, and for an
// address that has shown a password lately only tries count that prove it: those
// that carry a nonce which we sent there.
type bans struct {
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
	tries [banTries]time.Time // the last ones, as a ring
	next  int
	until time.Time // banned until; zero: not
	times int       // how often it was banned
	good  time.Time // when it last showed a right password
}

func newBans() *bans { return &bans{seen: map[netip.Addr]*list.Element{}} }

// banKey is what is banned for an address: IPv6 hosts have a whole /64 to themselves.
func banKey(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}

// banned says whether a packet from an address is to be dropped unread.
func (b *bans) banned(a netip.Addr, now time.Time) bool {
	if b.active.Load() == 0 {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.seen[banKey(a)]
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

func (b *bans) releaseLocked(o *offender) {
	if !o.until.IsZero() {
		o.until = time.Time{}
		b.active.Add(-1)
	}
	o.tries = [banTries]time.Time{}
}

// strike counts a failed try. It returns for how long the address is to be
// banned, 0 for not yet; immune is asked before that, and makes a fresh start.
func (b *bans) strike(a netip.Addr, proven bool, now time.Time, immune func() bool) time.Duration {
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
func (b *bans) count(a netip.Addr, proven bool, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	o := b.offenderLocked(a)
	o.addr = a
	if !o.until.IsZero() || !proven && now.Sub(o.good) < vouchTime {
		return false
	}
	o.tries[o.next] = now
	o.next = (o.next + 1) % banTries
	oldest := o.tries[o.next]
	if oldest.IsZero() || now.Sub(oldest) > banWindow {
		return false
	}
	o.tries = [banTries]time.Time{}
	return true
}

// vouch forgives an address that has shown a right password.
func (b *bans) vouch(a netip.Addr, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	o := b.offenderLocked(a)
	b.releaseLocked(o)
	o.good = now
}

// pardon lifts the bans of those who are known now.
func (b *bans) pardon(known func(netip.Addr) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.seen {
		if o := e.Value.(*offender); !o.until.IsZero() && known(o.addr) {
			b.releaseLocked(o)
		}
	}
}

func (b *bans) offenderLocked(a netip.Addr) *offender {
	key := banKey(a)
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

// BanCount says how many addresses are banned, and how many of their packets
// were dropped since the start.
func (u *UA) BanCount() (addresses int, dropped uint64) {
	return int(u.bans.active.Load()), u.bans.dropped.Load()
}

// strike counts a failed try of a stranger's. why says what it was; proven, that
// the source address cannot be forged.
func (u *UA) strike(source netip.AddrPort, transport, why string, proven bool) {
	if u.knows(source.Addr()) {
		return
	}
	proven = proven || transport != "udp"
	d := u.bans.strike(source.Addr(), proven, time.Now(), func() bool { return u.talksWith(source.Addr()) })
	if d == 0 {
		return
	}
	words := fmt.Sprintf("banned: %d failed tries within %v, the last one %s; packets from %s are dropped for %v", banTries, banWindow, why, banKey(source.Addr()), d)
	u.log.Warn("an address is banned", "source", source.String(), "transport", transport, "reason", words)
	if u.config.Refused != nil {
		u.config.Refused(bridge.Refusal{ID: bridge.NewID("refusal"), Time: time.Now().UTC(), Source: source.String(), Transport: transport,
			Cause: bridge.CauseForbidden, Reason: words})
	}
}

// talksWith says whether an address is the other side of a call.
func (u *UA) talksWith(a netip.Addr) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, l := range u.lines {
		if l.source.IsValid() && banKey(l.source) == banKey(a) {
			return true
		}
	}
	return false
}
