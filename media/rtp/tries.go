package rtp

import (
	"hash/maphash"
	"net/netip"
	"time"
)

// tries bounds the authentication that sources which are not the peer's can ask
// for while its address is still to be learnt. Sources share places by chance,
// so that a flood from one or many leaves places for the one that is right.
type tries struct {
	since time.Time
	seed  maphash.Seed
	spent [256]uint8
}

const (
	triesWithin = 100 * time.Millisecond
	triesEach   = 8
)

// allow counts a try of a source.
func (t *tries) allow(from netip.AddrPort, now time.Time) bool {
	if now.Sub(t.since) > triesWithin {
		*t = tries{since: now, seed: maphash.MakeSeed()}
	}
	place := &t.spent[maphash.Comparable(t.seed, from)%uint64(len(t.spent))]
	if *place >= triesEach {
		return false
	}
	*place++
	return true
}
