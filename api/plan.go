package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/roomline/roomline/dialplan"
	"github.com/roomline/roomline/store"
)

// errDryRun ends a change of the plan before anything is written.
var errDryRun = errors.New("dry run")

// planInput is PUT /v1/plan.
type planInput struct {
	Prune  bool `query:"prune" doc:"remove what the plan does not name; otherwise it stays, routes behind those of the plan"`
	DryRun bool `query:"dry_run" doc:"say what would change, and change nothing"`
	Body   planBody
}

// planBody is a dial plan with every part optional.
type planBody struct {
	Trunks   []dialplan.Trunk   `json:"trunks,omitempty"`
	Numbers  []dialplan.Number  `json:"numbers,omitempty"`
	Routes   []dialplan.Route   `json:"routes,omitempty"`
	Agents   []dialplan.Agent   `json:"agents,omitempty"`
	Queues   []dialplan.Queue   `json:"queues,omitempty"`
	Holidays []dialplan.Holiday `json:"holidays,omitempty"`
}

// PlanResult is the answer of PUT /v1/plan.
type PlanResult struct {
	Changes []dialplan.Change `json:"changes" nullable:"false" doc:"what turned the plan before into this one; secrets are masked"`
	Applied bool              `json:"applied" doc:"false for a dry run"`
}

// planOperations registers the dial plan, as a whole and by its objects.
func (s *Server) planOperations(a huma.API) {
	huma.Register(a, operation("get-plan", http.MethodGet, "/v1/plan", "The stored dial plan, passwords masked", 0), s.getPlan)
	huma.Register(a, operation("put-plan", http.MethodPut, "/v1/plan", "Apply a dial plan in one piece, or say what it would change", 0), s.putPlan)
	huma.Register(a, operation("explain-route", http.MethodPost, "/v1/routes/explain", "Which route a call would take, and why", 0), s.explain)
	registerKind(s, a, trunks)
	registerKind(s, a, numbers)
	registerKind(s, a, routes)
	registerKind(s, a, holidays)
	registerKind(s, a, agents)
	registerKind(s, a, queues)
}

func (s *Server) getPlan(ctx context.Context, _ *none) (*one[*dialplan.Plan], error) {
	plan, err := s.store.LoadPlan(ctx)
	if err != nil {
		return nil, s.storeAway(ctx, err)
	}
	return &one[*dialplan.Plan]{Body: plan.Masked()}, nil
}

// putPlan applies a plan in one transaction.
func (s *Server) putPlan(ctx context.Context, in *planInput) (*one[PlanResult], error) {
	if err := mustAdmin(ctx); err != nil {
		return nil, err
	}
	result := PlanResult{Applied: !in.DryRun, Changes: []dialplan.Change{}}
	err := s.changePlan(ctx, func(p *dialplan.Plan) error {
		before := *p
		next := dialplan.Plan{
			Trunks: in.Body.Trunks, Numbers: in.Body.Numbers, Routes: in.Body.Routes, Holidays: in.Body.Holidays, Agents: in.Body.Agents, Queues: in.Body.Queues,
		}
		if !in.Prune {
			next = merge(next, before)
		}
		next.KeepSecrets(&before)
		if problems := next.Check(); len(problems) > 0 {
			return dialplan.Problems(problems)
		}
		result.Changes = append([]dialplan.Change{}, dialplan.Diff(&before, &next)...)
		*p = next
		if in.DryRun {
			return errDryRun
		}
		return nil
	})
	if err != nil && !errors.Is(err, errDryRun) {
		return nil, s.fromPlan(ctx, err, "", -1)
	}
	return &one[PlanResult]{Body: result}, nil
}

// merge adds to next what it does not name: the file's routes come first, in
// its own order, so that it behaves as it reads.
func merge(next, before dialplan.Plan) dialplan.Plan {
	next.Trunks = withOthers(next.Trunks, before.Trunks, trunks)
	next.Numbers = withOthers(next.Numbers, before.Numbers, numbers)
	next.Routes = withOthers(next.Routes, before.Routes, routes)
	next.Holidays = withOthers(next.Holidays, before.Holidays, holidays)
	next.Agents = withOthers(next.Agents, before.Agents, agents)
	next.Queues = withOthers(next.Queues, before.Queues, queues)
	return next
}

// withOthers appends the items of before whose names are not in items.
func withOthers[T any](items, before []T, k kind[T]) []T {
	merged := slices.Clone(items)
	for _, old := range before {
		if k.find(items, k.name(old)) < 0 {
			merged = append(merged, old)
		}
	}
	return merged
}

// changePlan edits the stored plan and says what it is now.
func (s *Server) changePlan(ctx context.Context, change func(*dialplan.Plan) error) error {
	s.planMu.Lock()
	defer s.planMu.Unlock()
	var now dialplan.Plan
	err := s.store.ChangePlan(ctx, func(p *dialplan.Plan) error {
		if err := change(p); err != nil {
			return err
		}
		now = *p
		return nil
	})
	if err != nil {
		return err
	}
	if s.planChanged != nil {
		s.planChanged(&now)
	}
	return nil
}

// fromPlan translates what a change of the plan ended in. The object that was
// sent is plural[index]; its problems are located in the body, others by name.
func (s *Server) fromPlan(ctx context.Context, err error, plural string, index int) error {
	var problems dialplan.Problems
	var known huma.StatusError
	switch {
	case errors.As(err, &known):
		return err
	case errors.Is(err, store.ErrConflict):
		return later(problem(http.StatusConflict, "another change of the dial plan came first; nothing was changed"), 0)
	case !errors.As(err, &problems):
		return s.storeAway(ctx, err)
	}
	fields := make([]*huma.ErrorDetail, len(problems))
	for i, p := range problems {
		fields[i] = at(bodyLocation(p.Field, plural, index), "%s", p.Message)
	}
	return problem(http.StatusUnprocessableEntity, "nothing was changed: "+sentence(fields), fields...)
}

// bodyLocation turns a field of the plan into a location in the body.
func bodyLocation(field, plural string, index int) string {
	if plural == "" {
		return join("body", field)
	}
	own := plural + "[" + strconv.Itoa(index) + "]"
	if rest, ok := strings.CutPrefix(field, own); ok {
		return "body" + rest
	}
	return field
}
