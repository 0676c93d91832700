package agent

import (
	"context"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
)

// town is a House whose workers are played by the test, by URL.
type town struct {
	*House
	t *testing.T

	mu      sync.Mutex
	plan    *dialplan.Plan
	acts    map[string]act
	asked   []string // URLs of calls, in order
	probed  map[string]int
	events  []bridge.Event
	stopped func()
}

// act is what a worker does when it is asked; nil: it is ready at once and stays.
type act func(l *fakeLeg)

// fakeLeg is a leg without a connection.
type fakeLeg struct {
	url    string
	spec   bridge.AgentSpec
	events chan bridge.AgentEvent
	ending chan string

	once     sync.Once
	admitted chan struct{}
}

func (l *fakeLeg) Events() <-chan bridge.AgentEvent { return l.events }
func (*fakeLeg) Participant() *bridge.Participant   { return nil }
func (l *fakeLeg) Worker() string                   { return l.url }
func (l *fakeLeg) Admit()                           { close(l.admitted) }
func (l *fakeLeg) End(reason string)                { l.once.Do(func() { l.ending <- reason }) }

func (l *fakeLeg) ready() { l.events <- bridge.AgentEvent{Kind: bridge.AgentReady} }

func (l *fakeLeg) end(f bridge.Fault) {
	l.events <- bridge.AgentEvent{Kind: bridge.AgentEnded, Fault: f, Reason: "the test says so"}
}

// stays is a worker in order.
func stays(l *fakeLeg) {
	l.ready()
	<-l.ending
	l.end(bridge.FaultNone)
}

// refuses is one whose program is not there.
func refuses(l *fakeLeg) { l.end(bridge.FaultRefused) }

// hangs is one that never answers the handshake.
func hangs(l *fakeLeg) {
	<-l.ending
	l.end(bridge.FaultNone)
}

// breaks is one whose calls end in a fault after some time.
func breaks(after time.Duration) act {
	return func(l *fakeLeg) {
		l.ready()
		select {
		case <-time.After(after):
			l.end(bridge.FaultGone)
		case <-l.ending:
			l.end(bridge.FaultNone)
		}
	}
}

// newTown runs a House with these agents. Stop it at the end of the bubble.
func newTown(t *testing.T, agents ...dialplan.Agent) *town {
	tn := &town{t: t, plan: &dialplan.Plan{Agents: agents}, acts: map[string]act{}, probed: map[string]int{}}
	x := &bridge.Exchange{Emitted: func(e bridge.Event) {
		tn.mu.Lock()
		defer tn.mu.Unlock()
		tn.events = append(tn.events, e)
	}}
	tn.House = &House{Exchange: x, open: tn.openFake, Plan: func() *dialplan.Plan {
		tn.mu.Lock()
		defer tn.mu.Unlock()
		return tn.plan
	}}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		tn.Run(ctx)
	}()
	tn.stopped = func() {
		cancel()
		<-done
		tn.balanced()
	}
	synctest.Wait()
	return tn
}

func (tn *town) openFake(url string, _ dialplan.Agent, spec bridge.AgentSpec) bridge.AgentLeg {
	tn.mu.Lock()
	a := tn.acts[url]
	if spec.Room == "" {
		tn.probed[url]++
	} else {
		tn.asked = append(tn.asked, url)
	}
	tn.mu.Unlock()
	if a == nil {
		a = stays
	}
	l := &fakeLeg{url: url, spec: spec, events: make(chan bridge.AgentEvent, 8), ending: make(chan string, 1), admitted: make(chan struct{})}
	go func() {
		defer close(l.events)
		a(l)
	}()
	return l
}

// does changes what a worker does.
func (tn *town) does(url string, a act) {
	tn.mu.Lock()
	defer tn.mu.Unlock()
	tn.acts[url] = a
}

func (tn *town) become(agents ...dialplan.Agent) {
	tn.mu.Lock()
	tn.plan = &dialplan.Plan{Agents: agents}
	tn.mu.Unlock()
	tn.PlanChanged()
	synctest.Wait()
}

// call sends an agent for a call; what was decided at once has happened then.
func (tn *town) call(name string) bridge.AgentLeg {
	tn.t.Helper()
	leg, err := tn.Send(bridge.AgentSpec{Agent: name, Room: "call-1", CallID: "call_1"})
	if err != nil {
		tn.t.Fatalf("no agent was sent: %v", err)
	}
	synctest.Wait()
	return leg
}

// calls returns which workers were asked since the last time.
func (tn *town) calls() []string {
	tn.mu.Lock()
	defer tn.mu.Unlock()
	asked := tn.asked
	tn.asked = nil
	return asked
}

// probes returns how often a worker has been probed.
func (tn *town) probes(url string) int {
	tn.mu.Lock()
	defer tn.mu.Unlock()
	return tn.probed[url]
}

func (tn *town) kinds() (kinds []string) {
	tn.mu.Lock()
	defer tn.mu.Unlock()
	for _, e := range tn.events {
		kinds = append(kinds, e.Type)
	}
	tn.events = nil
	return kinds
}

// balanced checks that no place is taken.
func (tn *town) balanced() {
	tn.t.Helper()
	tn.House.mu.Lock()
	defer tn.House.mu.Unlock()
	if len(tn.leases) > 0 {
		tn.t.Errorf("%d leases have leaked", len(tn.leases))
	}
	for _, p := range slices.Collect(maps.Values(tn.pools)) {
		if p.calls != 0 {
			tn.t.Errorf("%d places of %s have leaked", p.calls, p.agent.Name)
		}
		for _, w := range p.workers {
			if w.calls != 0 || w.asked {
				tn.t.Errorf("%s has %d calls, asked %v", w.url, w.calls, w.asked)
			}
		}
	}
}

// finish reads a leg's events to their end.
func finish(leg bridge.AgentLeg) (last bridge.AgentEvent) {
	for e := range leg.Events() {
		last = e
	}
	return last
}

func pooled(name string, places int, urls ...string) dialplan.Agent {
	return dialplan.Agent{Name: name, URLs: urls, Pool: places}
}
