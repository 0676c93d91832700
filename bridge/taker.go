package bridge

import (
	"errors"
	"slices"

	"github.com/roomline/roomline/dialplan"
)

// takerOf offers the call to whom the request names.
func (c *Call) takerOf(w *warm, rec *TransferRecord) (taker, error) {
	switch {
	case w.req.To != "":
		return c.phoneTaker(w, rec)
	case w.req.Agent != "":
		return c.agentTaker(w)
	case w.req.Queue != "":
		return c.queueTaker(w)
	}
	return c.pageTaker(w, rec)
}

// phoneAsked is a taker that is called.
type phoneAsked struct {
	leg  *Call
	asks *asking
}

func (c *Call) phoneTaker(w *warm, t *TransferRecord) (taker, error) {
	rec := c.Record()
	exits, err := c.x.exits(dialplan.Query{To: w.req.To, From: rec.From})
	if err != nil {
		return nil, err
	}
	h := &phoneAsked{asks: &asking{}}
	h.leg, err = c.x.place(order{
		exits: exits, room: c.consultRoom(), parent: c.id, ring: orElse(w.req.RingTime, offerTime), asking: h.asks,
		attributes: rec.Attributes, emergency: c.emergency, way: way{from: rec.From, hops: c.hops},
	})
	if err != nil {
		return nil, err
	}
	t.CallID = h.leg.id
	return h, nil
}

func (h *phoneAsked) news() <-chan struct{} { return h.leg.news }

func (h *phoneAsked) look() (standing, Cause, string) {
	rec := h.leg.Record()
	verdict := h.asks.verdict.Load()
	switch {
	case verdict == declines, rec.State == StateEnded && rec.AnsweredAt != nil:
		return isLost, CauseRejected, rec.To + " declined the call"
	case rec.State == StateEnded:
		return isLost, passedOn(rec.Cause), rec.To + ": " + ending{cause: rec.Cause, reason: rec.Reason}.words()
	case verdict == accepts:
		return isWilling, CauseNone, ""
	case rec.AnsweredAt != nil:
		return isThere, CauseNone, ""
	}
	return isAway, CauseNone, ""
}

// take makes the two phones a pair in the caller's room.
func (h *phoneAsked) take(c *Call) error {
	seat := c.x.phoneIn(c.consultRoom(), h.leg.id)
	if seat == nil {
		return errors.New(h.leg.Record().To + " hung up")
	}
	other := c.x.part(c)
	if !c.x.pair(c, h.leg) {
		return errors.New(h.leg.Record().To + " hung up")
	}
	c.x.moveSeat(seat, c.Record().Room)
	c.relieve(other)
	return nil
}

func (h *phoneAsked) drop(reason string) { h.leg.Hangup(CauseNone, reason) }

// phoneIn finds the phone of a call in a room, nil for none.
func (x *Exchange) phoneIn(room, call string) *Participant {
	x.mu.Lock()
	defer x.mu.Unlock()
	r := x.rooms[room]
	if r == nil {
		return nil
	}
	i := slices.IndexFunc(r.members, func(p *Participant) bool { return p.spec.Kind == KindPhone && p.spec.CallID == call })
	if i < 0 {
		return nil
	}
	return r.members[i]
}

// agentAsked is a taker that is an agent: it accepts by being ready. It is neither
// heard nor hears before.
type agentAsked struct {
	name string
	leg  AgentLeg
	at   standing
	why  AgentEvent
}

func (c *Call) agentTaker(w *warm) (taker, error) {
	if c.x.Agents == nil {
		return nil, refuse(Unavailable, "agent", "this gateway has no agents")
	}
	rec := c.Record()
	leg, err := c.x.Agents.Send(AgentSpec{
		Agent: w.req.Agent, Room: c.consultRoom(), CallID: c.id, From: rec.From, To: rec.To, Direction: rec.Direction,
		Handover: &w.handover, Withheld: true,
	})
	if err != nil {
		return nil, err
	}
	return &agentAsked{name: w.req.Agent, leg: leg}, nil
}

func (h *agentAsked) news() <-chan struct{} { return nil }

// agentNews are the events of an agent that the call is offered to; nil, on which
// nothing ever comes, when there is none.
func (w *warm) agentNews() <-chan AgentEvent {
	if w == nil {
		return nil
	}
	if v, ok := w.taker.(*agentAsked); ok {
		return v.leg.Events()
	}
	return nil
}

// heard takes an event of the agent that the call is offered to.
func (h *agentAsked) heard(e AgentEvent, ok bool) {
	switch {
	case !ok || e.Kind == AgentEnded:
		h.at, h.why = isLost, e
	case e.Kind == AgentReady:
		h.at = isWilling
	}
}

func (h *agentAsked) look() (standing, Cause, string) {
	if h.at != isLost {
		return h.at, CauseNone, ""
	}
	return isLost, causeOfFault(h.why.Fault), "agent " + h.name + ": " + h.why.Reason
}

// causeOfFault is what an agent's fault is to a transfer.
func causeOfFault(f Fault) Cause {
	switch f {
	case FaultNone, FaultRefused:
		return CauseRejected
	case FaultTimeout:
		return CauseNoAnswer
	}
	return CauseUnreachable
}

func (h *agentAsked) drop(reason string) { h.leg.End(reason) }

func (h *agentAsked) take(c *Call) error {
	seat := h.leg.Participant()
	if seat == nil {
		return errors.New("agent " + h.name + " has left")
	}
	if err := seat.Move(c.Record().Room); err != nil {
		return err
	}
	c.relieve(c.x.part(c))
	c.handedOver(c.warm)
	c.served(h.name, h.leg)
	return nil
}
