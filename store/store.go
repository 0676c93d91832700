// Package store keeps what outlives a call: CDRs, events, refusals, the dial
// plan, keys, webhooks with their outbox, and idempotency keys. It runs on
// SQLite (nothing to install) and on PostgreSQL (several gateways share one)
// with one portable SQL text per query.
//
// The live road never waits for it: [Spool] is a journal on disk that takes
// CDRs, events and refusals at once and drains them into the Store, each
// exactly once; [SaveSnapshot] keeps the dial plan for a start without the
// database.
//
// Goroutines: none but the one of [Spool.Run], and those of database/sql.
package store

import (
	"context"
	"errors"
	"time"
)

// Errors that callers tell apart with errors.Is.
var (
	ErrNotFound = errors.New("not found")
	ErrConflict = errors.New("conflict")
	errNotBuilt = errors.New("store: being written")
)

// Store is one database. It is safe for concurrent use.
type Store struct{}

// Open connects to a database: a file path (or sqlite:PATH) or a postgres:// URL.
// It does not migrate.
func Open(ctx context.Context, url string) (*Store, error) { return nil, errNotBuilt }

// Migrate brings the schema up to date.
func (s *Store) Migrate(ctx context.Context) error { return errNotBuilt }

// Migration is one step of the schema.
type Migration struct {
	Version   int64     `json:"version"`
	Name      string    `json:"name"`
	Applied   bool      `json:"applied"`
	AppliedAt time.Time `json:"applied_at,omitzero"`
}

// MigrationStatus lists the steps of the schema, oldest first.
func (s *Store) MigrationStatus(ctx context.Context) ([]Migration, error) { return nil, errNotBuilt }

// Engine is "sqlite" or "postgres".
func (s *Store) Engine() string { return "" }

// Ping asks the database whether it is there.
func (s *Store) Ping(ctx context.Context) error { return errNotBuilt }

// Close waits for running queries and closes the database.
func (s *Store) Close() error { return nil }
