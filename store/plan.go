package store

import (
	"context"

	"github.com/roomline/roomline/dialplan"
)

// LoadPlan reads the whole dial plan, routes in order.
func (s *Store) LoadPlan(ctx context.Context) (*dialplan.Plan, error) { return nil, errNotBuilt }

// PlanRevision grows with every change of the plan, by whichever gateway.
func (s *Store) PlanRevision(ctx context.Context) (int64, error) { return 0, errNotBuilt }

// ReplacePlan writes a whole plan in one transaction. A plan with problems is
// refused with [dialplan.Problems] and changes nothing.
func (s *Store) ReplacePlan(ctx context.Context, p *dialplan.Plan) error { return errNotBuilt }

// ChangePlan loads the plan, lets change edit it and writes it back, in one
// transaction that excludes other gateways. Problems are refused as in ReplacePlan.
func (s *Store) ChangePlan(ctx context.Context, change func(*dialplan.Plan) error) error {
	return errNotBuilt
}

// Trunks lists trunks by name.
func (s *Store) Trunks(ctx context.Context, page Page) (items []dialplan.Trunk, next string, err error) {
	return nil, "", errNotBuilt
}

// Trunk finds one by name, or ErrNotFound.
func (s *Store) Trunk(ctx context.Context, name string) (dialplan.Trunk, error) {
	return dialplan.Trunk{}, errNotBuilt
}

// PutTrunk adds or replaces a trunk. A password that is [dialplan.Mask] keeps the one stored.
func (s *Store) PutTrunk(ctx context.Context, t dialplan.Trunk) (created bool, err error) {
	return false, errNotBuilt
}

// DeleteTrunk removes a trunk, or ErrNotFound; problems when a route still names it.
func (s *Store) DeleteTrunk(ctx context.Context, name string) error { return errNotBuilt }

// Numbers lists numbers in their own order.
func (s *Store) Numbers(ctx context.Context, page Page) (items []dialplan.Number, next string, err error) {
	return nil, "", errNotBuilt
}

// Number finds one, or ErrNotFound.
func (s *Store) Number(ctx context.Context, number string) (dialplan.Number, error) {
	return dialplan.Number{}, errNotBuilt
}

// PutNumber adds or replaces a number.
func (s *Store) PutNumber(ctx context.Context, n dialplan.Number) (created bool, err error) {
	return false, errNotBuilt
}

// DeleteNumber removes a number, or ErrNotFound.
func (s *Store) DeleteNumber(ctx context.Context, number string) error { return errNotBuilt }

// Routes lists routes in the order in which they are tried.
func (s *Store) Routes(ctx context.Context, page Page) (items []dialplan.Route, next string, err error) {
	return nil, "", errNotBuilt
}

// Route finds one by name, or ErrNotFound.
func (s *Store) Route(ctx context.Context, name string) (dialplan.Route, error) {
	return dialplan.Route{}, errNotBuilt
}

// PutRoute adds or replaces a route at a position from 0; -1 keeps its place, or appends a new one.
func (s *Store) PutRoute(ctx context.Context, r dialplan.Route, position int) (created bool, err error) {
	return false, errNotBuilt
}

// DeleteRoute removes a route, or ErrNotFound.
func (s *Store) DeleteRoute(ctx context.Context, name string) error { return errNotBuilt }

// Agents lists agents by name.
func (s *Store) Agents(ctx context.Context, page Page) (items []dialplan.Agent, next string, err error) {
	return nil, "", errNotBuilt
}

// Agent finds one by name, or ErrNotFound.
func (s *Store) Agent(ctx context.Context, name string) (dialplan.Agent, error) {
	return dialplan.Agent{}, errNotBuilt
}

// PutAgent adds or replaces an agent.
func (s *Store) PutAgent(ctx context.Context, a dialplan.Agent) (created bool, err error) {
	return false, errNotBuilt
}

// DeleteAgent removes an agent, or ErrNotFound.
func (s *Store) DeleteAgent(ctx context.Context, name string) error { return errNotBuilt }

// SaveSnapshot writes the plan to a file in the data folder, atomically, mode 0600.
func SaveSnapshot(dir string, p *dialplan.Plan) error { return errNotBuilt }

// LoadSnapshot reads what SaveSnapshot wrote; an error that is fs.ErrNotExist when there is none.
func LoadSnapshot(dir string) (*dialplan.Plan, error) { return nil, errNotBuilt }
