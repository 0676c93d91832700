package bridge

import (
	"context"
	"time"

	"github.com/roomline/roomline/dialplan"
)

// replacing decides on an INVITE with Replaces (RFC 3891): it must come from
// where the call that it takes over came from.
func (x *Exchange) replacing(inv Invite) (Ticket, *Refusal) {
	trunk, trusted := x.sourceOf(inv)
	old, ok := x.of(inv.Replaces)
	if !ok {
		r := inv.refusal(CauseSignalling, "the call that it replaces has ended")
		r.SIPCode = 481
		return Ticket{}, r
	}
	rec := old.Record()
	switch {
	case !trusted || rec.Trunk != trunk.Name:
		return Ticket{}, inv.refusal(CauseForbidden, "the call that it replaces belongs to somebody else: to another trunk")
	case rec.AnsweredAt == nil:
		return Ticket{}, inv.refusal(CauseRejected, "the call that it replaces is not answered yet")
	}
	t := Ticket{trunk: trunk, replaces: old}
	if old.emergency {
		t.decision.Priority = "emergency"
	}
	t.slot, _ = x.loads.take(trunk, false, true, time.Now()) // for one that leaves another comes
	return t, nil
}

// replace: the call takes the seat of another one, which ends.
func (c *Call) replace(old *Call) step {
	rec := old.Record()
	if !c.x.takeOver(old) {
		return c.end(CauseSignalling, "the call that it replaces has ended")
	}
	c.note(func(r *CallRecord) { r.ParentID, r.Muted = rec.ParentID, rec.Muted })
	if err := c.accept(rec.Room); err != nil {
		return c.end(CauseSignalling, err.Error())
	}
	t, served := old.servedBy()
	c.succeed(old, rec)
	if !served {
		return c.awaitAck(c.answered)
	}
	c.handover = &Handover{By: t.Agent, Reason: "the caller goes on with another phone", Transcript: old.Transcript()}
	return c.awaitAck(func() step {
		c.answered()
		return c.target(t)
	})
}

// servedBy is the target of the agent that serves the call; false: none does.
func (c *Call) servedBy() (t dialplan.Target, served bool) {
	err := c.do(context.Background(), func() error {
		if served = c.agent != nil; served {
			t = c.agent.target
		}
		return nil
	})
	return t, served && err == nil
}

// takeOver is true for the one call that may take the place of old.
func (x *Exchange) takeOver(old *Call) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if old.leaving || old.replaced {
		return false
	}
	old.replaced = true
	return true
}

// succeed takes over what the old call was to others.
func (c *Call) succeed(old *Call, rec CallRecord) {
	c.seat.Mute(rec.Muted)
	c.x.mu.Lock()
	c.parked = old.parked
	c.x.mu.Unlock()
	if other := c.x.part(old); other != nil && !c.x.pair(c, other) {
		c.Hangup(CauseNormal, "the other side hung up")
	}
	old.Hangup(CauseNormal, "replaced by call "+c.id)
	c.emit("call.transferred", map[string]any{"replaces": old.id})
}

// isParked reports whether we hold the phone, not it us.
func (c *Call) isParked() bool {
	c.x.mu.Lock()
	defer c.x.mu.Unlock()
	return c.parked
}

func (c *Call) park(on bool) {
	c.x.mu.Lock()
	defer c.x.mu.Unlock()
	c.parked = on
}
