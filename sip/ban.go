package sip

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/sip/socket"
)

// BanCount says how many addresses are banned, and how many of their packets
// were dropped since the start.
func (u *UA) BanCount() (addresses int, dropped uint64) {
	return u.bans.Counts()
}

// strike counts a failed try of a stranger's. why says what it was; proven, that
// the source address cannot be forged.
func (u *UA) strike(source netip.AddrPort, transport, why string, proven bool) {
	if u.knows(source.Addr()) {
		return
	}
	proven = proven || transport != "udp"
	d := u.bans.Strike(source.Addr(), proven, time.Now(), func() bool { return u.talksWith(source.Addr()) })
	if d == 0 {
		return
	}
	words := fmt.Sprintf("banned: %d failed tries within %v, the last one %s; packets from %s are dropped for %v", socket.BanTries, socket.BanWindow, why, socket.BanKey(source.Addr()), d)
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
		if l.source.IsValid() && socket.BanKey(l.source) == socket.BanKey(a) {
			return true
		}
	}
	return false
}
