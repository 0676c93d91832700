package bridge

import (
	"fmt"
	"strings"
	"time"

	"github.com/roomline/roomline/dialplan"
)

// ackTimeout is how long an answered inbound call waits for its ACK; SIP gives up after 32 s by itself.
const ackTimeout = 40 * time.Second

// mostTargets bounds a chain of else.
const mostTargets = 16

// longestReason bounds a record's reason, in bytes.
const longestReason = 500

// Incoming makes an admitted INVITE a Call and returns at once.
func (x *Exchange) Incoming(inv Invite, line Line) {
	x.init()
	t := x.claim(inv)
	c := x.newCall(CallRecord{
		State: StateRinging, Direction: Inbound, From: inv.From, To: inv.To, Trunk: t.trunk.Name,
		Route: t.decision.Route, SIPCallID: inv.SIPCallID, Attributes: attributesOf(inv, t.trunk),
	})
	c.rec.identify(inv.Identity, t.trunk)
	if d := t.decision; d.To != "" { // as the trunk's country writes numbers
		c.rec.To, c.rec.From = d.To, d.From
	}
	c.trunk, c.slot, c.emergency, c.hops = t.trunk, t.slot, t.emergency(), inv.Hops
	c.name, c.urgency = inv.FromName, t.decision.Priority
	c.attach(line)
	if t.replaces != nil {
		x.start(c, func() step { return c.replace(t.replaces) })
		return
	}
	first := c.incoming
	if t.trunk.STIR == "require" && !c.emergency {
		first = c.verify
	}
	x.start(c, func() step { return first(t.decision.Target) })
}

// verifyTime is how long a call may wait for its verification.
const verifyTime = 2 * time.Second

// verify: a trunk that requires it takes only callers whose number was verified
// (RFC 8224). Emergency calls do not wait.
func (c *Call) verify(t dialplan.Target) step {
	timeout := time.NewTimer(verifyTime)
	defer timeout.Stop()
	for {
		switch e, what := c.wait(nil, timeout.C); {
		case what == over:
			return nil
		case what == timeUp:
			return c.end(CauseForbidden, "trunk "+c.trunk.Name+" requires a verified caller, and this one could not be verified in time")
		case e.Kind != LineVerified:
		case strings.HasPrefix(e.Verstat, "TN-Validation-Passed"):
			return c.incoming(t)
		default:
			return c.end(CauseForbidden, "the caller is not verified, which trunk "+c.trunk.Name+" requires: "+e.Reason)
		}
	}
}

// incoming: an INVITE has come; the dial plan says where it goes.
func (c *Call) incoming(t dialplan.Target) step {
	if err := c.line.Ring(); err != nil {
		return c.end(CauseSignalling, "ringing: "+err.Error())
	}
	c.emit("call.ringing", nil)
	return c.target(t)
}

// target sends the call where a target says. It may be answered already: targets
// follow each other while a call goes on, too. Such a call hears a waiting sound
// until somebody takes it.
func (c *Call) target(t dialplan.Target) step {
	switch {
	case t.Reject != "":
		return c.fail(Cause(t.Reject), "the dial plan rejects it")
	case t.Number != "":
		return c.connect(t)
	case t.Agent != "":
		return c.attend(t)
	case t.Queue != "":
		return c.enqueue(t)
	case t.Room == "":
		return c.otherwise(t, CauseNoRoute, "the target is not available yet")
	}
	room, err := dialplan.Expand(t.Room, c.Record().vars())
	if err != nil {
		return c.otherwise(t, CauseNoRoute, err.Error())
	}
	if t.PIN != "" {
		return func() step { return c.askPIN(t, room) }
	}
	if c.seat == nil {
		c.note(func(r *CallRecord) { r.Room = room })
	}
	if t.Answer == "ready" {
		return func() step { return c.awaitListener(t, room) }
	}
	return func() step { return c.answer(room) }
}

// awaitListener rings until somebody in the room can hear the caller; one that
// is answered hears the hold sound.
func (c *Call) awaitListener(t dialplan.Target, room string) step {
	ready, cancel := c.x.whenHeard(room)
	defer cancel()
	timeout := time.NewTimer(c.x.ReadyTimeout)
	defer timeout.Stop()
	c.waits()
	for {
		switch e, what := c.wait(ready, timeout.C); what {
		case over:
			return nil
		case told:
			c.changed(e)
		case isReady:
			return func() step { return c.answer(room) }
		case timeUp:
			return c.otherwise(t, CauseNoAnswer, "nobody in room "+room+" was ready to listen")
		}
	}
}

// otherwise takes the else of a target that could not take the call, and keeps
// why for the record.
func (c *Call) otherwise(t dialplan.Target, cause Cause, reason string) step {
	if c.turned++; c.turned > mostTargets {
		return c.fail(cause, reason)
	}
	next := t.Else
	if next == nil {
		if next = c.lastResort(); next == nil {
			return c.fail(cause, reason)
		}
	}
	c.tale, c.failed = append(c.tale, reason), cause
	c.log.Info("the target cannot take the call, its else does", "cause", string(cause), "reason", reason)
	return c.target(*next)
}

// fail ends a call that nobody can take. A phone that is answered hears so first.
func (c *Call) fail(cause Cause, reason string) step {
	if !c.isAnswered() || c.sink == nil {
		return c.end(cause, reason)
	}
	return func() step {
		c.tone(cause)
		if c.pause(busyLength) {
			return nil
		}
		return c.end(cause, reason)
	}
}

// explained puts what happened before in front of why a call ends.
func (c *Call) explained(e ending) string {
	if len(c.tale) == 0 {
		return e.reason
	}
	return printable(strings.Join(append(c.tale, e.words()), "; "), longestReason)
}

// answer seats the caller and accepts the call. One that was answered before
// moves there, and hears the room again.
func (c *Call) answer(room string) step {
	if err := c.accept(room); err != nil {
		return c.end(CauseSignalling, err.Error())
	}
	return c.awaitAck(c.answered)
}

func (c *Call) accept(room string) error {
	if c.seat != nil && c.isAnswered() {
		return c.enter(room)
	}
	if err := c.sit(room); err != nil {
		return err
	}
	if err := c.line.Answer(); err != nil {
		return fmt.Errorf("answering: %w", err)
	}
	return nil
}

// awaitAck: the answer is out; then goes on when it has arrived.
func (c *Call) awaitAck(then step) step {
	if c.isAnswered() {
		return then
	}
	timeout := time.NewTimer(ackTimeout)
	defer timeout.Stop()
	for {
		switch e, what := c.wait(nil, timeout.C); {
		case what == over:
			return nil
		case what == timeUp:
			return c.end(CauseSignalling, "the answer was never acknowledged")
		case e.Kind == LineAnswered:
			return then
		}
	}
}
