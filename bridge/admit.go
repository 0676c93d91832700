package bridge

import (
	"net/netip"
	"time"

	"golang.org/x/time/rate"

	"github.com/roomline/roomline/dialplan"
)

// TrustedBy returns the rule of trust for signalling bound to the given
// addresses: loopback always; private addresses only when one of the bound
// addresses is private itself, never for a wildcard, behind which containers and
// load balancers make the whole Internet look private.
func TrustedBy(bound ...netip.Addr) func(netip.Addr) bool {
	private := false
	for _, b := range bound {
		private = private || b.Unmap().IsPrivate()
	}
	return func(source netip.Addr) bool {
		source = source.Unmap()
		return source.IsLoopback() || private && source.IsPrivate()
	}
}

// Admit decides whether an INVITE may become a call, before anything is spent
// on it. nil means that it may.
func (x *Exchange) Admit(inv Invite) *Refusal {
	x.init()
	trunk, d := x.decide(inv)
	switch {
	case x.draining.Load():
		return inv.refusal(CauseShutdown, "the gateway is shutting down and takes no new calls")
	case d.Refused:
		return inv.refusal(Cause(d.Cause), d.Reason)
	case d.Priority != "emergency" && trunk.Limits != nil:
		return x.withinLimits(inv, trunk)
	}
	return nil
}

func (x *Exchange) decide(inv Invite) (dialplan.Trunk, dialplan.Decision) {
	plan := x.plan()
	trunk, known := plan.TrunkOf(inv.Source.Addr())
	if inv.Trunk != "" { // it has shown the trunk's password, or came through our registration
		trunk, known = plan.TrunkNamed(inv.Trunk)
	}
	trusted := known || x.Trusts != nil && x.Trusts(inv.Source.Addr())
	return trunk, plan.Decide(dialplan.Query{
		Stranger: !trusted, Trunk: trunk.Name, To: inv.To, From: inv.From, At: time.Now(),
	})
}

func (x *Exchange) withinLimits(inv Invite, t dialplan.Trunk) *Refusal {
	if n := t.Limits.Calls; n > 0 && x.callsOn(t.Name) >= n {
		return inv.refusal(CauseLimit, "trunk "+t.Name+" has reached its limit of calls")
	}
	if !x.withinRate(t) {
		return inv.refusal(CauseLimit, "trunk "+t.Name+" has reached its limit of calls per second")
	}
	return nil
}

func (x *Exchange) callsOn(trunk string) (n int) {
	for _, c := range x.live() {
		if c.Record().Trunk == trunk {
			n++
		}
	}
	return n
}

func (x *Exchange) withinRate(t dialplan.Trunk) bool {
	if t.Limits == nil || t.Limits.CPS <= 0 {
		return true
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	l := x.rates[t.Name]
	if l == nil || l.Limit() != rate.Limit(t.Limits.CPS) {
		l = rate.NewLimiter(rate.Limit(t.Limits.CPS), max(1, int(t.Limits.CPS)))
		x.rates[t.Name] = l
	}
	return l.Allow()
}

func (inv Invite) refusal(cause Cause, reason string) *Refusal {
	return &Refusal{
		Source: inv.Source.String(), Transport: inv.Transport, From: inv.From, To: inv.To,
		SIPCallID: inv.SIPCallID, Cause: cause, Reason: reason,
	}
}

// Refused records an INVITE that was answered with a refusal, as a row that says
// why. The log's line is the user agent's.
func (x *Exchange) Refused(r Refusal) {
	x.init()
	r.ID, r.Time = NewID("refused"), time.Now().UTC()
	if x.Refusals != nil {
		x.Refusals(r)
	}
}
