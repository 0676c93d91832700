package api

import (
	"cmp"
	"context"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/roomline/roomline/dialplan"
)

// kind is one sort of object in the dial plan.
type kind[T any] struct {
	singular, plural string
	name             func(T) string
	list             func(*dialplan.Plan) *[]T
	show             func(T) T           // without secrets
	keep             func(item, old T) T // with the secrets of old where item has the mask
	sorted           bool                // listed by name; routes are listed in their order
}

// The kinds.
var (
	trunks = kind[dialplan.Trunk]{
		singular: "trunk", plural: "trunks", sorted: true,
		name: func(t dialplan.Trunk) string { return t.Name },
		list: func(p *dialplan.Plan) *[]dialplan.Trunk { return &p.Trunks },
		show: dialplan.Trunk.Masked,
		keep: dialplan.Trunk.KeepSecrets,
	}
	numbers = kind[dialplan.Number]{
		singular: "number", plural: "numbers", sorted: true,
		name: func(n dialplan.Number) string { return n.Number },
		list: func(p *dialplan.Plan) *[]dialplan.Number { return &p.Numbers },
	}
	routes = kind[dialplan.Route]{
		singular: "route", plural: "routes",
		name: func(r dialplan.Route) string { return r.Name },
		list: func(p *dialplan.Plan) *[]dialplan.Route { return &p.Routes },
		show: dialplan.Route.Masked,
		keep: dialplan.Route.KeepSecrets,
	}
	holidays = kind[dialplan.Holiday]{
		singular: "calendar", plural: "holidays", sorted: true,
		name: func(h dialplan.Holiday) string { return h.Name },
		list: func(p *dialplan.Plan) *[]dialplan.Holiday { return &p.Holidays },
	}
	agents = kind[dialplan.Agent]{
		singular: "agent", plural: "agents", sorted: true,
		name: func(a dialplan.Agent) string { return a.Name },
		list: func(p *dialplan.Plan) *[]dialplan.Agent { return &p.Agents },
		show: dialplan.Agent.Masked,
		keep: dialplan.Agent.KeepSecrets,
	}
	queues = kind[dialplan.Queue]{
		singular: "queue", plural: "queues", sorted: true,
		name: func(q dialplan.Queue) string { return q.Name },
		list: func(p *dialplan.Plan) *[]dialplan.Queue { return &p.Queues },
		show: dialplan.Queue.Masked,
		keep: dialplan.Queue.KeepSecrets,
	}
)

// find returns the index of a name, -1 for none.
func (k kind[T]) find(items []T, name string) int {
	return slices.IndexFunc(items, func(t T) bool { return k.name(t) == name })
}

// shown is an item without its secrets.
func (k kind[T]) shown(item T) T {
	if k.show == nil {
		return item
	}
	return k.show(item)
}

// put adds or replaces an item, at a position from 0, or with -1 where it was, or last.
// It returns its index and whether it is new.
func (k kind[T]) put(p *dialplan.Plan, item T, position int) (index int, added bool) {
	items := k.list(p)
	old := k.find(*items, k.name(item))
	if old >= 0 && position < 0 {
		(*items)[old] = item
		return old, false
	}
	if old >= 0 {
		*items = slices.Delete(*items, old, old+1)
	}
	if position < 0 || position > len(*items) {
		position = len(*items)
	}
	*items = slices.Insert(*items, position, item)
	return position, old < 0
}

// newItem is POST of an object.
type newItem[T any] struct {
	Position int `query:"position" minimum:"1" doc:"of a route: its place from 1; absent: the end"`
	Body     T
}

// itemChange is PUT of one object.
type itemChange[T any] struct {
	Named
	Position int `query:"position" minimum:"1" doc:"of a route: its place from 1; absent: where it was, or the end"`
	Body     T
}

// itemAnswer is a stored object; 201 when it is new.
type itemAnswer[T any] struct {
	Status int
	Body   T
}

// registerKind registers create, list, read, replace and delete.
func registerKind[T any](s *Server, a huma.API, k kind[T]) {
	path := "/v1/" + k.plural
	huma.Register(a, operation("create-"+k.singular, http.MethodPost, path, "Add a "+k.singular, 201),
		func(ctx context.Context, in *newItem[T]) (*itemAnswer[T], error) {
			return putItem(ctx, s, k, in.Body, in.Position-1, true)
		})
	huma.Register(a, operation("list-"+k.plural, http.MethodGet, path, "List "+k.plural, 0),
		func(ctx context.Context, in *Paging) (*listOutput[T], error) { return listItems(ctx, s, k, in) })
	huma.Register(a, operation("get-"+k.singular, http.MethodGet, path+"/{id}", "Read a "+k.singular, 0),
		func(ctx context.Context, in *Named) (*one[T], error) { return getItem(ctx, s, k, in.ID) })
	huma.Register(a, operation("put-"+k.singular, http.MethodPut, path+"/{id}", "Add or replace a "+k.singular, 0),
		func(ctx context.Context, in *itemChange[T]) (*itemAnswer[T], error) {
			if k.name(in.Body) != in.ID {
				return nil, problem(http.StatusUnprocessableEntity, "nothing was changed: the body names another "+k.singular+" than the path",
					at("path.id", "expected the same name as in the body"))
			}
			return putItem(ctx, s, k, in.Body, in.Position-1, false)
		})
	huma.Register(a, operation("delete-"+k.singular, http.MethodDelete, path+"/{id}", "Delete a "+k.singular, 204),
		func(ctx context.Context, in *Named) (*none, error) { return nil, deleteItem(ctx, s, k, in.ID) })
}

// putItem stores one object; mustBeNew makes it a 409 when the name is taken.
func putItem[T any](ctx context.Context, s *Server, k kind[T], item T, position int, mustBeNew bool) (*itemAnswer[T], error) {
	if err := mustAdmin(ctx); err != nil {
		return nil, err
	}
	index, added := -1, false
	err := s.changePlan(ctx, func(p *dialplan.Plan) error {
		if mustBeNew && k.find(*k.list(p), k.name(item)) >= 0 {
			return problem(http.StatusConflict, "there is a "+k.singular+" with this name; PUT replaces it", at("body", "its name is taken"))
		}
		if old := k.find(*k.list(p), k.name(item)); k.keep != nil && old >= 0 {
			item = k.keep(item, (*k.list(p))[old])
		}
		index, added = k.put(p, item, position)
		if problems := p.Check(); len(problems) > 0 {
			return dialplan.Problems(problems)
		}
		return nil
	})
	if err != nil {
		return nil, s.fromPlan(ctx, err, k.plural, index)
	}
	answer := &itemAnswer[T]{Status: http.StatusOK, Body: k.shown(item)}
	if added {
		answer.Status = http.StatusCreated
	}
	return answer, nil
}

// listItems reads the stored plan.
func listItems[T any](ctx context.Context, s *Server, k kind[T], in *Paging) (*listOutput[T], error) {
	plan, err := s.store.LoadPlan(ctx)
	if err != nil {
		return nil, s.storeAway(ctx, err)
	}
	all := slices.Clone(*k.list(plan))
	if k.sorted {
		slices.SortFunc(all, func(a, b T) int { return cmp.Compare(k.name(a), k.name(b)) })
	}
	items, next := pageAfter(all, in, k.name)
	items = slices.Clone(items)
	for i := range items {
		items[i] = k.shown(items[i])
	}
	return listed(items, next), nil
}

func getItem[T any](ctx context.Context, s *Server, k kind[T], name string) (*one[T], error) {
	plan, err := s.store.LoadPlan(ctx)
	if err != nil {
		return nil, s.storeAway(ctx, err)
	}
	items := *k.list(plan)
	i := k.find(items, name)
	if i < 0 {
		return nil, notFound(k.singular, name)
	}
	return &one[T]{Body: k.shown(items[i])}, nil
}

// deleteItem removes one object, unless another one still needs it: 409.
func deleteItem[T any](ctx context.Context, s *Server, k kind[T], name string) error {
	if err := mustAdmin(ctx); err != nil {
		return err
	}
	err := s.changePlan(ctx, func(p *dialplan.Plan) error {
		items := k.list(p)
		i := k.find(*items, name)
		if i < 0 {
			return notFound(k.singular, name)
		}
		*items = slices.Delete(*items, i, i+1)
		if problems := p.Check(); len(problems) > 0 {
			return problem(http.StatusConflict, "the "+k.singular+" is still needed: "+problems[0].Error())
		}
		return nil
	})
	if err != nil {
		return s.fromPlan(ctx, err, k.plural, -1)
	}
	return nil
}
