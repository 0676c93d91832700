package api

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// document is as much of OpenAPI 3.1 as a check of its structure needs.
type document struct {
	OpenAPI string `json:"openapi"`
	Info    struct{ Title, Version string }
	Paths   map[string]map[string]struct {
		OperationID string
		Parameters  []struct {
			Name, In string
			Required bool
		}
		RequestBody json.RawMessage
		Responses   map[string]struct {
			Description string
			Content     map[string]json.RawMessage
		}
		Security []map[string][]string
	}
	Components struct {
		Schemas         map[string]json.RawMessage
		SecuritySchemes map[string]json.RawMessage
	}
}

// contract is every call of DESIGN section 4 that exists, and those beside it.
var contract = []string{
	"POST /v1/calls", "GET /v1/calls", "GET /v1/calls/{id}", "DELETE /v1/calls/{id}",
	"POST /v1/calls/{id}/dtmf", "POST /v1/calls/{id}/hold", "POST /v1/calls/{id}/unhold", "POST /v1/calls/{id}/mute",
	"POST /v1/calls/{id}/unmute", "POST /v1/calls/{id}/transfer", "POST /v1/calls/{id}/transfer/accept", "POST /v1/calls/{id}/transfer/decline", "POST /v1/calls/{id}/transfer/brief",
	"POST /v1/calls/{id}/escalate",
	"GET /v1/rooms", "PATCH /v1/rooms/{room}/participants/{id}", "GET /v1/rooms/{room}", "POST /v1/rooms/{room}/tokens", "GET /v1/rooms/{room}/ws",
	"POST /v1/rooms/{room}/agents", "DELETE /v1/rooms/{room}/agents/{id}",
	"POST /v1/rooms/{room}/whip", "POST /v1/rooms/{room}/whep", "PATCH /v1/rooms/{room}/sessions/{id}", "DELETE /v1/rooms/{room}/sessions/{id}",
	"GET /v1/queues/{queue}/calls", "GET /v1/queues/{queue}/events", "POST /v1/queues/{queue}/accept",
	"POST /v1/queues/{queue}/calls/{id}/accept", "POST /v1/queues/{queue}/calls/{id}/decline",
	"GET /v1/events", "GET /v1/cdrs", "GET /v1/refused", "GET /v1/plan", "PUT /v1/plan", "POST /v1/routes/explain",
	"POST /v1/trunks", "GET /v1/trunks", "GET /v1/trunks/{id}", "PUT /v1/trunks/{id}", "DELETE /v1/trunks/{id}",
	"POST /v1/numbers", "GET /v1/numbers", "GET /v1/numbers/{id}", "PUT /v1/numbers/{id}", "DELETE /v1/numbers/{id}",
	"POST /v1/routes", "GET /v1/routes", "GET /v1/routes/{id}", "PUT /v1/routes/{id}", "DELETE /v1/routes/{id}",
	"POST /v1/holidays", "GET /v1/holidays", "GET /v1/holidays/{id}", "PUT /v1/holidays/{id}", "DELETE /v1/holidays/{id}",
	"POST /v1/agents", "GET /v1/agents", "GET /v1/agents/{id}", "PUT /v1/agents/{id}", "DELETE /v1/agents/{id}",
	"GET /v1/agent-states", "GET /v1/agents/{id}/workers", "POST /v1/agents/{id}/drain", "POST /v1/agents/{id}/resume", "POST /v1/agents/{id}/test",
	"POST /v1/queues", "GET /v1/queues", "GET /v1/queues/{id}", "PUT /v1/queues/{id}", "DELETE /v1/queues/{id}",
	"POST /v1/keys", "GET /v1/keys", "GET /v1/keys/{id}", "DELETE /v1/keys/{id}",
	"POST /v1/webhooks", "GET /v1/webhooks", "GET /v1/webhooks/{id}", "PUT /v1/webhooks/{id}", "DELETE /v1/webhooks/{id}",
	"GET /v1/webhooks/{id}/deliveries",
	"GET /v1/calls/{id}/quality", "GET /v1/calls/{id}/transcript", "GET /v1/rooms/{room}/quality",
	"GET /v1/calls/{id}/trace", "GET /v1/trace", "GET /v1/trunk-states", "GET /v1/trunks/{id}/state", "POST /v1/trunks/{id}/test",
}

func TestDescriptionListsEveryCall(t *testing.T) {
	h := newHouse(t)
	a := h.ask(t, "GET", "/v1/openapi.json", "", "Authorization: ").is(200)
	doc := into[document](a)
	if doc.OpenAPI != "3.1.0" || doc.Info.Title == "" || doc.Info.Version == "" {
		t.Fatalf("%s %+v", doc.OpenAPI, doc.Info)
	}
	var listed []string
	for path, methods := range doc.Paths {
		for method := range methods {
			listed = append(listed, strings.ToUpper(method)+" "+path)
		}
	}
	for _, call := range contract {
		if !slices.Contains(listed, call) {
			t.Errorf("%s is not described", call)
		}
	}
	for _, call := range listed {
		if !slices.Contains(contract, call) {
			t.Errorf("%s is described and not in the contract", call)
		}
	}
	if strings.Contains(a.body, "$schema") {
		t.Error("the description speaks of $schema")
	}
}

func TestDescriptionHoldsTogether(t *testing.T) {
	h := newHouse(t)
	a := h.ask(t, "GET", "/v1/openapi.json", "").is(200)
	doc := into[document](a)
	ids := map[string]bool{}
	inPath := regexp.MustCompile(`\{([^}]+)\}`)
	for path, methods := range doc.Paths {
		for method, op := range methods {
			where := method + " " + path
			if op.OperationID == "" || ids[op.OperationID] {
				t.Errorf("%s: operation id %q is missing or taken", where, op.OperationID)
			}
			ids[op.OperationID] = true
			for _, m := range inPath.FindAllStringSubmatch(path, -1) {
				if !slices.ContainsFunc(op.Parameters, func(p struct {
					Name, In string
					Required bool
				}) bool {
					return p.In == "path" && p.Name == m[1] && p.Required
				}) {
					t.Errorf("%s: {%s} is not a required path parameter", where, m[1])
				}
			}
			problems, successes := 0, 0
			for status, r := range op.Responses {
				if r.Description == "" {
					t.Errorf("%s: %s has no description", where, status)
				}
				if _, ok := r.Content["application/problem+json"]; ok {
					problems++
				}
				if status[0] == '2' || status == "101" {
					successes++
				}
			}
			if problems == 0 || successes != 1 {
				t.Errorf("%s: %d problems, %d successes", where, problems, successes)
			}
			for _, s := range op.Security {
				for name := range s {
					if doc.Components.SecuritySchemes[name] == nil {
						t.Errorf("%s: security scheme %q is not defined", where, name)
					}
				}
			}
		}
	}
	for _, m := range regexp.MustCompile(`"\$ref":"([^"]+)"`).FindAllStringSubmatch(a.body, -1) {
		name, ok := strings.CutPrefix(m[1], "#/components/schemas/")
		if !ok || doc.Components.Schemas[name] == nil {
			t.Errorf("%s leads nowhere", m[1])
		}
	}
}

// What is described is there: every call needs a key, and none is unknown.
func TestEveryDescribedCallExists(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.Rooms = fakeRooms{} })
	for _, call := range contract {
		method, path, _ := strings.Cut(call, " ")
		path = strings.NewReplacer("{id}", "x", "{room}", "x", "{queue}", "desk").Replace(path)
		h.Server.keys.failures = &failures{}
		if strings.HasPrefix(path, "/v1/rooms/x/") && !strings.HasSuffix(path, "/tokens") && !strings.Contains(path, "/agents") && !strings.Contains(path, "/participants") && !strings.HasSuffix(path, "/quality") {
			h.ask(t, method, path, "", "Authorization: Bearer room-token").is(299) // the room's own tokens
			continue
		}
		h.ask(t, method, path, "", "Authorization: ").is(401)
		if strings.HasSuffix(path, "/events") {
			continue
		}
		if a := h.ask(t, method, path, "{}"); a.status == 405 || strings.Contains(a.body, "there is nothing at") {
			t.Errorf("%s answers %d", call, a.status)
		}
	}
}

// fakeRooms answers with a status of its own.
type fakeRooms struct{}

func (fakeRooms) Register(mux *http.ServeMux) {
	for _, path := range []string{"ws", "whip", "whep", "sessions/{id}"} {
		mux.HandleFunc("/v1/rooms/{room}/"+path, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(299) })
	}
}
