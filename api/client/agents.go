package client

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/roomline/roomline/agent"
)

// AgentStates lists how the agents' pools stand on this gateway.
func (c *Client) AgentStates(ctx context.Context) (all []agent.PoolState, err error) {
	for cursor := ""; ; {
		var page struct {
			Items []agent.PoolState `json:"items"`
			Next  string            `json:"next"`
		}
		query := url.Values{"limit": {"500"}}
		if cursor != "" {
			query.Set("cursor", cursor)
		}
		if err := c.call(ctx, http.MethodGet, "/v1/agent-states", query, nil, nil, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		if cursor = page.Next; cursor == "" {
			return all, nil
		}
	}
}

// DrainAgent sends no calls of the gateway to an agent any more, ResumeAgent does again.
func (c *Client) DrainAgent(ctx context.Context, name string) (agent.PoolState, error) {
	return c.turnAgent(ctx, name, "drain")
}

// ResumeAgent undoes DrainAgent.
func (c *Client) ResumeAgent(ctx context.Context, name string) (agent.PoolState, error) {
	return c.turnAgent(ctx, name, "resume")
}

func (c *Client) turnAgent(ctx context.Context, name, what string) (state agent.PoolState, err error) {
	err = c.call(ctx, http.MethodPost, "/v1/agents/"+url.PathEscape(name)+"/"+what, nil, nil, nil, &state)
	return state, err
}

// TestAgent has the gateway call every worker of an agent, and calls seen for
// each step while it happens.
func (c *Client) TestAgent(ctx context.Context, name string, seen func(agent.TestStep)) error {
	resp, err := c.stream(ctx, http.MethodPost, "/v1/agents/"+url.PathEscape(name)+"/test", nil, nil, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return steps(ctx, c, resp, seen)
}

// steps reads a line of JSON for each step.
func steps[T any](ctx context.Context, c *Client, resp *http.Response, seen func(T)) error {
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxEvent)
	for lines.Scan() {
		var step T
		if json.Unmarshal(lines.Bytes(), &step) != nil {
			return c.notGateway()
		}
		seen(step)
	}
	if err := lines.Err(); err != nil {
		return c.unreachable(ctx, err)
	}
	return nil
}
