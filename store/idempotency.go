package store

import (
	"context"
	"database/sql"
	"fmt"
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
// Of several who claim at once, on whichever gateway, one is first.
func (s *Store) ClaimRequest(ctx context.Context, scope, key, hash string, now time.Time) (r Request, first bool, err error) {
	scope, key = clean(scope), clean(key)
	err = s.transact(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM requests WHERE scope = $1 AND request_key = $2 AND expires_at <= $3",
			scope, key, stamp(now)); err != nil {
			return err
		}
		n, err := changed(ctx, tx, `INSERT INTO requests (scope, request_key, hash, done, status, started_at, expires_at)
			VALUES ($1, $2, $3, 0, 0, $4, $5) ON CONFLICT (scope, request_key) DO NOTHING`,
			scope, key, hash, stamp(now), stamp(now.Add(RequestTTL)))
		if err != nil {
			return err
		}
		first = n == 1
		r, err = one(ctx, tx, scanRequest, `SELECT scope, request_key, hash, done, status, answer, started_at FROM requests
			WHERE scope = $1 AND request_key = $2`, scope, key)
		return err
	})
	if err != nil {
		return Request{}, false, fmt.Errorf("claim the idempotency key: %w", err)
	}
	if r.Hash != hash {
		return r, false, ErrConflict
	}
	return r, first, nil
}

func scanRequest(rows *sql.Rows) (r Request, err error) {
	var done int64
	var started string
	if err = rows.Scan(&r.Scope, &r.Key, &r.Hash, &done, &r.Status, &r.Body, &started); err != nil {
		return r, err
	}
	r.Done = done != 0
	r.StartedAt, err = unstamp(started)
	return r, err
}

// FinishRequest stores the answer, to be given again to who retries. ErrNotFound when it was not claimed.
func (s *Store) FinishRequest(ctx context.Context, scope, key string, status int, body []byte) error {
	n, err := changed(ctx, s.write, "UPDATE requests SET done = 1, status = $1, answer = $2 WHERE scope = $3 AND request_key = $4 AND done = 0",
		status, body, clean(scope), clean(key))
	if err != nil {
		return fmt.Errorf("finish the idempotency key: %w", err)
	}
	if n == 0 {
		return ErrNotFound
	}
	return nil
}

// ReleaseRequest forgets a request that did nothing, so that a retry may try again.
func (s *Store) ReleaseRequest(ctx context.Context, scope, key string) error {
	_, err := s.write.ExecContext(ctx, "DELETE FROM requests WHERE scope = $1 AND request_key = $2 AND done = 0", clean(scope), clean(key))
	return err
}

// Prune deletes what has expired: idempotency keys, settled deliveries of
// events, and events, that are older than eventsBefore. CDRs and refusals stay.
func (s *Store) Prune(ctx context.Context, now, eventsBefore time.Time) error {
	return s.transact(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM requests WHERE expires_at <= $1", stamp(now)); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM deliveries WHERE state <> 'pending' AND next_at < $1", stamp(eventsBefore)); err != nil {
			return err
		}
		// The ids of events begin with their time, in nanoseconds.
		_, err := tx.ExecContext(ctx, "DELETE FROM events WHERE id < $1", fmt.Sprintf("%016x", eventsBefore.UnixNano()))
		return err
	})
}
