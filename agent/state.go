package agent

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/roomline/roomline/bridge"
)

// PoolState is how an agent's pool stands at this moment, on this gateway.
type PoolState struct {
	Agent    string        `json:"agent"`
	Calls    int           `json:"calls"`
	Cap      int           `json:"cap" doc:"calls at once over all workers; 0: no cap"`
	Draining bool          `json:"draining" doc:"no call is sent to it until it is resumed"`
	Workers  []WorkerState `json:"workers" nullable:"false"`
	Counts   Counts        `json:"-"`
}

// WorkerState is how one program of a pool stands.
type WorkerState struct {
	Worker     string       `json:"worker" doc:"its address, without what may be secret in it"`
	State      State        `json:"state" enum:"up,quarantined,probing,draining"`
	Calls      int          `json:"calls"`
	Cap        int          `json:"cap" doc:"of its pool; 0: no cap"`
	Failures   int          `json:"failures" doc:"in a row"`
	Fault      bridge.Fault `json:"fault,omitempty" doc:"the last one"`
	Reason     string       `json:"reason,omitempty" doc:"of the last fault, in words"`
	FaultAt    *time.Time   `json:"fault_at,omitempty"`
	NextProbe  *time.Time   `json:"next_probe,omitempty" doc:"absent while one is on its way, and where probes are off"`
	StartP50MS float64      `json:"start_p50_ms" doc:"from the lease to the agent's readiness, of the last 128 calls and probes; 0: none yet"`
	StartP95MS float64      `json:"start_p95_ms"`
}

// Counts is what has happened in a pool since the gateway started.
type Counts struct {
	Leases map[string]uint64 // granted, refused
	Faults map[bridge.Fault]uint64
	Starts Histogram
}

// States returns how the pools stand, by the agents' names. Pools of agents that
// were removed are among them while they have calls.
func (h *House) States() []PoolState {
	h.init()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.catchUpLocked(time.Now())
	all := make([]PoolState, 0, len(h.pools))
	for _, p := range h.pools {
		all = append(all, p.state())
	}
	slices.SortFunc(all, func(a, b PoolState) int { return cmp.Compare(a.Agent, b.Agent) })
	return all
}

// Drain sends no calls to an agent any more; live ones go on. It is not kept over
// a restart. An error of code NotFound means that the plan has no such agent.
func (h *House) Drain(name string) error { return h.drain(name, true) }

// Resume undoes Drain.
func (h *House) Resume(name string) error { return h.drain(name, false) }

func (h *House) drain(name string, on bool) error {
	h.init()
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	h.catchUpLocked(now)
	p := h.pools[name]
	if p == nil || p.gone {
		return refuse(bridge.NotFound, "there is no agent %q in the dial plan", name)
	}
	if p.drained == on {
		return nil
	}
	p.drained = on
	for _, w := range p.workers {
		if !on && w.state == Up {
			w.due = now
		}
	}
	h.Log.Info("an agent is drained, or resumed", "agent", name, "drained", on)
	h.nudge()
	return nil
}

func (p *pool) state() PoolState {
	s := PoolState{Agent: p.agent.Name, Calls: p.calls, Cap: p.agent.Pool, Draining: p.drained || p.gone, Workers: []WorkerState{}}
	for _, w := range p.workers {
		ws := w.stated(p.agent.Probe != "off" && !s.Draining)
		if ws.Cap = s.Cap; s.Draining {
			ws.State = Draining
		}
		s.Workers = append(s.Workers, ws)
	}
	s.Counts = Counts{Leases: maps.Clone(p.counts.Leases), Faults: maps.Clone(p.counts.Faults), Starts: p.counts.Starts}
	s.Counts.Starts.Buckets = slices.Clone(s.Counts.Starts.Buckets)
	return s
}

func (w *worker) stated(probed bool) WorkerState {
	s := WorkerState{
		Worker: workerName(w.url), State: w.state, Calls: w.calls, Failures: w.failures, Fault: w.fault, Reason: w.reason,
		StartP50MS: ms(w.starts.share(0.5)), StartP95MS: ms(w.starts.share(0.95)),
	}
	if w.draining {
		s.State = Draining
	}
	if !w.faultAt.IsZero() {
		s.FaultAt = utc(w.faultAt)
	}
	if probed && !w.asked && !w.draining {
		s.NextProbe = utc(w.due)
	}
	return s
}

func utc(t time.Time) *time.Time {
	t = t.UTC().Round(time.Millisecond)
	return &t
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
