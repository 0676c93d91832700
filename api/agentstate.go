package api

import (
	"context"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/roomline/roomline/agent"
)

// agentStateOperations registers how the agents' pools stand, and what is done with them.
func (s *Server) agentStateOperations(a huma.API) {
	huma.Register(a, operation("list-agent-states", http.MethodGet, "/v1/agent-states", "How every agent's pool stands on this gateway: calls, workers", 0), s.listAgentStates)
	huma.Register(a, operation("list-agent-workers", http.MethodGet, "/v1/agents/{id}/workers", "How an agent's workers stand on this gateway", 0), s.listAgentWorkers)
	huma.Register(a, operation("drain-agent", http.MethodPost, "/v1/agents/{id}/drain", "Send no calls of this gateway to an agent any more; live ones go on", 0), s.drainAgent)
	huma.Register(a, operation("resume-agent", http.MethodPost, "/v1/agents/{id}/resume", "Send calls to an agent again", 0), s.resumeAgent)
	test := operation("test-agent", http.MethodPost, "/v1/agents/{id}/test", "Call every worker of an agent, marked as a probe, and say what is wrong; one JSON object per line, as it goes", 0)
	test.Responses = stepResponses(a.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[agent.TestStep](), true, "AgentStep"))
	huma.Register(a, test, s.testAgent)
}

// agentTestTime bounds an agent's test.
const agentTestTime = 2 * time.Minute

// testAgent streams the steps. It makes connections: an admin's key is needed.
func (s *Server) testAgent(ctx context.Context, in *Named) (*huma.StreamResponse, error) {
	if err := mustAdmin(ctx); err != nil {
		return nil, err
	}
	if _, err := s.pool(in.ID); err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(out huma.Context) {
		ctx, cancel := context.WithTimeout(out.Context(), agentTestTime)
		defer cancel()
		line := lines(out, cancel)
		if err := s.agents.Test(ctx, in.ID, func(step agent.TestStep) { line(step) }); err != nil {
			s.log.Warn("an agent's test has failed", "agent", in.ID, "error", err) // it was removed meanwhile
		}
	}}, nil
}

// pools are those of the agents in force.
func (s *Server) pools() []agent.PoolState {
	if s.agents == nil {
		return nil
	}
	return s.agents.States()
}

// pool finds one of them.
func (s *Server) pool(name string) (agent.PoolState, error) {
	for _, p := range s.pools() {
		if p.Agent == name {
			return p, nil
		}
	}
	return agent.PoolState{}, notFound("agent", name)
}

func (s *Server) listAgentStates(_ context.Context, in *Paging) (*listOutput[agent.PoolState], error) {
	items, next := pageAfter(s.pools(), in, func(p agent.PoolState) string { return p.Agent })
	return listed(items, next), nil
}

// listAgentWorkers answers all of them: an agent has at most 64.
func (s *Server) listAgentWorkers(_ context.Context, in *Named) (*listOutput[agent.WorkerState], error) {
	p, err := s.pool(in.ID)
	if err != nil {
		return nil, err
	}
	return listed(p.Workers, ""), nil
}

func (s *Server) drainAgent(ctx context.Context, in *Named) (*one[agent.PoolState], error) {
	return s.turnAgent(ctx, in.ID, Agents.Drain)
}

func (s *Server) resumeAgent(ctx context.Context, in *Named) (*one[agent.PoolState], error) {
	return s.turnAgent(ctx, in.ID, Agents.Resume)
}

// turnAgent drains or resumes an agent, and answers how it stands then.
func (s *Server) turnAgent(ctx context.Context, name string, turn func(Agents, string) error) (*one[agent.PoolState], error) {
	if err := mustAdmin(ctx); err != nil {
		return nil, err
	}
	if _, err := s.pool(name); err != nil {
		return nil, err
	}
	if err := turn(s.agents, name); err != nil {
		return nil, s.fromBridge(ctx, err)
	}
	p, err := s.pool(name)
	return &one[agent.PoolState]{Body: p}, err
}
