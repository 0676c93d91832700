package sip

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/bridge"
)

// cameByRegistration says whether a call came through one of our registrations:
// from an address of the trunk's own servers, while we are registered there. It
// sets the trunk. A registrar asks for what we registered, so the number that was
// called is then in To. strict: only by the very Contact that we registered.
func (u *UA) cameByRegistration(req *sipmsg.Request, inv *bridge.Invite, strict bool) bool {
	u.trunks.mu.Lock()
	var list []*registration
	for _, v := range u.trunks.services {
		if v.registration != nil {
			list = append(list, v.registration)
		}
	}
	u.trunks.mu.Unlock()
	slices.SortFunc(list, func(a, b *registration) int { return strings.Compare(a.trunk.Name, b.trunk.Name) })
	var by *registration
	asked := false
	for _, r := range list {
		if !r.covers(inv.Source.Addr()) {
			continue
		}
		if accountUser(r.trunk) == inv.To {
			by, asked = r, true
			break
		}
		if by == nil && !strict {
			by = r
		}
	}
	if by == nil {
		return false
	}
	inv.Trunk = by.trunk.Name
	if called := userPart(&req.To().Address); asked && called != "" {
		inv.To = called
	}
	return true
}

// covers says whether a source is one that calls come from through this registration.
func (r *registration) covers(source netip.Addr) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status == "registered" && time.Now().Before(r.until) && slices.Contains(r.sources, source)
}
