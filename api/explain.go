package api

import (
	"context"
	"reflect"
	"time"

	"github.com/roomline/roomline/dialplan"
)

// explainInput is POST /v1/routes/explain.
type explainInput struct {
	Body struct {
		To       string            `json:"to" minLength:"1" maxLength:"256" doc:"the called number, user part or URI"`
		From     string            `json:"from,omitempty" maxLength:"256"`
		Trunk    string            `json:"trunk,omitempty" maxLength:"63" doc:"where the call comes in; with from_room, where it should leave"`
		FromRoom bool              `json:"from_room,omitempty" doc:"a call that leaves a room or the API"`
		Stranger bool              `json:"stranger,omitempty" doc:"a call from a source that is not trusted"`
		Headers  map[string]string `json:"headers,omitempty" maxProperties:"64" doc:"header fields and attributes by name, as conditions of routes look at them"`
		At       string            `json:"at,omitempty" maxLength:"64" doc:"when: RFC 3339, or 2026-12-24T18:00 in the gateway's zone; now when absent"`
	}
}

// Explained is a decision of the plan in force and the way that led there.
type Explained struct {
	Route    string              `json:"route,omitempty" doc:"the rule; absent for the default of no rule"`
	Target   *dialplan.Target    `json:"target,omitempty"`
	Else     *dialplan.Target    `json:"else,omitempty" doc:"where it goes when the target cannot take it"`
	Trunk    string              `json:"trunk,omitempty" doc:"by which a call from a room leaves"`
	Trunks   []string            `json:"trunks,omitempty" doc:"by which it would leave, in the order to try them"`
	To       string              `json:"to,omitempty" doc:"the called address, in the form of the trunk's country"`
	From     string              `json:"from,omitempty" doc:"the caller, in the form of the trunk's country"`
	Priority string              `json:"priority,omitempty"`
	Refused  bool                `json:"refused"`
	Cause    string              `json:"cause,omitempty"`
	Reason   string              `json:"reason,omitempty" doc:"in words"`
	Steps    []dialplan.Step     `json:"steps" nullable:"false" doc:"the rules looked at, in order"`
	Notes    []string            `json:"notes,omitempty" doc:"how numbers were read"`
	Exits    []dialplan.ExitStep `json:"exits,omitempty" doc:"the trunks by which numbers may be dialled, or why not, in the order to try them"`
	Ladder   []dialplan.Rung     `json:"ladder,omitempty" doc:"where the call goes, one after the other, as long as nobody takes it; absent where no agent and no queue is among it"`
	Text     string              `json:"text" doc:"all of it, to be read"`
	At       time.Time           `json:"at"`
}

// explain asks the plan in force, so it works without the store.
func (s *Server) explain(_ context.Context, in *explainInput) (*one[Explained], error) {
	when := time.Now()
	if in.Body.At != "" {
		var err error
		if when, err = parseWhen(in.Body.At); err != nil {
			return nil, err
		}
	}
	e := s.plan().Explain(dialplan.Query{
		FromRoom: in.Body.FromRoom, Stranger: in.Body.Stranger, Trunk: in.Body.Trunk,
		To: in.Body.To, From: in.Body.From, Headers: in.Body.Headers, At: when,
	})
	d := e.Decision.Masked()
	out := Explained{
		Route: d.Route, Else: d.Else, Trunk: d.Trunk, Trunks: d.Trunks, To: d.To, From: d.From, Priority: d.Priority, Refused: d.Refused,
		Cause: d.Cause, Reason: d.Reason, Steps: e.Steps, Notes: e.Notes, Exits: e.Exits, Ladder: e.Ladder, Text: e.String(), At: when,
	}
	if out.Steps == nil {
		out.Steps = []dialplan.Step{}
	}
	if !reflect.ValueOf(d.Target).IsZero() {
		out.Target = &d.Target
	}
	return &one[Explained]{Body: out}, nil
}

// parseWhen reads a time with a zone, or without one in the gateway's.
func parseWhen(s string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, invalid("body.at", "expected a time like 2026-12-24T18:00 or 2026-12-24T18:00:00Z")
}
