package store

import (
	"context"
	"time"

	"github.com/roomline/roomline/bridge"
)

// PutEvents writes events and, for those that are new, their webhook deliveries.
func (s *Store) PutEvents(ctx context.Context, events []bridge.Event) error { return errNotBuilt }

// Events lists events with an id after the given one, oldest first.
func (s *Store) Events(ctx context.Context, after string, limit int) ([]bridge.Event, error) {
	return nil, errNotBuilt
}

// CallEvents lists the events of one call, oldest first.
func (s *Store) CallEvents(ctx context.Context, callID string, page Page) (items []bridge.Event, next string, err error) {
	return nil, "", errNotBuilt
}

// PutRefusal writes a refused INVITE; one that is there already stays as it is.
func (s *Store) PutRefusal(ctx context.Context, r bridge.Refusal) error { return errNotBuilt }

// RefusalFilter narrows a list of refusals; empty fields do not.
type RefusalFilter struct {
	From, To, Cause string
	Since, Until    time.Time
}

// Refusals lists refused INVITEs, newest first.
func (s *Store) Refusals(ctx context.Context, f RefusalFilter, page Page) (items []bridge.Refusal, next string, err error) {
	return nil, "", errNotBuilt
}
