package agent

import (
	"fmt"
	"slices"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
)

// pool is one agent of the dial plan: its workers, and how many calls they have.
// House.mu guards it.
type pool struct {
	agent   dialplan.Agent
	drained bool // by the API, until it is resumed
	gone    bool // the plan does not name it any more
	workers []*worker
	calls   int
	counts  Counts
}

// followLocked makes the pools those of the plan in force. Removed agents and workers
// get no calls any more; they stay until their last one has ended.
func (h *House) followLocked(now time.Time) (changed bool) {
	plan := h.plan()
	if plan == h.planned {
		return false
	}
	h.planned = plan
	for _, p := range h.pools {
		p.gone = true
	}
	for _, a := range plan.Agents {
		p := h.pools[a.Name]
		if p == nil {
			p = &pool{counts: newCounts()}
			h.pools[a.Name] = p
		}
		p.become(a, now)
	}
	for _, p := range h.pools {
		h.sweepLocked(p)
	}
	return true
}

// catchUpLocked does the same, and lets Run look at what is new.
func (h *House) catchUpLocked(now time.Time) {
	if h.followLocked(now) {
		h.nudge()
	}
}

func (h *House) plan() *dialplan.Plan {
	if h.Plan != nil {
		if p := h.Plan(); p != nil {
			return p
		}
	}
	return &dialplan.Plan{}
}

// become takes the agent's definition. Workers that stay keep what is known of them.
func (p *pool) become(a dialplan.Agent, now time.Time) {
	changed := p.agent.Key != a.Key || p.agent.Protocol != a.Protocol || p.agent.Account != a.Account
	p.agent, p.gone = a, false
	urls := a.Workers()
	for _, w := range p.workers {
		if removed := !slices.Contains(urls, w.url); removed != w.draining {
			w.draining, w.due = removed, now
		}
		if changed && w.state == Quarantined { // this may have been what was wrong
			w.due = now
		}
	}
	for i, url := range urls {
		if p.workerAt(url) == nil {
			p.workers = append(p.workers, newWorker(url, now, firstProbe+time.Duration(i)*probeSpread))
		}
	}
}

func (p *pool) workerAt(url string) *worker {
	i := slices.IndexFunc(p.workers, func(w *worker) bool { return w.url == url })
	if i < 0 {
		return nil
	}
	return p.workers[i]
}

// sweepLocked forgets what was removed and has no calls any more.
func (h *House) sweepLocked(p *pool) {
	p.workers = slices.DeleteFunc(p.workers, func(w *worker) bool { return w.draining && w.calls == 0 && !w.asked })
	if name := p.agent.Name; p.gone && p.calls == 0 && h.pools[name] == p {
		delete(h.pools, name)
	}
}

// place finds the worker for a call that has tried others already.
func (p *pool) place(now time.Time, tried []*worker) *worker {
	quickest := time.Duration(0)
	for _, w := range p.workers {
		if w.start > 0 && (quickest == 0 || w.start < quickest) {
			quickest = w.start
		}
	}
	var best *worker
	for _, w := range p.workers {
		if !w.takes() || slices.Contains(tried, w) {
			continue
		}
		if best == nil || w.before(best, now, quickest) {
			best = w
		}
	}
	return best
}

// refusal says why no call can be taken, or nil.
func (p *pool) refusal() *bridge.Error {
	name := p.agent.Name
	switch {
	case p.gone:
		return refuse(bridge.NotFound, "there is no agent %q in the dial plan", name)
	case p.drained:
		return refuse(bridge.Unavailable, "agent %q is being drained: it takes no calls until it is resumed", name)
	case p.agent.Pool > 0 && p.calls >= p.agent.Pool:
		return refuse(bridge.LimitReached, "agent %q is busy: all %d places of its pool are taken", name, p.agent.Pool)
	}
	return nil
}

// nobody says why none of the workers takes a call.
func (p *pool) nobody() *bridge.Error {
	n, words := 0, ""
	for _, w := range p.workers {
		if !w.draining {
			n, words = n+1, w.words()
		}
	}
	if n == 1 {
		return refuse(bridge.Unavailable, "the worker of agent %q is quarantined: %s", p.agent.Name, words)
	}
	return refuse(bridge.Unavailable, "all %d workers of agent %q are quarantined; the last one: %s", n, p.agent.Name, words)
}

func refuse(code, format string, args ...any) *bridge.Error {
	return &bridge.Error{Code: code, Field: "agent", Message: fmt.Sprintf(format, args...)}
}
