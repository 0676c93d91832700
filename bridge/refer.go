package bridge

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/roomline/roomline/dialplan"
)

// referred: the peer asks to transfer the call (RFC 3515). Its trunk must allow
// that, and what it names is held to the dial plan like any other call. Nothing
// changes before the new side has answered.
func (c *Call) referred(ref *Referral) {
	if cause, err := c.refer(ref); err != nil {
		c.refused(ref, cause, err)
	}
}

// notNow refuses a transfer of a call that talks to nobody.
func (c *Call) notNow(ref *Referral) {
	words := "the call is not answered yet"
	if c.isAnswered() {
		words = "the call is not connected with anybody now"
	}
	c.refused(ref, CauseRejected, errors.New(words))
}

func (c *Call) refused(ref *Referral, cause Cause, err error) {
	c.log.Info("a transfer by the peer is refused", "cause", string(cause), "reason", err.Error())
	ref.Refuse(cause, err.Error())
}

func (c *Call) refer(ref *Referral) (Cause, error) {
	switch rec := c.Record(); {
	case c.trunk.Refer != "allow":
		return CauseForbidden, fmt.Errorf("%s allows no transfer by REFER: set its refer to allow", c.trunkWords())
	case rec.AnsweredAt == nil || rec.State == StateEnded:
		return CauseRejected, errors.New("the call is not answered yet")
	case c.errand != nil || c.warm != nil:
		return CauseRejected, errors.New("the call is being transferred already")
	case c.emergency:
		return CauseForbidden, errors.New("an emergency call is not transferred by its caller")
	}
	phones, others := c.beside()
	switch {
	case len(phones)+len(others) == 0:
		return CauseRejected, errors.New("nobody is in the room who could be transferred")
	case ref.Replaces != nil:
		return c.join(ref)
	}
	return c.referTo(ref, phones)
}

func (c *Call) trunkWords() string {
	if c.trunk.Name == "" {
		return "a source without a trunk"
	}
	return "trunk " + c.trunk.Name
}

// referTo takes those in the room to a number, or to a room of ours.
func (c *Call) referTo(ref *Referral, phones []*Participant) (Cause, error) {
	rec := c.Record()
	exits, denied := c.x.exits(dialplan.Query{To: ref.To, From: rec.From})
	if denied == nil {
		return c.referOut(ref, exits)
	}
	if causeOfError(denied) != CauseUnknownNumber || strings.ContainsAny(ref.To, ":@") || ref.RawReplaces != "" {
		return causeOfError(denied), denied
	}
	// No number: what would an INVITE from the same peer reach?
	d := c.x.plan().Decide(dialplan.Query{Trunk: c.trunk.Name, To: ref.To, From: rec.From, At: time.Now()})
	if d.Refused {
		return Cause(d.Cause), errors.New(d.Reason)
	}
	if d.Target.Room == "" || d.Target.PIN != "" {
		return CauseForbidden, errors.New("only rooms without PIN, and numbers, take a transfer")
	}
	vars := rec.vars()
	vars["call.to"] = ref.To
	room, err := dialplan.Expand(d.Target.Room, vars)
	switch {
	case err != nil:
		return CauseNoRoute, err
	case room == rec.Room:
		return CauseRejected, fmt.Errorf("the call is in room %s already", room)
	case len(phones) == 0:
		return CauseRejected, errors.New("no phone is in the room that could be moved")
	}
	ref.Accept()
	c.x.part(c)
	for _, p := range phones {
		c.x.moveSeat(p, room)
	}
	ref.Progress(200, "OK")
	c.departs = "transferred by the peer to room " + room
	return CauseNone, nil
}

// referOut dials; see [Call.follow] for what becomes of it.
func (c *Call) referOut(ref *Referral, exits []dialplan.Exit) (Cause, error) {
	rec := c.Record()
	leg, err := c.x.place(order{
		exits: exits, room: rec.Room, parent: c.id, attributes: rec.Attributes,
		way: way{from: rec.From, replaces: ref.RawReplaces, hops: c.hops},
	})
	if err != nil {
		return causeOfError(err), err
	}
	c.errand = &errand{leg: leg, ref: ref}
	ref.Accept()
	return CauseNone, nil
}

// goodbyeTime is how long a phone that has transferred its call may take to hang
// up, as it does when it has heard that this went well.
const goodbyeTime = 2 * time.Second

// depart: the phone is done with its call and out of the room.
func (c *Call) depart() step {
	c.dismiss("the caller has gone")
	c.stand()
	timeout := time.NewTimer(goodbyeTime)
	defer timeout.Stop()
	for {
		switch _, what := c.wait(nil, timeout.C); what {
		case over:
			return nil
		case timeUp:
			return c.end(CauseNormal, c.departs)
		}
	}
}

// letAnswer gives a call that is to be joined a moment: its ACK may be under way
// yet when the phone asks on its other line. It reports whether this call ended meanwhile.
func (c *Call) letAnswer(ref *Referral) (ended bool) {
	second, ok := c.x.of(ref.Replaces)
	if !ok || c.trunk.Refer != "allow" {
		return false
	}
	timeout := time.NewTimer(time.Second)
	defer timeout.Stop()
	for rec := second.Record(); rec.Direction == Inbound && rec.AnsweredAt == nil && rec.State != StateEnded; rec = second.Record() {
		switch e, what := c.wait(second.news, timeout.C); {
		case what == over:
			return true
		case what == timeUp:
			return false
		case what == told && e.Kind == LineReferred:
			c.refused(e.Referral, CauseRejected, errors.New("the call is being transferred already"))
		case what == told:
			c.changed(e)
		}
	}
	return false
}

// join is an attended transfer between two calls of the same peer (RFC 3891):
// those beside the one and those beside the other come together, both calls end.
func (c *Call) join(ref *Referral) (Cause, error) {
	second, ok := c.x.of(ref.Replaces)
	switch {
	case !ok || second == c:
		return CauseRejected, errors.New("the call to be joined has ended")
	case second.Record().Trunk != c.trunk.Name:
		return CauseForbidden, errors.New("the call to be joined is on another trunk")
	case second.Record().AnsweredAt == nil:
		return CauseRejected, errors.New("the call to be joined is not answered yet")
	}
	if cause, err := c.x.merge(c, second); err != nil {
		return cause, err
	}
	ref.Accept()
	ref.Progress(200, "OK")
	second.Hangup(CauseNormal, "transferred by the peer")
	c.departs = "transferred by the peer"
	return CauseNone, nil
}

// merge brings those beside two calls into one room. A side with browsers keeps
// its room; phones of the other move.
func (x *Exchange) merge(a, b *Call) (Cause, error) {
	aPhones, aOthers := a.beside()
	bPhones, bOthers := b.beside()
	switch {
	case len(bPhones)+len(bOthers) == 0:
		return CauseRejected, errors.New("nobody is with the call to be joined")
	case a.Record().Room == b.Record().Room:
	case len(aOthers) > 0 && len(bOthers) > 0:
		return CauseRejected, errors.New("browsers are in both rooms, which cannot be joined")
	case len(aOthers) > 0:
		for _, p := range bPhones {
			x.moveSeat(p, a.Record().Room)
		}
	default:
		for _, p := range aPhones {
			x.moveSeat(p, b.Record().Room)
		}
	}
	if left, right := x.part(a), x.part(b); left != nil && right != nil && left != b && !x.pair(left, right) {
		left.Hangup(CauseNormal, "the other side hung up")
		right.Hangup(CauseNormal, "the other side hung up")
	}
	return CauseNone, nil
}

// moveSeat takes somebody else's phone to another room.
func (x *Exchange) moveSeat(p *Participant, room string) {
	if p.Move(room) != nil {
		return
	}
	if c, ok := x.Call(p.spec.CallID); ok {
		c.note(func(r *CallRecord) { r.Room = room })
		c.emit("call.transferred", nil)
	}
}
