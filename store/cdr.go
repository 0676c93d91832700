package store

import (
	"context"
	"time"

	"github.com/roomline/roomline/bridge"
)

// CDRFilter narrows a list of CDRs; empty fields do not.
type CDRFilter struct {
	Room, Trunk, From, To, Direction, Cause, ParentID string
	Since, Until                                      time.Time // created_at in [Since, Until)
}

// PutCDR writes a CDR; one that is there already stays as it is.
func (s *Store) PutCDR(ctx context.Context, c bridge.CDR) error { return errNotBuilt }

// CDR finds one by call id, or ErrNotFound.
func (s *Store) CDR(ctx context.Context, id string) (bridge.CDR, error) {
	return bridge.CDR{}, errNotBuilt
}

// CDRs lists them, newest first; next is empty on the last page.
func (s *Store) CDRs(ctx context.Context, f CDRFilter, page Page) (items []bridge.CDR, next string, err error) {
	return nil, "", errNotBuilt
}
