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
func (s *Store) PutCDR(ctx context.Context, c bridge.CDR) error {
	return s.PutBatch(ctx, Batch{CDRs: []bridge.CDR{c}})
}

var cdrInsert = newInsert(`INSERT INTO cdrs
	(id, created_at, direction, caller, called, room, trunk, cause, parent_id, body)`, 10, "ON CONFLICT (id) DO NOTHING")

func putCDRs(ctx context.Context, db queryer, cdrs []bridge.CDR) error {
	var args []any
	for _, c := range cdrs {
		c.CreatedAt, c.AnsweredAt, c.EndedAt = stored(c.CreatedAt), storedPtr(c.AnsweredAt), storedPtr(c.EndedAt)
		text, err := body(c)
		if err != nil {
			return err
		}
		args = append(args, clean(c.ID), stamp(c.CreatedAt), string(c.Direction), clean(c.From), clean(c.To),
			clean(c.Room), clean(c.Trunk), clean(string(c.Cause)), clean(c.ParentID), text)
	}
	_, err := db.ExecContext(ctx, cdrInsert.text(len(cdrs)), args...)
	return err
}

// CDR finds one by call id, or ErrNotFound.
func (s *Store) CDR(ctx context.Context, id string) (bridge.CDR, error) {
	return one(ctx, s.read, scanBody[bridge.CDR], "SELECT body FROM cdrs WHERE id = $1", clean(id))
}

var cdrList = listQuery[bridge.CDR]{
	from: "SELECT body FROM cdrs", key1: "created_at", key2: "id", order: "DESC", scan: scanBody[bridge.CDR],
	keys: func(c bridge.CDR) (string, string) { return stamp(c.CreatedAt), clean(c.ID) },
}

// CDRs lists them, newest first; next is empty on the last page.
func (s *Store) CDRs(ctx context.Context, f CDRFilter, page Page) (items []bridge.CDR, next string, err error) {
	var q search
	q.where("room = ?", clean(f.Room))
	q.where("trunk = ?", clean(f.Trunk))
	q.where("caller = ?", clean(f.From))
	q.where("called = ?", clean(f.To))
	q.where("direction = ?", clean(f.Direction))
	q.where("cause = ?", clean(f.Cause))
	q.where("parent_id = ?", clean(f.ParentID))
	q.between("created_at", f.Since, f.Until)
	return list(ctx, s.read, cdrList, q, page)
}
