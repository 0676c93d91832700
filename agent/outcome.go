package agent

import (
	"time"

	"github.com/roomline/roomline/bridge"
)

// What becomes of calls and probes, and what it says of their worker.

// started notes that the lease's worker has taken the call, so long after it was asked.
func (h *House) started(l *lease, after time.Duration) {
	now := time.Now()
	h.mu.Lock()
	w := l.worker
	w.served(after)
	l.pool.counts.Starts.add(now.Sub(l.began))
	back := l.decides && w.recover(now)
	h.settleLocked(l)
	h.mu.Unlock()
	if back {
		h.tellUp(l.agent.Name, w.url)
	}
}

// ended notes how a leg has ended. Faults of our own say nothing of the worker.
func (h *House) ended(l *lease, end bridge.AgentEvent, ready bool) {
	now := time.Now()
	h.mu.Lock()
	w, banned := l.worker, false
	if end.Fault != bridge.FaultNone {
		l.pool.counts.Faults[end.Fault]++
	}
	switch {
	case end.Fault == bridge.FaultInternal:
	case end.Fault == bridge.FaultNone && ready:
		w.ended(now)
	case end.Fault == bridge.FaultNone:
	case ready:
		banned = w.broke(now, end.Fault, end.Reason)
	default:
		banned = w.refused(now, end.Fault, end.Reason)
	}
	h.settleLocked(l)
	h.mu.Unlock()
	if banned {
		h.tellDown(l.agent.Name, w.url, end)
	}
	h.nudge()
}

// settleLocked lets another call decide, if this one was to and has not.
func (h *House) settleLocked(l *lease) {
	if l.decides {
		l.decides, l.worker.asked = false, false
	}
}

// probed notes how a probe has ended.
func (h *House) probed(p *pool, w *worker, end bridge.AgentEvent, after time.Duration) {
	now := time.Now()
	h.mu.Lock()
	name := p.agent.Name
	w.asked = false
	banned, back := false, false
	switch end.Fault {
	case bridge.FaultNone:
		w.started(after)
		back = w.recover(now)
		w.due = now.Add(p.interval())
	case bridge.FaultInternal:
		w.unsure(now)
	default:
		p.counts.Faults[end.Fault]++
		banned = w.refused(now, end.Fault, end.Reason)
	}
	h.sweepLocked(p)
	h.mu.Unlock()
	if back {
		h.tellUp(name, w.url)
	}
	if banned {
		h.tellDown(name, w.url, end)
	}
	h.nudge()
}

// tellDown says that no call goes to a worker any more.
func (h *House) tellDown(name, url string, end bridge.AgentEvent) {
	h.Log.Warn("a worker is quarantined", "agent", name, "worker", workerName(url), "fault", end.Fault, "reason", end.Reason)
	h.emit("agent.worker.down", map[string]any{
		"agent": name, "worker": workerName(url), "state": Quarantined, "fault": end.Fault, "reason": end.Reason,
	})
}

// tellUp says that calls go there again.
func (h *House) tellUp(name, url string) {
	h.Log.Info("a worker is back", "agent", name, "worker", workerName(url))
	h.emit("agent.worker.up", map[string]any{"agent": name, "worker": workerName(url), "state": Up})
}

func (h *House) emit(kind string, data map[string]any) {
	if h.Exchange != nil {
		h.Exchange.Emit(bridge.Event{Type: kind, Data: data})
	}
}
