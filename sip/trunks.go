package sip

import (
	"net/netip"
	"sync"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
)

// trunks is what the UA does for the trunks of its plan beside calls: it keeps
// them registered and asks whether their servers live.
type trunks struct {
	ua *UA

	mu      sync.Mutex
	servers map[netip.Addr]struct{} // of all trunks, as far as they have been looked up
}

// maxServers bounds the addresses that names of the plan may lead to.
const maxServers = 4096

func newTrunks(u *UA) *trunks {
	s := &trunks{ua: u}
	s.reload(u.config.Plan())
	return s
}

// reload takes the numeric servers of a plan; the others follow when they are looked up.
func (s *trunks) reload(plan *dialplan.Plan) {
	servers := map[netip.Addr]struct{}{}
	for i := range plan.Trunks {
		o := plan.Trunks[i].Outbound
		if o == nil {
			continue
		}
		for _, server := range o.Servers {
			h, err := serverHop(server, "udp")
			if addr, bad := netip.ParseAddr(h.host); err == nil && bad == nil {
				servers[addr] = struct{}{}
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.servers = servers
}

// PlanChanged puts the plan in force that Config.Plan returns now: trunks begin,
// change and end to be registered and kept alive. Calls go on as they are.
func (u *UA) PlanChanged() {
	u.trunks.reload(u.config.Plan())
	u.bans.pardon(u.knows)
}

// learn keeps the addresses that a trunk's servers have.
func (s *trunks) learn(list []target) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range list {
		if len(s.servers) < maxServers {
			s.servers[t.addr.Addr()] = struct{}{}
		}
	}
}

// knows says whether a source is somebody we deal with: who may call without a
// password, and the servers that we call. It is no more than that: whether a call
// is let in is decided by Admit.
func (u *UA) knows(a netip.Addr) bool {
	a = a.Unmap()
	if u.config.Known == nil || u.config.Known(a) {
		return true
	}
	u.trunks.mu.Lock()
	defer u.trunks.mu.Unlock()
	_, ok := u.trunks.servers[a]
	return ok
}

func (u *UA) cameByRegistration(*sipmsg.Request, *bridge.Invite) bool { return false }
