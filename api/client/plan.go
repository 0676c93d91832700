package client

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/roomline/roomline/dialplan"
)

// Applied is what a plan changed, or would change.
type Applied struct {
	Changes []dialplan.Change `json:"changes"`
	Applied bool              `json:"applied"` // false for a dry run
}

// Apply stores a plan in one piece. Without prune, what the plan does not name
// stays; with dryRun nothing changes. Problems come as an [Error] with a Field each.
func (c *Client) Apply(ctx context.Context, plan *dialplan.Plan, prune, dryRun bool) (result Applied, err error) {
	query := url.Values{}
	if prune {
		query.Set("prune", "true")
	}
	if dryRun {
		query.Set("dry_run", "true")
	}
	body := map[string]any{}
	if len(plan.Trunks) > 0 {
		body["trunks"] = plan.Trunks
	}
	if len(plan.Numbers) > 0 {
		body["numbers"] = plan.Numbers
	}
	if len(plan.Routes) > 0 {
		body["routes"] = plan.Routes
	}
	if len(plan.Holidays) > 0 {
		body["holidays"] = plan.Holidays
	}
	if len(plan.Agents) > 0 {
		body["agents"] = plan.Agents
	}
	if len(plan.Queues) > 0 {
		body["queues"] = plan.Queues
	}
	err = c.call(ctx, http.MethodPut, "/v1/plan", query, nil, body, &result)
	return result, err
}

// Plan reads the stored plan; passwords are masked.
func (c *Client) Plan(ctx context.Context) (plan dialplan.Plan, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/plan", nil, nil, nil, &plan)
	return plan, err
}

// RouteQuery is one call, to be explained.
type RouteQuery struct {
	To       string            `json:"to"`
	From     string            `json:"from,omitempty"`
	Trunk    string            `json:"trunk,omitempty"`
	FromRoom bool              `json:"from_room,omitempty"` // it leaves a room or the API
	Stranger bool              `json:"stranger,omitempty"`  // it comes from a source that is not trusted
	Headers  map[string]string `json:"headers,omitempty"`   // header fields and attributes by name
	At       string            `json:"at,omitempty"`        // RFC 3339 or 2026-12-24T18:00 in the gateway's zone; empty: now
}

// Explained is where a call goes, and why.
type Explained struct {
	Route    string              `json:"route"`
	Target   *dialplan.Target    `json:"target"`
	Else     *dialplan.Target    `json:"else"`
	Trunk    string              `json:"trunk"`
	Trunks   []string            `json:"trunks"`
	To       string              `json:"to"`
	From     string              `json:"from"`
	Priority string              `json:"priority"`
	Refused  bool                `json:"refused"`
	Cause    string              `json:"cause"`
	Reason   string              `json:"reason"`
	Steps    []dialplan.Step     `json:"steps"`
	Notes    []string            `json:"notes"`
	Exits    []dialplan.ExitStep `json:"exits"`
	Text     string              `json:"text"` // all of it, to be read
	At       time.Time           `json:"at"`
}

// Explain asks the plan in force.
func (c *Client) Explain(ctx context.Context, q RouteQuery) (e Explained, err error) {
	err = c.call(ctx, http.MethodPost, "/v1/routes/explain", nil, nil, q, &e)
	e.Text = strings.TrimRight(e.Text, "\n")
	return e, err
}
