package bridge

import (
	"errors"
	"time"

	"github.com/roomline/roomline/dialplan"
)

// order is a call that is to be placed; policy has been applied to its exits.
type order struct {
	exits      []dialplan.Exit
	room       string            // where the called side lands; empty: a room of its own
	parent     string            // the call on whose behalf it is placed
	ring       time.Duration     // 0: the Exchange's default
	attributes map[string]string // of the call on whose behalf it is placed
	ringing    *ringing          // of a queue, for which it rings; nil: none
	asking     *asking           // what it is asked once it has answered; nil: nothing
	emergency  bool              // on behalf of an emergency call: no limit holds it back
	then       *dialplan.Target  // where it goes on when it is answered; nil: it stays in its room
	machine    *MachineSpec      // asks who answers; nil: does not
	way        way
}

// errand is a call that is placed on behalf of another one, which supervises it
// until it is answered or has failed.
type errand struct {
	leg   *Call
	ref   *Referral // whose progress is told to the peer that asked; nil: none
	rang  bool
	rings bool   // the phone hears it ring
	back  string // where the phone returns to when nobody answers; empty: it stays
	// target is what names the number that is dialled for a phone that is answered
	// and waits; its else is taken when nobody answers. nil: none does.
	target *dialplan.Target
}

// waits reports whether the phone has nobody to talk to meanwhile.
func (e *errand) waits() bool { return e.back != "" || e.target != nil }

// place starts an outbound call. An error means that nothing was dialled.
func (x *Exchange) place(o order) (*Call, error) {
	if x.Dialer == nil || x.draining.Load() && o.ringing == nil { // who waits in a queue may still be taken
		return nil, refuse(Unavailable, "", "the gateway is shutting down and places no new calls")
	}
	exits, slot, err := x.firstFree(o.exits, o.emergency)
	if err != nil {
		return nil, err
	}
	first := exits[0]
	c := x.newCall(CallRecord{
		State: StateQueued, Direction: Outbound, From: o.way.from, To: first.To, Trunk: first.Trunk.Name,
		Route: first.Route, Room: o.room, ParentID: o.parent, Private: o.way.identity.Private,
		Diversion: o.way.identity.Diversion, Attributes: o.attributes,
	})
	if c.rec.Room == "" {
		c.rec.Room = "call-" + c.id
	}
	c.then, c.screening = o.then, newScreening(o.machine)
	c.way, c.slot, c.emergency = o.way, slot, first.Emergency || o.emergency
	c.way.exits, c.way.ring = exits, o.ring
	c.asking, c.ringing = o.asking, o.ringing
	if c.way.ring <= 0 {
		c.way.ring = x.RingTimeout
	}
	x.start(c, c.dialing)
	return c, nil
}

// connect dials a target's number for a caller who waits: ringing, or answered
// already and then in the active state.
func (c *Call) connect(t dialplan.Target) step {
	exits, err := c.exitsTo(t)
	if err != nil {
		return c.otherwise(t, causeOfError(err), "number: "+err.Error())
	}
	ring, _ := time.ParseDuration(t.RingTimeout) // the plan was checked; 0 is the default
	room := "call-" + c.id
	leg, err := c.x.place(order{
		exits: exits, room: room, parent: c.id, ring: ring, way: c.wayFor(),
		attributes: c.Record().Attributes, emergency: c.emergency,
	})
	if err != nil {
		return c.otherwise(t, causeOfError(err), err.Error())
	}
	c.errand = &errand{leg: leg}
	if c.isAnswered() {
		c.errand.target = &t
		c.waits()
		return c.active
	}
	c.note(func(r *CallRecord) { r.Room = room })
	return func() step { return c.connecting(t, room) }
}

// exitsTo asks the plan how a target's number may leave.
func (c *Call) exitsTo(t dialplan.Target) ([]dialplan.Exit, error) {
	rec := c.Record()
	q := dialplan.Query{Trunk: rec.Trunk, To: rec.To, From: rec.From, Headers: rec.Attributes, At: time.Now()}
	exits, err := c.x.plan().ExitsOf(t, q, rec.vars())
	if err != nil {
		return nil, deniedError(err)
	}
	return exits, nil
}

// wayFor passes on who calls, and whom they called first.
func (c *Call) wayFor() way {
	rec := c.Record()
	diversion := append([]string{rec.To + ";reason=" + c.diverted()}, rec.Diversion...)
	return way{from: rec.From, fromName: c.name, hops: c.hops, identity: Identity{
		Asserted: rec.Asserted, Private: rec.Private, Diversion: diversion[:min(len(diversion), mostDiversions)],
	}}
}

// diverted is why the call goes on to another number, in the words of RFC 5806.
func (c *Call) diverted() string {
	switch c.failed {
	case CauseNone:
		return "unconditional"
	case CauseBusy:
		return "user-busy"
	case CauseNoAnswer:
		return "no-answer"
	}
	return "unavailable"
}

// connecting: the number rings. The caller is answered when it is, not before.
func (c *Call) connecting(t dialplan.Target, room string) step {
	early := false
	for {
		e, what := c.wait(nil, nil)
		switch {
		case what == over:
			return nil
		case what == told && e.Kind == LineEarly:
			c.recode()
			continue
		case what != isReady:
			continue
		}
		leg := c.errand.leg
		switch rec := leg.Record(); {
		case rec.AnsweredAt != nil:
			c.errand = nil
			if !c.x.pair(c, leg) {
				return c.end(CauseNormal, "the called side hung up at once")
			}
			return c.answer(room)
		case rec.State == StateEnded:
			c.errand = nil
			return c.otherwise(t, passedOn(rec.Cause), rec.To+": "+ending{cause: rec.Cause, reason: rec.Reason}.words())
		case rec.State == StateEarly && !early:
			early = true
			if err := c.hear(room); err != nil { // such as an INVITE without an offer: it hears the answer
				c.log.Info("the caller cannot hear early media", "reason", err.Error())
			}
		}
	}
}

// hear lets the caller hear what the called side sends before it answers.
func (c *Call) hear(room string) error {
	if err := c.sit(room); err != nil {
		return err
	}
	return c.line.Early()
}

// passedOn is what a failure of the called side is to the caller.
func passedOn(cause Cause) Cause {
	if cause == CauseCanceled || cause == CauseNormal { // we gave up on it
		return CauseNoAnswer
	}
	return cause
}

func causeOfError(err error) Cause {
	var e *Error
	if !errors.As(err, &e) {
		return CauseNoRoute
	}
	switch e.Code {
	case LimitReached:
		return CauseLimit
	case Unavailable:
		return CauseShutdown
	case Invalid:
		return CauseUnknownNumber
	}
	return CauseForbidden
}

// beside returns who else is in the room of this call: phones, and all others but
// agents, who serve. Both are empty when the call has no seat.
func (c *Call) beside() (phones, others []*Participant) {
	c.x.mu.Lock()
	defer c.x.mu.Unlock()
	r, seated := c.x.rooms[c.Record().Room], false
	if r == nil {
		return nil, nil
	}
	for _, p := range r.members {
		switch {
		case p.spec.CallID == c.id: // also browsers of the same person
			seated = seated || p.spec.Kind == KindPhone
		case p.spec.Kind == KindAgent:
		case p.spec.Kind == KindPhone:
			phones = append(phones, p)
		default:
			others = append(others, p)
		}
	}
	if !seated {
		return nil, nil
	}
	return phones, others
}
