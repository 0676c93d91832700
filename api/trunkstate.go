package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
)

// trunkTestTime bounds a trunk's test.
const trunkTestTime = 50 * time.Second

// trunkTestInput is POST /v1/trunks/{id}/test.
type trunkTestInput struct {
	Named
	Body struct {
		To     string `json:"to,omitempty" maxLength:"256" doc:"a number to call, held to the dial plan; absent: no call is placed"`
		From   string `json:"from,omitempty" maxLength:"256" doc:"caller id of that call; absent: the trunk's"`
		Listen int    `json:"listen,omitempty" minimum:"1" maximum:"20" doc:"seconds that the answered call is listened to; 3 when absent"`
	} `required:"false"`
}

// trunkStateOperations registers how trunks stand, and their test.
func (s *Server) trunkStateOperations(a huma.API) {
	huma.Register(a, operation("list-trunk-states", http.MethodGet, "/v1/trunk-states", "How every trunk stands on this gateway: registration, servers", 0), s.listTrunkStates)
	huma.Register(a, operation("get-trunk-state", http.MethodGet, "/v1/trunks/{id}/state", "How a trunk stands on this gateway", 0), s.getTrunkState)
	test := operation("test-trunk", http.MethodPost, "/v1/trunks/{id}/test", "Test a trunk: names, TLS, OPTIONS, registration, a call; one JSON object per line, as it goes", 0)
	steps := a.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[bridge.TrunkStep](), true, "TrunkStep")
	test.Responses = stepResponses(steps)
	huma.Register(a, test, s.testTrunk)
}

// stepResponses describe an answer with a step per line.
func stepResponses(steps *huma.Schema) map[string]*huma.Response {
	return map[string]*huma.Response{"200": {
		Description: "The steps, one per line, while they happen", Content: map[string]*huma.MediaType{"application/x-ndjson": {Schema: steps}},
	}}
}

// states are those of the trunks in force; a trunk that the signalling knows
// nothing of yet has just its name.
func (s *Server) states() []bridge.TrunkState {
	var known, all []bridge.TrunkState
	if s.trunks != nil {
		known = s.trunks.TrunkStates()
	}
	for _, t := range s.plan().Trunks {
		i := slices.IndexFunc(known, func(st bridge.TrunkState) bool { return st.Name == t.Name })
		if i < 0 {
			all = append(all, bridge.TrunkState{Name: t.Name})
			continue
		}
		all = append(all, known[i])
	}
	return all
}

func (s *Server) listTrunkStates(_ context.Context, in *Paging) (*listOutput[bridge.TrunkState], error) {
	items, next := pageAfter(s.states(), in, func(t bridge.TrunkState) string { return t.Name })
	return listed(items, next), nil
}

func (s *Server) getTrunkState(_ context.Context, in *Named) (*one[bridge.TrunkState], error) {
	for _, st := range s.states() {
		if st.Name == in.ID {
			return &one[bridge.TrunkState]{Body: st}, nil
		}
	}
	return nil, notFound("trunk", in.ID)
}

// testTrunk streams the steps of a test. A test call costs money and rings
// somebody: it needs an admin's key, and the dial plan must allow it.
func (s *Server) testTrunk(ctx context.Context, in *trunkTestInput) (*huma.StreamResponse, error) {
	if err := mustAdmin(ctx); err != nil {
		return nil, err
	}
	plan := s.plan()
	trunk, ok := plan.TrunkNamed(in.ID)
	switch {
	case !ok:
		return nil, notFound("trunk", in.ID)
	case s.trunks == nil:
		return nil, problem(http.StatusServiceUnavailable, "this gateway has no SIP signalling to test a trunk with")
	}
	test := bridge.TrunkTest{From: in.Body.From, Listen: time.Duration(in.Body.Listen) * time.Second}
	if in.Body.To != "" {
		exit, err := plan.Exit(dialplan.Query{FromRoom: true, Trunk: in.ID, To: in.Body.To, From: in.Body.From, At: time.Now()})
		if err != nil {
			return nil, deniedCall(err)
		}
		if exit.Emergency {
			return nil, problem(http.StatusForbidden, "an emergency number is not called for a test", at("body.to", "expected another number; 933 where the carrier has it, by a real call"))
		}
		test.To = exit.To
	}
	return &huma.StreamResponse{Body: func(out huma.Context) { s.runTest(out, trunk, test) }}, nil
}

// deniedCall says why the dial plan forbids a test call.
func deniedCall(err error) error {
	var denied *dialplan.Denied
	if errors.As(err, &denied) && denied.Cause == string(bridge.CauseUnknownNumber) {
		return invalid("body.to", "%s", denied.Reason)
	}
	return problem(http.StatusForbidden, "the dial plan does not allow this test call: "+err.Error(), at("body.to", "%s", err))
}

func (s *Server) runTest(out huma.Context, trunk dialplan.Trunk, test bridge.TrunkTest) {
	ctx, cancel := context.WithTimeout(out.Context(), trunkTestTime)
	defer cancel()
	line := lines(out, cancel)
	s.trunks.TestTrunk(ctx, trunk, test, func(step bridge.TrunkStep) { line(step) })
}

// lines returns what writes steps, one per line, at once; lost is called when
// nobody reads them any more.
func lines(out huma.Context, lost func()) (line func(step any)) {
	out.SetHeader("Content-Type", "application/x-ndjson")
	w := out.BodyWriter()
	encoder := json.NewEncoder(w)
	return func(step any) {
		if encoder.Encode(step) != nil {
			lost()
			return
		}
		if f, ok := w.(http.ResponseWriter); ok {
			http.NewResponseController(f).Flush()
		}
	}
}
