package bridge

import (
	"context"
	"errors"
	"fmt"
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
	RingTimeout time.Duration     // 0: the Exchange's default
	Headers     map[string]string // X- headers of the INVITE
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
	exit, err := x.mayDial(req)
	if err != nil {
		return nil, err
	}
	c := x.newCall(CallRecord{
		State: StateQueued, Direction: Outbound, From: req.From, To: exit.To, Trunk: exit.Trunk.Name,
		Route: exit.Route, Room: req.Room, ParentID: req.ParentID,
	})
	if req.Room == "" {
		c.rec.Room = "call-" + c.id
	} else if c.rec.ParentID == "" {
		c.rec.ParentID = x.oldestCallIn(req.Room)
	}
	c.trunk, c.headers, c.ring = exit.Trunk, maps.Clone(req.Headers), req.RingTimeout
	if c.ring <= 0 {
		c.ring = x.RingTimeout
	}
	x.start(c, c.dialing)
	return c, nil
}

func (x *Exchange) mayDial(req DialRequest) (dialplan.Exit, error) {
	if x.draining.Load() || x.Dialer == nil {
		return dialplan.Exit{}, refuse(Unavailable, "", "the gateway is shutting down and places no new calls")
	}
	if req.Room != "" {
		if _, err := dialplan.RoomName(req.Room); err != nil {
			return dialplan.Exit{}, refuse(Invalid, "room", "%s", err)
		}
	}
	exit, err := x.plan().Exit(dialplan.Query{FromRoom: true, Trunk: req.Trunk, To: req.To, From: req.From, At: time.Now()})
	if err != nil {
		return exit, deniedError(err)
	}
	if l := exit.Trunk.Limits; l != nil && !exit.Emergency {
		if l.Calls > 0 && x.callsOn(exit.Trunk.Name) >= l.Calls || !x.withinRate(exit.Trunk) {
			return exit, refuse(LimitReached, "trunk", "trunk %s has reached its limit of calls; try again later", exit.Trunk.Name)
		}
	}
	return exit, nil
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

func (x *Exchange) oldestCallIn(room string) string {
	for _, rec := range x.Calls() {
		if rec.Room == room && rec.State != StateQueued {
			return rec.ID
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

// SendDigits plays keys, 0-9 * # A-D, to the phone as RFC 4733 events. It
// returns when they are queued.
func (c *Call) SendDigits(ctx context.Context, digits string) error {
	return c.do(ctx, func() error {
		if c.sink == nil {
			return refuse(Conflict, "", "call %s is not answered yet; digits need a call that is up", c.id)
		}
		if !c.line.Media().Params().EventsAgreed {
			return refuse(Conflict, "", "the phone of call %s did not agree to telephone-event, so no digits can be sent", c.id)
		}
		return c.sink.SendDigits(digits)
	})
}

// Hold puts the phone on hold, or takes it back. It waits for the phone's
// answer; the call goes on meanwhile.
func (c *Call) Hold(ctx context.Context, on bool) error {
	err := c.do(ctx, func() error {
		if c.Record().AnsweredAt == nil {
			return refuse(Conflict, "", "call %s is not answered yet", c.id)
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
		c.seat.hold(on)
		if on {
			c.to(StateHeld, "call.held")
		} else {
			c.to(StateActive, "call.resumed")
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

// TransferRequest says where a call goes on: to a room, or to a number in a new
// room with it.
type TransferRequest struct {
	Room string
	To   string
}

// Transfer moves the call. With To, the number is dialled into a new room into
// which the phone goes at once; if nobody answers there, the phone comes back.
func (c *Call) Transfer(ctx context.Context, req TransferRequest) error {
	return c.do(ctx, func() error {
		switch {
		case c.seat == nil || c.Record().AnsweredAt == nil:
			return refuse(Conflict, "", "call %s is not answered yet", c.id)
		case (req.Room == "") == (req.To == ""):
			return refuse(Invalid, "room", "a transfer needs either room or to")
		case req.To != "":
			return c.transferTo(req.To)
		}
		if _, err := dialplan.RoomName(req.Room); err != nil {
			return refuse(Invalid, "room", "%s", err)
		}
		return c.move(req.Room)
	})
}

func (c *Call) move(room string) error {
	if err := c.seat.Move(room); err != nil {
		return err
	}
	c.note(func(r *CallRecord) { r.Room = room })
	c.emit("call.transferred", nil)
	return nil
}

func (c *Call) transferTo(to string) error {
	old, room := c.Record().Room, fmt.Sprintf("transfer-%s", c.id)
	if err := c.move(room); err != nil {
		return err
	}
	other, err := c.x.dial(DialRequest{To: to, From: c.Record().From, Room: room, ParentID: c.id})
	if err != nil {
		return errors.Join(err, c.move(old))
	}
	c.x.running.Go(func() { c.followUp(other, old) })
	return nil
}

// followUp ends a transferred call with the one it was transferred to, or brings
// it back when that one was never answered.
func (c *Call) followUp(other *Call, old string) {
	select {
	case <-other.done:
	case <-c.done:
		other.Hangup(CauseNone, "the transferred caller hung up")
		return
	}
	if other.Record().AnsweredAt != nil {
		c.Hangup(CauseNormal, "the transferred call has ended")
		return
	}
	c.do(context.Background(), func() error { return c.move(old) })
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
