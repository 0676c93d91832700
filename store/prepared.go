package store

import (
	"context"
	"database/sql"
)

// rowInsert is an INSERT of several rows, one text for each number of them.
type rowInsert struct {
	head    string // INSERT INTO … (columns)
	columns int
	tail    string
	full    string // for rowsPerInsert rows
}

func newInsert(head string, columns int, tail string) rowInsert {
	return rowInsert{head, columns, tail, insert(head, columns, rowsPerInsert, tail)}
}

func (i rowInsert) text(rows int) string {
	if rows == rowsPerInsert {
		return i.full
	}
	return insert(i.head, i.columns, rows, i.tail)
}

// prepared is a transaction that runs some queries as prepared statements.
type prepared struct {
	*sql.Tx
	ready map[string]*sql.Stmt // by their text
}

// QueryContext implements queryer.
func (p prepared) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if stmt, ok := p.ready[query]; ok {
		return p.Tx.StmtContext(ctx, stmt).QueryContext(ctx, args...)
	}
	return p.Tx.QueryContext(ctx, query, args...)
}

// ExecContext implements queryer.
func (p prepared) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if stmt, ok := p.ready[query]; ok {
		return p.Tx.StmtContext(ctx, stmt).ExecContext(ctx, args...)
	}
	return p.Tx.ExecContext(ctx, query, args...)
}

// prepare returns the statements that records are written with, for SQLite, which
// parses a text anew each time otherwise; pgx remembers by itself. What cannot be
// prepared now is run as text.
func (s *Store) prepare(ctx context.Context) map[string]*sql.Stmt {
	if s.engine != "sqlite" {
		return nil
	}
	s.preparing.Lock()
	defer s.preparing.Unlock()
	for _, query := range []string{eventInsert.full, cdrInsert.full} {
		if s.ready[query] != nil {
			continue
		}
		stmt, err := s.write.PrepareContext(ctx, query)
		if err != nil {
			return nil
		}
		if s.ready == nil {
			s.ready = map[string]*sql.Stmt{}
		}
		s.ready[query] = stmt
	}
	return s.ready
}
