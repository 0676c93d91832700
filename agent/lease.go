package agent

import (
	"slices"
	"sync"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
)

// Send implements [bridge.Agents]: it takes a place in the agent's pool, which is
// given back when the leg has ended, whatever happens. An agent whose places are
// all taken is refused at once, so that the call can go on elsewhere.
func (h *House) Send(spec bridge.AgentSpec) (bridge.AgentLeg, error) {
	h.init()
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	h.catchUpLocked(now)
	p := h.pools[spec.Agent]
	switch {
	case h.stopping:
		return nil, refuse(bridge.Unavailable, "the gateway is shutting down")
	case p == nil:
		return nil, refuse(bridge.NotFound, "there is no agent %q in the dial plan", spec.Agent)
	}
	if err := p.refusal(); err != nil {
		p.counts.Leases["refused"]++
		return nil, err
	}
	w := p.place(now, nil)
	if w == nil {
		p.counts.Leases["refused"]++
		return nil, p.nobody()
	}
	p.calls++
	p.counts.Leases["granted"]++
	l := &lease{house: h, pool: p, agent: p.agent, spec: spec, began: now, events: make(chan bridge.AgentEvent, 64)}
	l.takeLocked(w)
	h.leases[l] = struct{}{}
	h.running.Go(l.run)
	return l, nil
}

// How long a lease looks for a worker that answers.
const (
	tryFor   = time.Second     // one worker, while there are others to turn to; more where it is known to be slow
	tryAllIn = 2 * time.Second // all of them; where there is just one, its leg's own patience holds
)

// lease is a place in a pool, held for one call, and the leg that uses it. It
// goes from worker to worker until one of them answers; whoever it was sent for
// sees one leg.
type lease struct {
	house  *House
	pool   *pool
	agent  dialplan.Agent
	spec   bridge.AgentSpec
	began  time.Time
	events chan bridge.AgentEvent

	// House.mu guards these.
	worker  *worker
	tried   []*worker // worker among them
	decides bool      // whether the worker, which is Probing, gets calls again

	mu       sync.Mutex
	leg      bridge.AgentLeg
	admitted bool
	ended    bool // End was called
	reason   string
}

// Events implements [bridge.AgentLeg].
func (l *lease) Events() <-chan bridge.AgentEvent { return l.events }

// Participant implements [bridge.AgentLeg].
func (l *lease) Participant() *bridge.Participant {
	if leg := l.current(); leg != nil {
		return leg.Participant()
	}
	return nil
}

// Worker implements [bridge.AgentLeg]: the address of the program, without secrets.
func (l *lease) Worker() string { return workerName(l.address()) }

func (l *lease) address() string {
	l.house.mu.Lock()
	defer l.house.mu.Unlock()
	return l.worker.url
}

// Inform implements [bridge.Informed].
func (l *lease) Inform(words string) {
	if leg, ok := l.current().(bridge.Informed); ok {
		leg.Inform(words)
	}
}

// Admit implements [bridge.AgentLeg].
func (l *lease) Admit() {
	l.mu.Lock()
	l.admitted = true
	leg := l.leg
	l.mu.Unlock()
	if leg != nil {
		leg.Admit()
	}
}

// End implements [bridge.AgentLeg].
func (l *lease) End(reason string) {
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		return
	}
	l.ended, l.reason = true, reason
	leg := l.leg
	l.mu.Unlock()
	if leg != nil {
		leg.End(reason)
	}
}

func (l *lease) current() bridge.AgentLeg {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.leg
}

// run follows the leg, and the next one where a worker does not answer. The
// place is free again before its end is told.
func (l *lease) run() {
	defer close(l.events)
	end := bridge.AgentEvent{Kind: bridge.AgentEnded, Fault: bridge.FaultInternal, Reason: "the lease has failed"}
	defer func() {
		if failed := recover(); failed != nil {
			l.house.Log.Error("a lease has failed", "agent", l.agent.Name, "call", l.spec.CallID, "panic", failed)
		}
		l.giveBack()
		l.events <- end
	}()
	for {
		var ready bool
		end, ready = l.try()
		if ready || end.Fault == bridge.FaultNone || end.Fault == bridge.FaultInternal || !l.another() {
			return
		}
	}
}

// takeLocked moves the lease to a worker.
func (l *lease) takeLocked(w *worker) {
	if l.worker != nil {
		l.worker.leave(time.Now())
	}
	w.calls++
	if w.state == Probing {
		w.asked, l.decides = true, true
	}
	l.worker, l.tried = w, append(l.tried, w)
}

// another finds the next worker, if there is time for it.
func (l *lease) another() bool {
	h := l.house
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	if h.stopping || now.Sub(l.began) >= tryAllIn {
		return false
	}
	w := l.pool.place(now, l.tried)
	if w == nil {
		return false
	}
	l.takeLocked(w)
	return true
}

// giveBack frees the place.
func (l *lease) giveBack() {
	h := l.house
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, out := h.leases[l]; !out {
		return
	}
	delete(h.leases, l)
	h.settleLocked(l)
	l.pool.calls--
	l.worker.leave(time.Now())
	h.sweepLocked(l.pool)
}

// leave ends a call at the worker.
func (w *worker) leave(now time.Time) {
	if w.calls--; w.calls == 0 {
		w.idle = now
	}
}

// patience is how long the worker that is tried has; 0: its leg decides.
func (l *lease) patience() time.Duration {
	h := l.house
	h.mu.Lock()
	defer h.mu.Unlock()
	left := tryAllIn - time.Since(l.began)
	switch {
	case slices.ContainsFunc(l.pool.workers, func(w *worker) bool { return w.takes() && !slices.Contains(l.tried, w) }):
		return max(min(max(tryFor, 4*l.worker.start), left), time.Millisecond)
	case len(l.tried) > 1:
		return max(left, time.Millisecond)
	}
	return 0
}
