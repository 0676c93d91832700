package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/roomline/roomline/bridge"
)

// Batch is what a spool hands to a store at once.
type Batch struct {
	CDRs     []bridge.CDR
	Events   []EventRow
	Refusals []bridge.Refusal
}

// rowsPerInsert bounds the rows of one statement. SQLite looks parameters up by
// their names one after the other, so that long statements cost more per row
// than short ones: 16 rows take half the time of 256.
const rowsPerInsert = 16

// PutBatch writes a batch in one transaction; what is there already stays as it
// is. An error that is ErrRejected says that trying again cannot help.
func (s *Store) PutBatch(ctx context.Context, b Batch) error {
	ready := s.prepare(ctx)
	err := s.transact(ctx, func(plain *sql.Tx) error {
		tx := prepared{plain, ready}
		for cdrs := range slices.Chunk(b.CDRs, rowsPerInsert) {
			if err := putCDRs(ctx, tx, cdrs); err != nil {
				return fmt.Errorf("write CDRs: %w", err)
			}
		}
		if err := putEvents(ctx, tx, b.Events); err != nil {
			return fmt.Errorf("write events: %w", err)
		}
		for refusals := range slices.Chunk(b.Refusals, rowsPerInsert) {
			if err := putRefusals(ctx, tx, refusals); err != nil {
				return fmt.Errorf("write refusals: %w", err)
			}
		}
		return nil
	})
	if refusesValues(err) {
		return fmt.Errorf("%w: %w", ErrRejected, err)
	}
	return err
}

// refusesValues reports an error about the values themselves: PostgreSQL's
// classes 22 (data exception) and 23 (integrity), program limits (54000), and their like in SQLite.
func refusesValues(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code[:2] == "22" || pg.Code[:2] == "23" || pg.Code == "54000"
	}
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		code := lite.Code() & 0xff
		return code == sqlite3.SQLITE_CONSTRAINT || code == sqlite3.SQLITE_TOOBIG || code == sqlite3.SQLITE_MISMATCH
	}
	return false
}
