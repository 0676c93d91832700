// Package agent brings AI voices onto calls: it keeps the pools of the dial plan's
// agents, opens a WebSocket to a leased worker, speaks the agent's protocol there
// and gives it a seat in a room. It knows nothing of SIP and of HTTP routes; what
// an agent asks for (hang up, transfer, digits) it asks of the Exchange.
//
// # Goroutines
//
// House.Run supervises the pools, with one goroutine per probe. Each lease has
// one that follows its leg. Each leg has a reader and a writer, which end before
// AgentEnded is told; House waits for them all.
package agent

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"sync"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
)

// House sends agents into rooms; it is a bridge.Agents. Set its fields, then
// start Run.
type House struct {
	Exchange *bridge.Exchange
	Plan     func() *dialplan.Plan // the dial plan in force
	Log      *slog.Logger          // nil: nothing is logged
	TLS      *tls.Config           // of connections with agents; nil: the system's certificates

	dialing sync.Once
	names   names
	http    *http.Client

	// open opens a leg to a worker; nil: openLeg. Tests put their own here.
	open opener

	once    sync.Once
	wake    chan struct{}  // Run has something to look at
	running sync.WaitGroup // leases, probes, and legs that were given up

	mu       sync.Mutex
	planned  *dialplan.Plan // that the pools were made of
	pools    map[string]*pool
	leases   map[*lease]struct{}
	tests    map[*context.CancelFunc]context.CancelFunc
	stopping bool
}

// opener opens one leg to the worker at url, as openLeg does.
type opener func(url string, a dialplan.Agent, spec bridge.AgentSpec) bridge.AgentLeg

func (h *House) init() {
	h.once.Do(func() {
		h.wake = make(chan struct{}, 1)
		h.pools, h.leases, h.tests = map[string]*pool{}, map[*lease]struct{}{}, map[*context.CancelFunc]context.CancelFunc{}
		if h.Log == nil {
			h.Log = slog.New(slog.DiscardHandler)
		}
	})
}

// Run watches over the workers until ctx ends. Then it leases no agent any more,
// says goodbye to those on calls, and returns when their legs have ended.
func (h *House) Run(ctx context.Context) {
	h.init()
	h.supervise(ctx)
	for _, l := range h.stop() {
		l.End("the gateway is shutting down")
	}
	h.running.Wait()
}

// PlanChanged makes the pools follow the plan in force at once; without it they
// do at the next lease. It does not wait.
func (h *House) PlanChanged() {
	h.init()
	h.nudge()
}

// nudge makes Run look at the workers.
func (h *House) nudge() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// stop ends leasing and tests, and returns the leases that are out.
func (h *House) stop() (out []*lease) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopping = true
	for _, cancel := range h.tests {
		cancel()
	}
	for l := range h.leases {
		out = append(out, l)
	}
	return out
}

// opener is open, or what opens real legs.
func (h *House) opener() opener {
	if h.open != nil {
		return h.open
	}
	return func(url string, a dialplan.Agent, spec bridge.AgentSpec) bridge.AgentLeg {
		return h.openLeg(url, a, spec)
	}
}
