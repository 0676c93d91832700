package bridge

import (
	"fmt"
	"slices"
	"time"

	"github.com/roomline/roomline/dialplan"
	"github.com/roomline/roomline/media/rtp"
)

const (
	mostReplacements = 3                // agents sent within a minute for those that failed on one call
	longestComing    = 15 * time.Second // without any agent that is ready, until the ladder goes on
)

// attendance is the agent that serves a call. It belongs to the call's goroutine.
//
//	sent ─→ ready ─→ spoke ⇄ silent
//	  └───────┴────────┴───────┴──→ failed: another one is sent, or the target's else comes
//
// What the caller hears meanwhile is in filler.go.
type attendance struct {
	target   dialplan.Target // that names it; its else comes when no agent can
	agent    dialplan.Agent
	leg      AgentLeg
	since    time.Time     // there has been no agent that was ready since then
	ready    bool          // the leg is
	spoke    bool          // its sound is, or was, heard
	parted   bool          // it said goodbye before the answer, or while the call was on its way to somebody else
	over     *AgentEvent   // how the leg has ended, not yet acted on
	sent     []time.Time   // those that came for one that failed, in the last minute
	tale     []string      // how those failed
	keyed    []rtp.Digit   // before it was there
	patience time.Duration // 0: endless
	alarm    alarm
	turns    chan Turn // of the caller
	deaf     func()    // ends turns; nil: there are none
}

// attend sends an agent to the caller, who is answered as the target says.
func (c *Call) attend(t dialplan.Target) step {
	agent, ok := c.x.plan().AgentNamed(t.Agent)
	switch {
	case !ok:
		return c.otherwise(t, CauseNoRoute, "the dial plan has no agent "+t.Agent)
	case c.x.Agents == nil:
		return c.otherwise(t, CauseNoRoute, "this gateway has no agents")
	}
	c.dismiss("agent " + agent.Name + " takes the call")
	room := "call-" + c.id
	if err := c.engage(t, agent); err != nil {
		return c.unattended(causeOfError(err), err.Error())
	}
	switch {
	case c.isAnswered():
		if err := c.rejoin(room); err != nil {
			return c.end(CauseInternal, err.Error())
		}
		if c.hush != nil {
			c.fill()
		}
		c.awaitSpeech()
		return c.active
	case t.Answer == "ready" || t.Answer == "early":
		c.note(func(r *CallRecord) { r.Room = room })
		return func() step { return c.awaitAgent(room) }
	}
	return func() step { return c.answer(room) }
}

// engage sends the first agent for a target.
func (c *Call) engage(t dialplan.Target, agent dialplan.Agent) error {
	c.falls(agent)
	c.agent = &attendance{target: t, agent: agent, since: time.Now(), patience: patienceOf(agent)}
	c.note(func(r *CallRecord) { r.Agent = agent.Name })
	return c.sendAgent("call-" + c.id)
}

// rejoin takes an answered call to a room; what it hears goes on.
func (c *Call) rejoin(room string) error {
	if c.Record().Room == room {
		return nil
	}
	return c.move(room)
}

// sendAgent leases an agent for the call.
func (c *Call) sendAgent(room string) error {
	a, rec := c.agent, c.Record()
	leg, err := c.x.Agents.Send(AgentSpec{
		Agent: a.agent.Name, Room: room, CallID: c.id, From: rec.From, To: rec.To, Direction: rec.Direction,
		Parameters: a.parameters(rec), Handover: c.handover, Withheld: rec.AnsweredAt == nil,
	})
	if err != nil {
		return fmt.Errorf("agent %s: %w", a.agent.Name, err)
	}
	a.leg, a.ready, a.spoke, a.over = leg, false, false, nil
	return nil
}

// parameters are the call's attributes, as far as the agent's own do not name
// them: who calls does not choose those.
func (a *attendance) parameters(rec CallRecord) map[string]string {
	out := map[string]string{}
	for name, value := range rec.Attributes {
		if _, own := a.agent.Parameters[name]; !own {
			out[name] = value
		}
	}
	if rec.AnsweredBy != "" {
		out["answered_by"] = rec.AnsweredBy
	}
	return out
}

// awaitAgent: the caller hears it ring, or early media, until the agent is ready.
func (c *Call) awaitAgent(room string) step {
	timeout := time.NewTimer(c.x.ReadyTimeout)
	defer timeout.Stop()
	if c.agent.target.Answer == "early" {
		if err := c.hear(room); err != nil { // such as an INVITE without an offer: it rings
			c.log.Info("the caller cannot hear early media", "reason", err.Error())
		}
		c.fill()
	}
	for {
		if next, leaves := c.attended(); leaves {
			return next
		}
		if c.agent.ready {
			return c.answer(room)
		}
		switch e, what := c.wait(nil, timeout.C); {
		case what == over:
			return nil
		case what == timeUp:
			return c.unattended(CauseNoAnswer, "agent "+c.agent.agent.Name+" was not ready in time")
		case what == told && e.Kind == LineEarly:
			c.recode()
		}
	}
}

// admit lets the agent be heard by a caller who has just been answered.
func (c *Call) admit() {
	if c.agent == nil {
		return
	}
	c.agent.leg.Admit()
	c.awaitSpeech()
}

// events is nil, on which nothing ever comes, when there is no agent.
func (a *attendance) events() <-chan AgentEvent {
	if a == nil || a.over != nil {
		return nil
	}
	return a.leg.Events()
}

// agentTold takes what happened to the agent, and reports whether the call's
// state must look at it.
func (c *Call) agentTold(e AgentEvent, ok bool) bool {
	a := c.agent
	if !ok {
		e = AgentEvent{Kind: AgentEnded, Fault: FaultInternal, Reason: "its leg was lost"}
	}
	switch e.Kind {
	case AgentReady:
		a.ready = true
		c.catchUpKeys()
		if c.isAnswered() {
			c.expectSpeech()
		}
	case AgentSpoke:
		c.agentSpoke()
	case AgentSilent:
		c.tellOfAgent("agent.silent", nil)
		c.agentSilent()
	case AgentEnded:
		a.over, a.parted = &e, c.isElsewhere() || !c.isAnswered()
	}
	return e.Kind == AgentReady || e.Kind == AgentEnded
}

// mostKeyed is how many keys wait for an agent that is still to come.
const mostKeyed = 64

// missed keeps a key for the agent until it is there: who knows a menu types ahead.
func (a *attendance) missed(key rtp.Digit) {
	if a != nil && !a.ready && len(a.keyed) < mostKeyed {
		a.keyed = append(a.keyed, key)
	}
}

// catchUpKeys tells an agent that has come the keys it has missed.
func (c *Call) catchUpKeys() {
	keys := c.agent.keyed
	c.agent.keyed = nil
	if p := c.agent.leg.Participant(); p != nil && p.spec.Keys != nil {
		for _, k := range keys {
			p.spec.Keys(c.seat, k)
		}
	}
}

func (c *Call) tellOfAgent(kind string, data map[string]any) {
	if data == nil {
		data = map[string]any{}
	}
	data["agent"], data["worker"] = c.agent.agent.Name, c.agent.leg.Worker()
	c.emit(kind, data)
}

// attended looks whether the agent has ended, and reports whether the call takes
// another step by it. A goodbye ends the call. After a failure another agent of
// the same kind comes while the caller hears a filler.
func (c *Call) attended() (next step, leaves bool) {
	a := c.agent
	if a == nil || a.over == nil || c.isElsewhere() { // the phone may come back
		return nil, false
	}
	name, e := a.agent.Name, *a.over
	if e.Fault == FaultNone && !a.parted {
		a.silence()
		c.agent = nil
		return c.end(CauseNormal, "agent "+name+" said goodbye"+withReason(e.Reason)), true
	}
	return c.replaceAgent(e.Fault, e.Reason)
}

// isElsewhere reports whether the call is on its way to somebody else.
func (c *Call) isElsewhere() bool { return c.errand != nil || c.warm != nil }

func withReason(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

// replaceAgent sends another agent for one that failed, or else goes on with the
// ladder.
func (c *Call) replaceAgent(fault Fault, reason string) (next step, leaves bool) {
	a, now := c.agent, time.Now()
	words := "agent " + a.agent.Name + " failed (" + string(fault) + ")" + withReason(reason)
	if a.parted {
		words, a.parted = "agent "+a.agent.Name+" said goodbye, and nobody else has the call", false
	}
	a.tale = append(a.tale[max(0, len(a.tale)-mostReplacements):], words)
	if a.ready {
		a.since = now
	}
	a.ready = false
	if c.seat != nil { // answered, or early media
		c.fill()
	}
	a.sent = slices.DeleteFunc(a.sent, func(at time.Time) bool { return now.Sub(at) >= time.Minute })
	switch {
	case len(a.sent) >= mostReplacements:
		return c.unattended(CauseUnreachable, ""), true
	case now.Sub(a.since) > longestComing:
		return c.unattended(CauseNoAnswer, "no other agent was ready in time"), true
	}
	a.sent = append(a.sent, now)
	c.handover = &Handover{By: a.agent.Name, Reason: words, Transcript: c.Transcript()}
	if err := c.sendAgent(c.Record().Room); err != nil { // where the caller is
		return c.unattended(causeOfError(err), err.Error()), true
	}
	c.tellOfAgent("agent.replaced", map[string]any{"fault": string(fault), "reason": reason})
	return nil, false
}

// unattended goes on with the else of a target whose agents cannot serve the call.
func (c *Call) unattended(cause Cause, reason string) step {
	a := c.agent
	if reason != "" {
		a.tale = append(a.tale, reason)
	}
	last := a.tale[len(a.tale)-1]
	for _, words := range slices.Compact(a.tale) { // what happened again and again is told once
		if words != last {
			c.tale = append(c.tale, words)
		}
	}
	c.handover = &Handover{By: a.agent.Name, Reason: last, Transcript: c.Transcript()}
	c.dismiss("the call goes on without it")
	return c.otherwise(a.target, cause, last)
}

// isServedBy reports whether it is the seat of the call's agent.
func (c *Call) isServedBy(seat *Participant) bool {
	return c.agent != nil && c.agent.leg != nil && seat != nil && c.agent.leg.Participant() == seat
}

// standDown leaves the agent in the room, as somebody on whom the call does not
// depend any more; it goes when the call ends.
func (c *Call) standDown(seat *Participant) {
	if c.isServedBy(seat) {
		c.agent.silence()
		c.copilots, c.agent = append(c.copilots, c.agent.leg), nil
	}
}

// served makes an agent that is in the room already the one that serves the call,
// in place of the one before.
func (c *Call) served(name string, leg AgentLeg) {
	agent, _ := c.x.plan().AgentNamed(name)
	agent.Name = name
	c.dismiss("agent " + name + " takes the call")
	c.falls(agent)
	c.agent = &attendance{target: dialplan.Target{Agent: name}, agent: agent, leg: leg, ready: true, since: time.Now(), patience: patienceOf(agent)}
	c.note(func(r *CallRecord) { r.Agent = name })
	leg.Admit()
	c.awaitSpeech()
}

// falls keeps the fallback of an agent for the time when nothing else is left, once.
func (c *Call) falls(a dialplan.Agent) {
	if a.Fallback != nil && !slices.Contains(c.fellBack, a.Name) {
		c.fellBack, c.fallbacks = append(c.fellBack, a.Name), append(c.fallbacks, a.Fallback)
	}
}

// lastResort returns the next fallback of the agents that have failed; nil: none is left.
func (c *Call) lastResort() *dialplan.Target {
	if len(c.fallbacks) == 0 {
		return nil
	}
	t := c.fallbacks[0]
	c.fallbacks = c.fallbacks[1:]
	return t
}

// silence ends what watches over the agent.
func (a *attendance) silence() {
	a.alarm.stop()
	if a.deaf != nil {
		a.deaf()
	}
}

// releaseAgents lets all agents go at the end of the call.
func (c *Call) releaseAgents() {
	c.dismiss("the call has ended")
	for _, leg := range c.copilots {
		leg.End("the call has ended")
	}
	c.copilots = nil
}

// dismiss says goodbye to the agent, if there is one: the call goes on without it.
func (c *Call) dismiss(reason string) {
	if a := c.agent; a != nil {
		c.agent = nil
		a.silence()
		if a.leg != nil {
			a.leg.End(reason)
		}
	}
}
