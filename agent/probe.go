package agent

import (
	"context"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
)

// A probe is a call without a caller: the worker is told of it, marked by the
// parameter probe=true, hears silence, and must not hang up at once.
const (
	probePatience = 4 * time.Second        // for its handshake: more than calls have; who is slow gets fewer of them
	probeListens  = 500 * time.Millisecond // after it
)

// probe places one at a worker.
func (h *House) probe(ctx context.Context, p *pool, w *worker) {
	h.mu.Lock()
	a := p.agent
	h.mu.Unlock()
	end := bridge.AgentEvent{Kind: bridge.AgentEnded, Fault: bridge.FaultInternal, Reason: "the probe has failed"}
	after := time.Duration(0)
	defer func() {
		if failed := recover(); failed != nil {
			h.Log.Error("a probe has failed", "agent", a.Name, "worker", w.url, "panic", failed)
		}
		h.probed(p, w, end, after)
	}()
	leg := h.opener()(w.url, a, probeSpec(a))
	end, after = listen(ctx, leg)
}

// probeSpec is a call without a caller and without a room.
func probeSpec(a dialplan.Agent) bridge.AgentSpec {
	return bridge.AgentSpec{Agent: a.Name, Parameters: map[string]string{"probe": "true"}}
}

// listen follows a probe's leg to its end; after is how long its start took.
func listen(ctx context.Context, leg bridge.AgentLeg) (end bridge.AgentEvent, after time.Duration) {
	end = bridge.AgentEvent{Kind: bridge.AgentEnded, Fault: bridge.FaultInternal, Reason: "the probe was given up"}
	defer drop(leg)
	defer leg.End("the probe is over")
	began, ready := time.Now(), false
	timer := time.NewTimer(probePatience)
	defer timer.Stop()
	for {
		select {
		case e, more := <-leg.Events():
			switch {
			case !more:
				return end, after
			case e.Kind == bridge.AgentEnded:
				return judged(e), after
			case e.Kind == bridge.AgentReady:
				ready, after = true, time.Since(began)
				timer.Reset(probeListens)
			}
		case <-timer.C:
			if ready {
				return bridge.AgentEvent{Kind: bridge.AgentEnded}, after
			}
			return bridge.AgentEvent{Kind: bridge.AgentEnded, Fault: bridge.FaultTimeout, Reason: "its handshake took too long"}, 0
		case <-ctx.Done():
			return end, after
		}
	}
}

// judged says what it means that the worker has ended the probe.
func judged(e bridge.AgentEvent) bridge.AgentEvent {
	if e.Fault == bridge.FaultNone {
		e.Fault, e.Reason = bridge.FaultGone, "it has hung up a probe at once"
	}
	return e
}
