package store

import (
	"context"
	"time"
)

// RequestTTL is how long an idempotency key is remembered.
const RequestTTL = 24 * time.Hour

// Request is a request that carried an Idempotency-Key.
type Request struct {
	Scope     string // whose key it is: the API key's id
	Key       string // as the client sent it
	Hash      string // of method, path and body
	Done      bool   // false: still being worked on
	Status    int    // of the answer, when done
	Body      []byte // of the answer, when done
	StartedAt time.Time
}

// ClaimRequest starts a request (first is true), or finds the one that carried
// the key before, done or in progress. ErrConflict when that one had another hash.
func (s *Store) ClaimRequest(ctx context.Context, scope, key, hash string, now time.Time) (r Request, first bool, err error) {
	return Request{}, false, errNotBuilt
}

// FinishRequest stores the answer, to be given again to who retries.
func (s *Store) FinishRequest(ctx context.Context, scope, key string, status int, body []byte) error {
	return errNotBuilt
}

// ReleaseRequest forgets a request that did nothing, so that a retry may try again.
func (s *Store) ReleaseRequest(ctx context.Context, scope, key string) error { return errNotBuilt }

// Prune deletes what has expired: idempotency keys, delivered webhooks, and events before eventsBefore.
func (s *Store) Prune(ctx context.Context, now, eventsBefore time.Time) error { return errNotBuilt }
