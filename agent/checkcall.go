package agent

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
)

// call places the synthetic call, and tells of the steps that are in it.
func (c *check) call(ctx context.Context) {
	began := time.Now()
	leg := c.house.openLeg(c.worker, c.agent, probeSpec(c.agent))
	defer drop(leg)
	defer leg.End("the test is over")
	end := c.awaitReady(ctx, leg)
	took := time.Since(began)
	opened := time.Duration(leg.dialed.Load())
	switch {
	case end != nil && opened == 0:
		c.tell("websocket", "failed", end.Reason, hintFor(*end), took)
		c.skip("start", "sound")
		return
	case end != nil:
		c.tell("websocket", "ok", "the handshake is done", "", opened)
		c.tell("start", "failed", end.Reason, c.startHint(*end), took-opened)
		c.skip("sound")
		return
	}
	c.tell("websocket", "ok", "the handshake is done", "", opened)
	c.tell("start", "ok", "the agent has been told of a call, in "+c.protocol(), "", took-opened)
	c.listen(ctx, leg)
}

// awaitReady returns nil when the agent is ready, or how the leg has ended.
func (c *check) awaitReady(ctx context.Context, leg bridge.AgentLeg) *bridge.AgentEvent {
	late := time.NewTimer(checkStep)
	defer late.Stop()
	for {
		select {
		case e, more := <-leg.Events():
			switch {
			case !more:
				return &bridge.AgentEvent{Fault: bridge.FaultInternal, Reason: "it has ended without a word"}
			case e.Kind == bridge.AgentEnded:
				return &e
			case e.Kind == bridge.AgentReady:
				return nil
			}
		case <-late.C:
			return &bridge.AgentEvent{Fault: bridge.FaultTimeout, Reason: fmt.Sprintf("not ready within %s", checkStep)}
		case <-ctx.Done():
			return &bridge.AgentEvent{Fault: bridge.FaultTimeout, Reason: "the test was given up"}
		}
	}
}

// listen waits for sound: the agent hears silence meanwhile.
func (c *check) listen(ctx context.Context, leg *leg) {
	began := time.Now()
	late := time.NewTimer(checkSound)
	defer late.Stop()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case e, more := <-leg.Events():
			if !more || e.Kind == bridge.AgentEnded {
				c.hungUp(e, time.Since(began))
				return
			}
		case <-look.C:
			if leg.spoken.Load() == 0 {
				continue
			}
			c.tell("sound", "ok", "the agent speaks", "", time.Since(began))
			return
		case <-late.C:
			c.tell("sound", "skipped", fmt.Sprintf("it said nothing for %s: in order for an agent that lets callers speak first", checkSound), "", 0)
			return
		case <-ctx.Done():
			c.tell("sound", "skipped", "the test was given up", "", 0)
			return
		}
	}
}

// hungUp tells of an agent that ends the call.
func (c *check) hungUp(e bridge.AgentEvent, after time.Duration) {
	words := "the agent has ended the call by itself"
	if e.Fault != bridge.FaultNone {
		words = fmt.Sprintf("the call has ended: %s (%s)", e.Reason, e.Fault)
	}
	c.tell("sound", "failed", words, "the agent's own log says why; its start was marked with the parameter probe=true", after)
}

func (c *check) protocol() string {
	return cmp.Or(c.agent.Protocol, dialplan.TwilioMediaStreams)
}

// startHint says what to do about an agent that takes the connection, and not the call.
func (c *check) startHint(e bridge.AgentEvent) string {
	if e.Fault == bridge.FaultRefused {
		return "the agent wants another key, or other settings: check key, and what else the dial plan says of it"
	}
	return "the agent took the connection, and not the call: does it speak " + c.protocol() + "?"
}

// hintFor says what to do about a handshake that has failed.
func hintFor(e bridge.AgentEvent) string {
	for words, hint := range map[string]string{
		" 401 ": "the agent wants another key: check key in the dial plan",
		" 403 ": "the agent refuses this key or signature: check key, and that the agent knows this url",
		" 404 ": "check the path in the agent's url",
		" 426 ": "the agent wants TLS: use wss://",
		" 200 ": "there is a web page at this url, and no WebSocket: check the path",
		" 502 ": "a proxy in front of the agent does not reach it",
		" 503 ": "a proxy in front of the agent does not reach it, or the agent is busy",
	} {
		if strings.Contains(e.Reason, words) {
			return hint
		}
	}
	if e.Fault == bridge.FaultTimeout {
		return "something listens there that does not answer a WebSocket handshake: check the port and the path"
	}
	return "check the url, and that an agent runs there"
}
