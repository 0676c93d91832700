package agent

import (
	"context"
	"time"
)

// supervise starts the probes that are due, until ctx ends.
func (h *House) supervise(ctx context.Context) {
	for {
		wait := h.look(ctx)
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-h.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// idleLook is how often the workers are looked at when nothing is due.
const idleLook = time.Minute

// look follows the plan, starts the probes that are due, and returns how long to
// wait for the next one.
func (h *House) look(ctx context.Context) (wait time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	h.followLocked(now)
	wait = idleLook
	for _, p := range h.pools {
		if p.drained || p.gone {
			continue
		}
		for _, w := range p.workers {
			if h.dueLocked(p, w, now) {
				w.asked = true
				h.running.Go(func() { h.probe(ctx, p, w) })
			} else if !w.asked && !w.draining {
				wait = min(wait, max(w.due.Sub(now), time.Millisecond))
			}
		}
	}
	return wait
}

// dueLocked reports whether a worker is to be probed now, and moves it on.
func (h *House) dueLocked(p *pool, w *worker, now time.Time) bool {
	switch {
	case w.draining || w.asked || w.due.After(now):
		return false
	case p.agent.Probe == "off":
		if w.state == Quarantined {
			w.state = Probing // the next call decides
		}
		w.due = now.Add(idleLook)
		return false
	case w.state == Quarantined:
		w.state = Probing
	case w.calls > 0 && w.failures == 0: // its calls tell
		w.due = now.Add(p.interval())
		return false
	}
	return true
}

// interval is how often an idle worker is probed.
func (p *pool) interval() time.Duration {
	d, err := time.ParseDuration(p.agent.Probe)
	if err != nil || d <= 0 {
		return probeEvery
	}
	return d
}
