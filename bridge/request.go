package bridge

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/roomline/roomline/dialplan"
)

// DialRequest asks for an outbound call into a room.
type DialRequest struct {
	To, From    string            // number or SIP URI within a trunk's servers; From may be empty
	Trunk       string            // empty: the dial plan chooses
	Room        string            // where the called side lands; empty: a room of its own
	Agent       string            // that takes the call when it is answered, in place of Room
	Queue       string            // into which it goes when it is answered, in place of Room
	RingTimeout time.Duration     // 0: the Exchange's default
	Headers     map[string]string // X- headers of the INVITE
	Machine     *MachineSpec      // finds out who answers; nil: does not
	ParentID    string            // the call on whose behalf it is placed; empty: the room's oldest call
}

// Dial places a call and returns it as queued. What becomes of it arrives as
// events and ends as a CDR. An error means that nothing was dialled.
func (x *Exchange) Dial(_ context.Context, req DialRequest) (CallRecord, error) {
	c, err := x.dial(req)
	if err != nil {
		return CallRecord{}, err
	}
	return c.Record(), nil
}

func (x *Exchange) dial(req DialRequest) (*Call, error) {
	x.init()
	if x.draining.Load() || x.Dialer == nil {
		return nil, refuse(Unavailable, "", "the gateway is shutting down and places no new calls")
	}
	then, err := x.afterAnswer(req)
	if err != nil {
		return nil, err
	}
	if err := req.Machine.check(); err != nil {
		return nil, err
	}
	if req.Room != "" {
		if _, err := dialplan.RoomName(req.Room); err != nil {
			return nil, refuse(Invalid, "room", "%s", err)
		}
		if req.ParentID == "" {
			req.ParentID = x.oldestCallIn(req.Room)
		}
	}
	exits, err := x.exits(dialplan.Query{Trunk: req.Trunk, To: req.To, From: req.From})
	if err != nil {
		return nil, err
	}
	return x.place(order{
		exits: exits, room: req.Room, parent: req.ParentID, ring: req.RingTimeout, then: then, machine: req.Machine,
		way: way{from: req.From, headers: maps.Clone(req.Headers)},
	})
}

// afterAnswer is where a call that is placed goes on; nil: nowhere but its room.
func (x *Exchange) afterAnswer(req DialRequest) (*dialplan.Target, error) {
	t := TransferRequest{Room: req.Room, Agent: req.Agent, Queue: req.Queue}
	switch {
	case t.targets() > 1:
		return nil, refuse(Invalid, "room", "a call needs one of room, agent and queue")
	case req.Agent == "" && req.Queue == "":
		return nil, nil
	}
	return &dialplan.Target{Agent: req.Agent, Queue: req.Queue}, x.knows(req.Agent, req.Queue)
}

// knows reports whether the dial plan has what is named.
func (x *Exchange) knows(agent, queue string) error {
	plan := x.plan()
	if _, ok := plan.AgentNamed(agent); !ok && agent != "" {
		return refuse(Invalid, "agent", "the dial plan has no agent %q", agent)
	}
	if _, ok := plan.QueueNamed(queue); !ok && queue != "" {
		return refuse(Invalid, "queue", "the dial plan has no queue %q", queue)
	}
	return nil
}

// exits asks the dial plan by which trunks a call may leave, in order. It is the
// only road out: what it denies is never dialled.
func (x *Exchange) exits(q dialplan.Query) ([]dialplan.Exit, error) {
	q.FromRoom, q.At = true, time.Now()
	exits, err := x.plan().Exits(q)
	if err != nil {
		return nil, deniedError(err)
	}
	return exits, nil
}

func deniedError(err error) error {
	var denied *dialplan.Denied
	if !errors.As(err, &denied) {
		return refuse(Invalid, "to", "%s", err)
	}
	if denied.Cause == string(CauseUnknownNumber) {
		return refuse(Invalid, "to", "%s", denied.Reason)
	}
	return refuse(Forbidden, "to", "%s", denied.Reason)
}

// oldestCallIn returns the call of the phone that has been in the room for longest.
func (x *Exchange) oldestCallIn(room string) string {
	x.mu.Lock()
	defer x.mu.Unlock()
	r := x.rooms[room]
	if r == nil {
		return ""
	}
	for _, p := range r.members {
		if p.spec.Kind == KindPhone && p.spec.CallID != "" {
			return p.spec.CallID
		}
	}
	return ""
}

// Hangup ends the call; it is over when its call.ended event comes. CauseNone means CauseNormal.
func (c *Call) Hangup(cause Cause, reason string) {
	if cause == CauseNone {
		cause = CauseNormal
		if c.Record().AnsweredAt == nil {
			cause = CauseCanceled
		}
	}
	select {
	case c.stop <- ending{cause: cause, reason: reason}:
	default: // somebody else hangs up already
	}
}

// Done is closed when the call has left by its exit.
func (c *Call) Done() <-chan struct{} { return c.done }

// SendDigits plays keys, 0-9 * # A-D, to the phone in the way that its trunk
// asks for: as RFC 4733 events, by SIP INFO or as tones. It returns when they
// are queued.
func (c *Call) SendDigits(ctx context.Context, digits string) error {
	return c.do(ctx, func() error { return c.sendKeys(digits) })
}

// Hold puts the phone on hold, or takes it back. It waits for the phone's
// answer; the call goes on meanwhile.
func (c *Call) Hold(ctx context.Context, on bool) error {
	err := c.do(ctx, func() error {
		if c.Record().AnsweredAt == nil || c.seat == nil {
			return refuse(Conflict, "", "call %s is not answered yet", c.id)
		}
		if c.warm != nil {
			return refuse(Conflict, "", "call %s is being transferred, and on hold meanwhile", c.id)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := c.line.Hold(ctx, on); err != nil { // an answered call keeps its line
		return refuse(Conflict, "", "the phone did not agree: %s", err)
	}
	return c.do(ctx, func() error {
		if c.seat == nil {
			return refuse(Conflict, "", "call %s is ending", c.id)
		}
		c.seat.hold(on)
		c.park(on)
		c.holdSound(on)
		if on {
			c.to(StateHeld, "call.held")
		} else {
			c.to(StateActive, "call.resumed")
			c.refill()
		}
		return nil
	})
}

// Mute stops or restores the phone's voice in its room.
func (c *Call) Mute(on bool) error {
	return c.do(context.Background(), func() error {
		if c.seat == nil {
			return refuse(Conflict, "", "call %s is not in a room yet", c.id)
		}
		c.seat.Mute(on)
		c.note(func(r *CallRecord) { r.Muted = on })
		return nil
	})
}

// whenHeard returns a channel that is closed when somebody in the room could
// hear a new phone.
func (x *Exchange) whenHeard(room string) (ready <-chan struct{}, cancel func()) {
	ch := make(chan struct{})
	x.mu.Lock()
	defer x.mu.Unlock()
	if _, open := x.rooms[room]; open { // an open room has somebody in it
		close(ch)
		return ch, func() {}
	}
	x.waiting[room] = append(x.waiting[room], ch)
	return ch, func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.waiting[room] = slices.DeleteFunc(x.waiting[room], func(other chan struct{}) bool { return other == ch })
		if len(x.waiting[room]) == 0 {
			delete(x.waiting, room)
		}
	}
}
