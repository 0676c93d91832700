package bridge

import (
	"net/netip"
	"time"

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

// Ticket carries what [Exchange.Admit] decided on an INVITE to
// [Exchange.Incoming], and the place on the trunk that it took. The user agent
// puts an empty one into each Invite, and drops it when no call came of it.
type Ticket struct {
	admitted bool
	trunk    dialplan.Trunk
	decision dialplan.Decision
	slot     *slot
	replaces *Call // whose seat it takes; nil: none
}

// Drop gives back what Admit took. It is harmless after Incoming, and on nil.
func (t *Ticket) Drop() {
	if t != nil {
		t.slot.leave(time.Now())
		*t = Ticket{}
	}
}

// Admit decides whether an INVITE may become a call, before anything is spent
// on it. nil means that it may.
func (x *Exchange) Admit(inv Invite) *Refusal {
	x.init()
	if x.draining.Load() {
		return inv.refusal(CauseShutdown, "the gateway is shutting down and takes no new calls")
	}
	t, refusal := x.ticket(inv)
	if refusal != nil {
		return refusal
	}
	if inv.Ticket == nil { // a user agent without tickets: Incoming takes the place
		t.slot.leave(time.Now())
		return nil
	}
	t.admitted = true
	*inv.Ticket = t
	return nil
}

// ticket decides, and takes a place on the trunk.
func (x *Exchange) ticket(inv Invite) (Ticket, *Refusal) {
	if inv.Replaces != nil {
		return x.replacing(inv)
	}
	t := x.decide(inv)
	if t.decision.Refused {
		return t, inv.refusal(Cause(t.decision.Cause), t.decision.Reason)
	}
	var full string
	if t.slot, full = x.loads.take(t.trunk, false, t.emergency(), time.Now()); full != "" {
		return t, inv.refusal(CauseLimit, full)
	}
	return t, nil
}

// claim makes the ticket of an INVITE the caller's own.
func (x *Exchange) claim(inv Invite) Ticket {
	if inv.Ticket != nil && inv.Ticket.admitted {
		t := *inv.Ticket
		*inv.Ticket = Ticket{}
		return t
	}
	t, refusal := x.ticket(inv)
	if refusal != nil {
		t.decision.Refused, t.decision.Target = true, dialplan.Target{Reject: string(refusal.Cause)}
	}
	return t
}

func (t Ticket) emergency() bool { return t.decision.Priority == "emergency" }

func (x *Exchange) decide(inv Invite) Ticket {
	trunk, trusted := x.sourceOf(inv)
	return Ticket{trunk: trunk, decision: x.plan().Decide(dialplan.Query{
		Stranger: !trusted, Trunk: trunk.Name, To: inv.To, From: inv.From, Headers: inv.Headers, At: time.Now(),
	})}
}

// sourceOf says from which trunk an INVITE comes, if from one, and whether it is trusted.
func (x *Exchange) sourceOf(inv Invite) (trunk dialplan.Trunk, trusted bool) {
	plan := x.plan()
	trunk, known := plan.TrunkOf(inv.Source.Addr())
	if inv.Trunk != "" { // it has shown the trunk's password, or came through our registration
		trunk, known = plan.TrunkNamed(inv.Trunk)
	}
	return trunk, known || x.Trusts != nil && x.Trusts(inv.Source.Addr())
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
