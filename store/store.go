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
// Goroutines: those of database/sql, which end with [Store.Close], and one that
// syncs the disk while [Spool.Run] runs, which blocks in its caller's.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
)

// Errors that callers tell apart with errors.Is.
var (
	ErrNotFound = errors.New("not found")
	ErrConflict = errors.New("conflict")
	ErrRejected = errors.New("the database refuses these values") // trying again cannot help
	ErrCursor   = errors.New("this cursor is not one that a list gave out")
)

// Store is one database. It is safe for concurrent use.
type Store struct {
	engine string
	write  *sql.DB // SQLite: one connection, for there is one writer
	read   *sql.DB // PostgreSQL: the same as write

	preparing sync.Mutex
	ready     map[string]*sql.Stmt // see prepare; complete once it is given out
}

// Engine is "sqlite" or "postgres".
func (s *Store) Engine() string { return s.engine }

// Ping asks the database whether it is there.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.read.PingContext(ctx); err != nil {
		return fmt.Errorf("reach the database: %w", err)
	}
	return nil
}

// Close waits for running queries and closes the database.
func (s *Store) Close() error {
	if s.read == s.write {
		return s.write.Close()
	}
	return errors.Join(s.read.Close(), s.write.Close())
}

// transact runs do in a transaction, which ends with it: committed when it
// returns nil.
func (s *Store) transact(ctx context.Context, do func(*sql.Tx) error) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := do(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// queryer is what a query needs of a database or a transaction.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// scanner reads one row.
type scanner[T any] func(*sql.Rows) (T, error)

// collect reads every row with scan.
func collect[T any](ctx context.Context, db queryer, scan scanner[T], query string, args ...any) ([]T, error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	items := []T{}
	for rows.Next() {
		item, err := scan(rows)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, rows.Err()
}

// one reads the only row, or ErrNotFound.
func one[T any](ctx context.Context, db queryer, scan scanner[T], query string, args ...any) (item T, err error) {
	items, err := collect(ctx, db, scan, query, args...)
	if err != nil {
		return item, err
	}
	if len(items) == 0 {
		return item, ErrNotFound
	}
	return items[0], nil
}

// changed runs a statement and counts the rows that it changed.
func changed(ctx context.Context, db queryer, query string, args ...any) (int64, error) {
	result, err := db.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}
