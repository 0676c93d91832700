package bridge

import (
	"context"
	"time"

	"github.com/roomline/roomline/dialplan"
)

// TransferRequest says where a call goes on: to a room, or to a number.
type TransferRequest struct {
	Room  string
	To    string
	Agent string // its name in the dial plan
	Queue string // its name in the dial plan
	// Warm keeps the caller on hold sound until whom they go to has accepted, and
	// brings them back to where they were otherwise. Else they go at once.
	Warm bool
	// Participant is whom in a browser a warm transfer offers the call to: an
	// identity, or a participant's id. With Room it is offered to all who are there.
	Participant string
	By          string        // who hands over, beside the agent: an identity or a participant's id in the caller's room
	CoPilot     bool          // the agent stays, heard by humans alone, after a warm transfer
	RingTime    time.Duration // how long a warm transfer rings, 30 s where 0
	BriefTime   time.Duration // how long whom it is offered to may be briefed, 60 s where 0
	Handover    *Handover     // what the other side gets to know; nil: the transcript
	// Refer hands the call back to its peer, which is asked to call To in our
	// stead (RFC 3515); the call ends when the peer says that this went well. To
	// must be allowed by the dial plan, for who pays is the peer's affair.
	Refer bool
}

// Transfer moves the call. With To, the number is dialled into a new room into
// which the phone goes at once; if nobody answers there, the phone comes back.
// With Refer it waits until the peer says how it went.
func (c *Call) Transfer(ctx context.Context, req TransferRequest) error {
	if req.Refer {
		return c.handBack(ctx, req)
	}
	return c.do(ctx, func() error {
		switch {
		case c.seat == nil || c.Record().AnsweredAt == nil:
			return refuse(Conflict, "", "call %s is not answered yet", c.id)
		case !req.Warm && req.targets() != 1:
			return refuse(Invalid, "room", "a transfer needs one of room, to, agent and queue")
		case c.pin != nil:
			return refuse(Conflict, "", "call %s is asked for its PIN", c.id)
		case c.warm != nil, c.errand != nil && c.errand.target == nil:
			return refuse(Conflict, "", "call %s is being transferred already", c.id)
		case req.Warm && (!c.talking || c.errand != nil):
			return refuse(Conflict, "", "call %s waits for somebody; it can be transferred without mode warm", c.id)
		case req.Warm:
			return c.warmTransfer(req)
		case req.To != "":
			return c.transferTo(req.To)
		case req.Room == "":
			return c.transferOn(req)
		}
		return c.transferInto(req.Room)
	})
}

// targets counts what a request names.
func (r TransferRequest) targets() (n int) {
	for _, s := range []string{r.Room, r.To, r.Agent, r.Queue} {
		if s != "" {
			n++
		}
	}
	return n
}

// transferOn takes the phone to an agent or into a queue; whom it was with stay behind.
func (c *Call) transferOn(req TransferRequest) error {
	if err := c.x.knows(req.Agent, req.Queue); err != nil {
		return err
	}
	before := c.handoverOf(req)
	c.handover = &before
	c.dismiss("the call is transferred")
	c.x.part(c).leftAlone()
	c.goTo(dialplan.Target{Agent: req.Agent, Queue: req.Queue})
	return nil
}

// transferInto takes the phone to another room.
func (c *Call) transferInto(room string) error {
	if _, err := dialplan.RoomName(room); err != nil {
		return refuse(Invalid, "room", "%s", err)
	}
	other := c.x.part(c)
	c.abandon()
	c.dismiss("the call is transferred to room " + room)
	if err := c.enter(room); err != nil {
		return err
	}
	other.leftAlone()
	c.goOn()
	return nil
}

// abandon gives up the number that is dialled for a phone that waits.
func (c *Call) abandon() {
	if c.errand != nil && c.errand.target != nil {
		c.errand.leg.Hangup(CauseNone, "the call for which it was placed has gone elsewhere")
		c.errand = nil
	}
}

// goTo takes an answered call to another target, out of whatever state it is in,
// once the request that runs now is through.
func (c *Call) goTo(t dialplan.Target) {
	c.onward = func() step {
		c.abandon()
		return c.target(t)
	}
}

// goOn makes the call active, if it waits in another state.
func (c *Call) goOn() {
	if !c.talking {
		c.onward = c.active
	}
}

// handBack asks the peer to call somebody else.
func (c *Call) handBack(ctx context.Context, req TransferRequest) error {
	if req.Room != "" || req.To == "" {
		return refuse(Invalid, "to", "the peer is told a number or SIP URI: a transfer with mode refer needs to, and no room")
	}
	err := c.do(ctx, func() error {
		if c.Record().AnsweredAt == nil {
			return refuse(Conflict, "", "call %s is not answered yet", c.id)
		}
		return nil
	})
	if err != nil {
		return err
	}
	exits, err := c.x.exits(dialplan.Query{To: req.To, From: c.Record().From})
	if err != nil {
		return err
	}
	if err := c.line.Refer(ctx, exits[0].To, nil); err != nil { // an answered call keeps its line
		return refuse(Conflict, "to", "the peer did not take the call over: %s", err)
	}
	c.emit("call.transferred", map[string]any{"to": exits[0].To})
	c.Hangup(CauseNormal, "handed back to the peer")
	return nil
}

// move takes the phone to another room.
func (c *Call) move(room string) error {
	if err := c.seat.Move(room); err != nil {
		return err
	}
	c.note(func(r *CallRecord) { r.Room = room })
	c.emit("call.transferred", nil)
	return nil
}

// enter is move for a phone that waited: it hears the room from now on.
func (c *Call) enter(room string) error {
	if !c.isParked() {
		c.quiet()
	}
	if c.Record().Room == room {
		return nil
	}
	return c.move(room)
}

// transferTo dials a number into a room of the transfer's own.
func (c *Call) transferTo(to string) error {
	rec := c.Record()
	exits, err := c.x.exits(dialplan.Query{To: to, From: rec.From})
	if err != nil {
		return err
	}
	room := "transfer-" + c.id
	leg, err := c.x.place(order{
		exits: exits, room: room, parent: c.id, attributes: rec.Attributes, way: way{from: rec.From, hops: c.hops},
	})
	if err != nil {
		return err
	}
	c.abandon()
	c.errand = &errand{leg: leg, back: rec.Room}
	c.goOn()
	return c.enter(room)
}

// news is nil, on which nothing ever comes, when there is no errand.
func (e *errand) news() <-chan struct{} {
	if e == nil {
		return nil
	}
	return e.leg.news
}

// follow looks how an errand of an answered call goes, and reports whether the
// call takes another step by it.
func (c *Call) follow() (next step, leaves bool) {
	e := c.errand
	if e == nil {
		return nil, false
	}
	switch rec := e.leg.Record(); {
	case rec.AnsweredAt != nil:
		c.errand = nil
		c.ringback(e, false)
		return c.depart, c.transferred(e)
	case rec.State == StateEnded:
		c.errand = nil
		c.ringback(e, false)
		if e.target != nil {
			return c.otherwise(*e.target, passedOn(rec.Cause), rec.To+": "+ending{cause: rec.Cause, reason: rec.Reason}.words()), true
		}
		c.notTransferred(e, rec)
	case rec.State == StateRinging || rec.State == StateEarly:
		c.ringback(e, rec.State == StateRinging)
		if e.target != nil && rec.State == StateEarly {
			c.meet(e)
		}
		if e.ref != nil && !e.rang {
			e.rang = true
			e.ref.Progress(180, "Ringing")
		}
	}
	return nil, false
}

// meet lets a phone that waited hear the number that was dialled for it.
func (c *Call) meet(e *errand) {
	if err := c.enter(e.leg.Record().Room); err != nil {
		c.log.Warn("the phone cannot hear whom it is connected with", "error", err)
	}
}

// transferred: the number answered. A peer that asked for it leaves; whom it was
// connected with goes on with the new call. A phone that was moved stays with it.
func (c *Call) transferred(e *errand) bool {
	other := c.x.part(c)
	c.dismiss("the call is transferred to " + e.leg.Record().To)
	if e.target != nil {
		c.meet(e)
	}
	if e.ref == nil {
		other.leftAlone()
		if !c.x.pair(c, e.leg) {
			c.Hangup(CauseNormal, "the transferred call has ended")
		}
		return false
	}
	e.ref.Progress(200, "OK")
	if other != nil && !c.x.pair(other, e.leg) {
		other.Hangup(CauseNormal, "the transferred call has ended")
	}
	c.emit("call.transferred", map[string]any{"to": e.leg.Record().To, "by": "refer", "new_call_id": e.leg.id})
	c.departs = "transferred by the peer"
	return true
}

// notTransferred: the number did not answer; everything is as it was before.
func (c *Call) notTransferred(e *errand, rec CallRecord) {
	words := ending{cause: rec.Cause, reason: rec.Reason}.words()
	c.log.Info("a transfer failed", "to", rec.To, "cause", string(rec.Cause), "reason", words)
	if e.ref != nil {
		e.ref.Progress(failureCode(rec), words)
	}
	if e.back != "" {
		if err := c.move(e.back); err != nil {
			c.log.Warn("the phone cannot come back", "room", e.back, "error", err)
		}
		c.busyTone(rec.Cause)
	}
}

// failureCode is the SIP response that tells a peer how a transfer failed.
func failureCode(rec CallRecord) int {
	if rec.SIPCode >= 300 && rec.SIPCode < 700 {
		return rec.SIPCode
	}
	switch rec.Cause {
	case CauseBusy:
		return 486
	case CauseNoAnswer:
		return 480
	case CauseUnknownNumber:
		return 404
	case CauseRejected:
		return 603
	}
	return 503
}

// leftAlone ends a call whose other side was taken away, unless somebody is
// with it in its room. It is harmless on nil.
func (c *Call) leftAlone() {
	if c == nil {
		return
	}
	if phones, others := c.beside(); len(phones)+len(others) == 0 {
		c.Hangup(CauseNormal, "the other side was transferred")
	}
}
