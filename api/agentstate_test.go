package api

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/roomline/roomline/agent"
	"github.com/roomline/roomline/bridge"
)

// fakePools is one pool, that is drained or not.
type fakePools struct{ draining bool }

func (f *fakePools) States() []agent.PoolState {
	return []agent.PoolState{{
		Agent: "bot", Calls: 3, Cap: 20, Draining: f.draining,
		Workers: []agent.WorkerState{
			{Worker: "wss://a.example/media", State: agent.Up, Calls: 3, Cap: 20, StartP50MS: 12.5, StartP95MS: 40},
			{Worker: "wss://b.example/media", State: agent.Quarantined, Cap: 20, Failures: 2, Fault: bridge.FaultRefused, Reason: "connection refused"},
		},
		Counts: agent.Counts{
			Leases: map[string]uint64{"granted": 7, "refused": 1}, Faults: map[bridge.Fault]uint64{bridge.FaultRefused: 2},
			Starts: agent.Histogram{Count: 7, Sum: 0.2, Buckets: make([]uint64, len(agent.StartBounds))},
		},
	}}
}

func (f *fakePools) Drain(string) error {
	f.draining = true
	return nil
}

func (f *fakePools) Resume(string) error {
	f.draining = false
	return errors.New("it is stuck")
}

func (f *fakePools) Test(_ context.Context, _ string, report func(agent.TestStep)) error {
	report(agent.TestStep{Worker: "wss://a.example/media", TrunkStep: bridge.TrunkStep{Name: "dns", Result: "ok"}})
	report(agent.TestStep{Worker: "wss://a.example/media", TrunkStep: bridge.TrunkStep{Name: "connect", Result: "failed"}})
	return nil
}

func TestAgentStates(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.Agents = &fakePools{} })
	workers := into[list[agent.WorkerState]](h.ask(t, "GET", "/v1/agents/bot/workers", "").is(200)).Items
	if len(workers) != 2 || workers[1].State != agent.Quarantined || workers[1].Fault != bridge.FaultRefused || workers[0].StartP95MS != 40 {
		t.Errorf("workers %+v", workers)
	}
	h.ask(t, "GET", "/v1/agents/nobody/workers", "").is(404)
	h.ask(t, "POST", "/v1/agents/nobody/drain", "").is(404)
	if p := into[agent.PoolState](h.ask(t, "POST", "/v1/agents/bot/drain", "").is(200)); !p.Draining {
		t.Errorf("drained: %+v", p)
	}
	h.ask(t, "POST", "/v1/agents/bot/resume", "").is(500)
	if all := into[list[agent.PoolState]](h.ask(t, "GET", "/v1/agent-states", "").is(200)).Items; len(all) != 1 || all[0].Draining {
		t.Errorf("states %+v", all)
	}
	newHouse(t).ask(t, "GET", "/v1/agents/bot/workers", "").is(404)
}

func TestAnAgentsTestIsStreamed(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.Agents = &fakePools{} })
	a := h.ask(t, "POST", "/v1/agents/bot/test", "").is(200)
	if a.header.Get("Content-Type") != "application/x-ndjson" || strings.Count(a.body, "\n") != 2 || !strings.Contains(a.body, `"name":"dns","result":"ok"`) {
		t.Errorf("%s %s", a.header.Get("Content-Type"), a.body)
	}
	h.ask(t, "POST", "/v1/agents/nobody/test", "").is(404)
}

func TestAgentMetrics(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.Agents = &fakePools{} })
	w := httptest.NewRecorder()
	h.MetricsHandler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, line := range []string{
		`roomline_agent_calls{agent="bot"} 3`,
		`roomline_agent_leases_total{agent="bot",outcome="granted"} 7`,
		`roomline_agent_faults_total{agent="bot",fault="refused"} 2`,
		`roomline_agent_start_seconds_count{agent="bot"} 7`,
		`roomline_agent_start_seconds_bucket{agent="bot",le="0.1"} 0`,
		`roomline_agent_workers{agent="bot",state="quarantined"} 1`,
		`roomline_agent_workers{agent="bot",state="up"} 1`,
	} {
		if !strings.Contains(w.Body.String(), line+"\n") {
			t.Errorf("%s is missing", line)
		}
	}
}
