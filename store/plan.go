package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/roomline/roomline/dialplan"
)

// LoadPlan reads the whole dial plan, routes in order.
func (s *Store) LoadPlan(ctx context.Context) (*dialplan.Plan, error) {
	p, _, err := s.LoadPlanRevision(ctx)
	return p, err
}

// LoadPlanRevision is LoadPlan with the revision that the plan has.
func (s *Store) LoadPlanRevision(ctx context.Context) (*dialplan.Plan, int64, error) {
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{Isolation: s.snapshotLevel(), ReadOnly: true})
	if err != nil {
		return nil, 0, fmt.Errorf("load the dial plan: %w", err)
	}
	defer tx.Rollback()
	revision, err := one(ctx, tx, scanNumber, "SELECT revision FROM plan_revision")
	if err != nil {
		return nil, 0, fmt.Errorf("load the dial plan: %w", err)
	}
	p, err := loadPlan(ctx, tx)
	return p, revision, err
}

// snapshotLevel makes all reads of a transaction see one state; SQLite always does.
func (s *Store) snapshotLevel() sql.IsolationLevel {
	if s.engine == "postgres" {
		return sql.LevelRepeatableRead
	}
	return sql.LevelDefault
}

func scanNumber(rows *sql.Rows) (n int64, err error) { return n, rows.Scan(&n) }

// PlanRevision grows with every change of the plan, by whichever gateway.
func (s *Store) PlanRevision(ctx context.Context) (int64, error) {
	return one(ctx, s.read, scanNumber, "SELECT revision FROM plan_revision")
}

// ReplacePlan writes a whole plan in one transaction. A plan with problems is
// refused with [dialplan.Problems] and changes nothing.
func (s *Store) ReplacePlan(ctx context.Context, p *dialplan.Plan) error {
	return s.ChangePlan(ctx, func(now *dialplan.Plan) error {
		*now = *p
		return nil
	})
}

// ChangePlan loads the plan, lets change edit it and writes it back, in one
// transaction that keeps other gateways out meanwhile. A plan that has problems
// then is refused with [dialplan.Problems]; an error of change is returned as it
// is. Both change nothing.
func (s *Store) ChangePlan(ctx context.Context, change func(*dialplan.Plan) error) error {
	return s.transact(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "UPDATE plan_revision SET revision = revision + 1"); err != nil {
			return fmt.Errorf("change the dial plan: %w", err)
		}
		p, err := loadPlan(ctx, tx)
		if err != nil {
			return err
		}
		before := rowsOf(p)
		if err := change(p); err != nil {
			return err
		}
		if problems := p.Check(); len(problems) > 0 {
			return dialplan.Problems(problems)
		}
		return writePlan(ctx, tx, before, rowsOf(p))
	})
}

func loadPlan(ctx context.Context, db queryer) (*dialplan.Plan, error) {
	p := &dialplan.Plan{}
	for _, load := range []func() error{
		func() (err error) { p.Trunks, err = loadObjects[dialplan.Trunk](ctx, db, "trunks"); return },
		func() (err error) { p.Numbers, err = loadObjects[dialplan.Number](ctx, db, "numbers"); return },
		func() (err error) { p.Routes, err = loadObjects[dialplan.Route](ctx, db, "routes"); return },
		func() (err error) {
			p.Holidays, err = loadObjects[dialplan.Holiday](ctx, db, "holidays")
			return
		},
		func() (err error) { p.Agents, err = loadObjects[dialplan.Agent](ctx, db, "agents"); return },
		func() (err error) { p.Queues, err = loadObjects[dialplan.Queue](ctx, db, "queues"); return },
	} {
		if err := load(); err != nil {
			return nil, fmt.Errorf("load the dial plan: %w", err)
		}
	}
	return p, nil
}

func loadObjects[T any](ctx context.Context, db queryer, table string) ([]T, error) {
	return collect(ctx, db, scanBody[T], "SELECT body FROM "+table+" ORDER BY position, name")
}

// planRow is where and what an object is.
type planRow struct {
	position int
	body     string
}

// rowsOf gives the rows of each table by name.
func rowsOf(p *dialplan.Plan) map[string]map[string]planRow {
	return map[string]map[string]planRow{
		"trunks":   objectRows(p.Trunks, func(t dialplan.Trunk) string { return t.Name }),
		"numbers":  objectRows(p.Numbers, func(n dialplan.Number) string { return n.Number }),
		"routes":   objectRows(p.Routes, func(r dialplan.Route) string { return r.Name }),
		"holidays": objectRows(p.Holidays, func(h dialplan.Holiday) string { return h.Name }),
		"agents":   objectRows(p.Agents, func(a dialplan.Agent) string { return a.Name }),
		"queues":   objectRows(p.Queues, func(q dialplan.Queue) string { return q.Name }),
	}
}

func objectRows[T any](objects []T, name func(T) string) map[string]planRow {
	rows := map[string]planRow{}
	for i, o := range objects {
		text, _ := body(o) // plain structs of text and numbers
		rows[name(o)] = planRow{position: i, body: text}
	}
	return rows
}

// writePlan writes the rows that differ.
func writePlan(ctx context.Context, db queryer, before, after map[string]map[string]planRow) error {
	for table, rows := range after {
		for name := range before[table] {
			if _, stays := rows[name]; stays {
				continue
			}
			if _, err := db.ExecContext(ctx, "DELETE FROM "+table+" WHERE name = $1", name); err != nil {
				return fmt.Errorf("change the dial plan: %w", err)
			}
		}
		for name, row := range rows {
			if before[table][name] == row {
				continue
			}
			_, err := db.ExecContext(ctx, "INSERT INTO "+table+` (name, position, body) VALUES ($1, $2, $3)
				ON CONFLICT (name) DO UPDATE SET position = excluded.position, body = excluded.body`, name, row.position, row.body)
			if err != nil {
				return fmt.Errorf("change the dial plan: %w", err)
			}
		}
	}
	return nil
}
