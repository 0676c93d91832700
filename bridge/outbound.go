package bridge

import (
	"maps"
	"slices"
	"time"

	"github.com/roomline/roomline/dialplan"
)

// way is how an outbound call leaves.
type way struct {
	exits    []dialplan.Exit   // what is left to try, in order
	ring     time.Duration     // how long it rings
	headers  map[string]string // that were asked for
	from     string
	fromName string
	identity Identity
	replaces string
	hops     Hops
}

// dialing: an outbound call leaves by its next exit, on which it has a place already.
func (c *Call) dialing() step {
	exit := c.way.exits[0]
	c.way.exits = c.way.exits[1:]
	c.trunk, c.called = exit.Trunk, append(c.called, exit.Trunk.Name+" "+exit.To)
	c.note(func(r *CallRecord) { r.Trunk, r.Route, r.To = exit.Trunk.Name, exit.Route, exit.To })
	line, err := c.x.Dialer.Dial(c.spec(exit))
	if err != nil {
		c.ending = ending{cause: CauseUnreachable, reason: err.Error()}
		return c.failover()
	}
	c.attach(line)
	c.note(func(r *CallRecord) { r.State, r.SIPCallID = StateDialing, line.SIPCallID() })
	return c.progress
}

// spec is a call as the trunk of an exit is to see it.
func (c *Call) spec(exit dialplan.Exit) DialSpec {
	number, hidden := c.x.plan().CallerID(exit.Trunk, c.way.from, c.way.identity.Private)
	s := DialSpec{
		CallID: c.id, Trunk: exit.Trunk, To: exit.To, From: number, FromName: c.way.fromName,
		Identity: c.way.identity, Replaces: c.way.replaces, Headers: maps.Clone(c.way.headers), Hops: c.way.hops, RingTimeout: c.way.ring,
	}
	s.Identity.Private = hidden
	if s.Identity.Asserted != "" { // who may not be shown is not asserted either
		s.Identity.Asserted, _ = c.x.plan().CallerID(exit.Trunk, s.Identity.Asserted, hidden)
	}
	if id := exit.Trunk.CallerID; id != nil && number == id.Default && number != c.way.from {
		s.FromName = ""
	}
	c.note(func(r *CallRecord) { r.From, r.Private = number, hidden })
	for name, value := range exit.Trunk.Headers.Fields(c.Record().vars()) {
		if s.Headers == nil {
			s.Headers = map[string]string{}
		}
		s.Headers[name] = value
	}
	return s
}

// failover tries the next exit after one that failed for a reason of its trunk's.
func (c *Call) failover() step {
	select {
	case c.ending = <-c.stop: // given up meanwhile
		return nil
	default:
	}
	failed := c.ending
	c.slot.leave(time.Now())
	if failed.cause == CauseRedirected {
		c.way.exits = c.redirected(failed)
	}
	for len(c.way.exits) > 0 && (failsOver(failed.cause) || failed.cause == CauseRedirected) {
		next := c.way.exits[0]
		p, full := c.x.loads.take(next.Trunk, true, next.Emergency || c.emergency, time.Now())
		if full == "" {
			c.tale = append(c.tale, "trunk "+c.trunk.Name+": "+failed.words())
			c.log.Info("a trunk failed, the next one is tried", "trunk", c.trunk.Name, "next", next.Trunk.Name,
				"cause", string(failed.cause), "code", failed.code, "reason", failed.reason)
			c.stand()
			c.slot, c.ending = p, ending{}
			return c.dialing
		}
		c.tale = append(c.tale, full)
		c.way.exits = c.way.exits[1:]
	}
	return nil
}

// failsOver reports whether another trunk may do better after such a failure:
// what the called side has decided itself stands.
func failsOver(cause Cause) bool {
	switch cause {
	case CauseUnreachable, CauseLimit, CauseSignalling, CauseAuthentication, CauseForbidden,
		CauseIncompatible, CauseNoRoute, CauseInternal:
		return true
	}
	return false
}

func (e ending) words() string {
	if e.reason == "" {
		return string(e.cause)
	}
	return e.reason
}

// progress: the called side has not answered yet.
func (c *Call) progress() step {
	for {
		e, what := c.wait(nil, nil)
		if what == over {
			if c.ending.byPeer && !c.givenUp {
				return c.failover()
			}
			return nil
		}
		switch e.Kind {
		case LineRinging:
			if c.seat == nil { // else it is heard ringing, or more, already
				c.to(StateRinging, "call.ringing")
			}
			c.prepare()
		case LineEarly:
			if err := c.sit(c.Record().Room); err != nil {
				return c.end(CauseInternal, err.Error())
			}
			c.note(func(r *CallRecord) { r.State = StateEarly })
			c.tell()
			c.prepare()
		case LineAnswered:
			if c.ringing != nil {
				return c.pickedUp()
			}
			if c.abandoned() {
				c.begin()
				return c.end(CauseNormal, "everybody whom it was placed for has left")
			}
			if err := c.sit(c.Record().Room); err != nil {
				return c.end(CauseInternal, err.Error())
			}
			return c.lands
		}
	}
}

// prepare sends the agent that is to talk to the called side ahead, withheld, so
// that it is there when they answer.
func (c *Call) prepare() {
	if c.then == nil || c.then.Agent == "" || c.screening != nil || c.agent != nil || c.x.Agents == nil {
		return
	}
	agent, ok := c.x.plan().AgentNamed(c.then.Agent)
	if !ok {
		return
	}
	if err := c.engage(*c.then, agent); err != nil { // there may be one when it is answered
		c.log.Info("no agent is there yet for a call that rings", "agent", agent.Name, "reason", err.Error())
		c.agent = nil
	}
}

// lands: the called side has answered, and goes on to whom the call was placed for.
func (c *Call) lands() step {
	next := c.answered()
	if c.screening != nil {
		c.screening.begin(c.source)
		if c.then != nil {
			return c.screened
		}
	}
	if t := c.then; t != nil && c.agent == nil {
		return c.target(*t)
	}
	return next
}

// firstFree takes a place on the first exit that has one, and drops those before it.
func (x *Exchange) firstFree(exits []dialplan.Exit, exempt bool) ([]dialplan.Exit, *slot, error) {
	var words string
	for i, e := range exits {
		p, full := x.loads.take(e.Trunk, true, e.Emergency || exempt, time.Now())
		if full == "" {
			return slices.Clone(exits[i:]), p, nil
		}
		words = full
	}
	return nil, nil, refuse(LimitReached, "trunk", "%s; try again later", words)
}
