package agent

import (
	"time"

	"github.com/roomline/roomline/bridge"
)

// try opens a leg to the worker and follows it to its end. ready says that the
// worker had taken the call before.
func (l *lease) try() (end bridge.AgentEvent, ready bool) {
	began := time.Now()
	leg, patience := l.opened(), l.patience()
	var late <-chan time.Time
	if patience > 0 {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		late = timer.C
	}
	for {
		select {
		case e, more := <-leg.Events():
			switch {
			case !more:
				end = bridge.AgentEvent{Kind: bridge.AgentEnded, Fault: bridge.FaultInternal, Reason: "its leg has ended without a word"}
			case e.Kind == bridge.AgentEnded:
				end = l.meant(e, ready)
			default:
				if e.Kind == bridge.AgentReady && !ready {
					ready, late = true, nil
					l.house.started(l, time.Since(began))
				}
				l.tell(e)
				continue
			}
			l.house.ended(l, end, ready)
			return end, ready
		case <-late:
			leg.End("it took too long")
			l.house.running.Go(func() { drop(leg) })
			end = bridge.AgentEvent{Kind: bridge.AgentEnded, Fault: bridge.FaultTimeout, Reason: "not ready within " + patience.Round(time.Millisecond).String()}
			l.house.ended(l, end, false)
			return end, false
		}
	}
}

// meant makes a fault of an agent's goodbye before it was ready.
func (l *lease) meant(e bridge.AgentEvent, ready bool) bridge.AgentEvent {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.Fault == bridge.FaultNone && !ready && !l.ended {
		e.Fault, e.Reason = bridge.FaultRefused, "it said goodbye before it was ready"
	}
	return e
}

// opened opens the leg, and passes on what was asked of the lease meanwhile.
func (l *lease) opened() bridge.AgentLeg {
	leg := l.house.opener()(l.address(), l.agent, l.spec)
	l.mu.Lock()
	l.leg = leg
	admitted, ended, reason := l.admitted, l.ended, l.reason
	l.mu.Unlock()
	if admitted {
		leg.Admit()
	}
	if ended {
		leg.End(reason)
	}
	return leg
}

// tell passes an event on. One place is kept for the end; what nobody reads is lost.
func (l *lease) tell(e bridge.AgentEvent) {
	if len(l.events) < cap(l.events)-1 {
		l.events <- e
	}
}

// drop waits for the end of a leg that is not needed any more.
func drop(leg bridge.AgentLeg) {
	for range leg.Events() {
	}
}
