package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"time"

	"github.com/roomline/roomline/bridge"
)

// EventRow is an event as the events table holds it: its body is JSON already.
type EventRow struct {
	ID, Type, CallID, Room string
	Time                   time.Time
	Body                   json.RawMessage // of the whole event
}

// rowOf makes the row of an event.
func rowOf(e bridge.Event) (EventRow, error) {
	e.Time = stored(e.Time)
	text, err := body(e)
	return EventRow{e.ID, e.Type, e.CallID, e.Room, e.Time, json.RawMessage(text)}, err
}

// MarshalJSON writes the event's own JSON.
func (r EventRow) MarshalJSON() ([]byte, error) { return r.Body, nil }

// UnmarshalJSON reads an event's JSON and keeps it: what an event carries is not
// taken apart on its way from the journal to the database.
func (r *EventRow) UnmarshalJSON(b []byte) error {
	var head struct {
		ID     string    `json:"id"`
		Type   string    `json:"type"`
		Time   time.Time `json:"time"`
		CallID string    `json:"call_id"`
		Room   string    `json:"room"`
	}
	err := json.Unmarshal(b, &head)
	*r = EventRow{head.ID, head.Type, head.CallID, head.Room, head.Time, bytes.Clone(b)}
	return err
}

// PutEvents writes events and, for those that are new, their webhook deliveries.
func (s *Store) PutEvents(ctx context.Context, events []bridge.Event) error {
	var rows []EventRow
	for _, e := range events {
		row, err := rowOf(e)
		if err != nil {
			return err
		}
		rows = append(rows, row)
	}
	return s.PutBatch(ctx, Batch{Events: rows})
}

var eventInsert = newInsert("INSERT INTO events (id, at, type, call_id, room, body)", 6, "ON CONFLICT (id) DO NOTHING RETURNING id")

func putEvents(ctx context.Context, tx queryer, events []EventRow) error {
	byID, fresh := map[string]EventRow{}, []EventRow{}
	for some := range slices.Chunk(events, rowsPerInsert) {
		var args []any
		for _, e := range some {
			byID[clean(e.ID)] = e
			args = append(args, clean(e.ID), stamp(e.Time), clean(e.Type), clean(e.CallID), clean(e.Room), string(e.Body))
		}
		ids, err := collect(ctx, tx, scanText, eventInsert.text(len(some)), args...)
		if err != nil {
			return err
		}
		for _, id := range ids {
			fresh = append(fresh, byID[id])
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	return enqueue(ctx, tx, fresh)
}

func scanText(rows *sql.Rows) (text string, err error) { return text, rows.Scan(&text) }

// Events lists events with an id after the given one, oldest first; at most limit, 500 at the most.
func (s *Store) Events(ctx context.Context, after string, limit int) ([]bridge.Event, error) {
	return collect(ctx, s.read, scanBody[bridge.Event],
		"SELECT body FROM events WHERE id > $1 ORDER BY id LIMIT $2", clean(after), Page{Limit: limit}.limit())
}

var eventList = listQuery[bridge.Event]{
	from: "SELECT body FROM events", key1: "id", key2: "call_id", order: "ASC", scan: scanBody[bridge.Event],
	keys: func(e bridge.Event) (string, string) { return clean(e.ID), clean(e.CallID) },
}

// CallEvents lists the events of one call, oldest first.
func (s *Store) CallEvents(ctx context.Context, callID string, page Page) (items []bridge.Event, next string, err error) {
	return list(ctx, s.read, eventList, search{conditions: []string{"call_id = $1"}, args: []any{clean(callID)}}, page)
}

// RefusalFilter narrows a list of refusals; empty fields do not.
type RefusalFilter struct {
	From, To, Cause string
	Since, Until    time.Time // in [Since, Until)
}

// PutRefusal writes a refused INVITE; one that is there already stays as it is.
func (s *Store) PutRefusal(ctx context.Context, r bridge.Refusal) error {
	return s.PutBatch(ctx, Batch{Refusals: []bridge.Refusal{r}})
}

func putRefusals(ctx context.Context, db queryer, refusals []bridge.Refusal) error {
	var args []any
	for _, r := range refusals {
		r.Time = stored(r.Time)
		text, err := body(r)
		if err != nil {
			return err
		}
		args = append(args, clean(r.ID), stamp(r.Time), clean(r.From), clean(r.To), clean(string(r.Cause)), text)
	}
	_, err := db.ExecContext(ctx, insert("INSERT INTO refusals (id, at, caller, called, cause, body)",
		6, len(refusals), "ON CONFLICT (id) DO NOTHING"), args...)
	return err
}

var refusalList = listQuery[bridge.Refusal]{
	from: "SELECT body FROM refusals", key1: "at", key2: "id", order: "DESC", scan: scanBody[bridge.Refusal],
	keys: func(r bridge.Refusal) (string, string) { return stamp(r.Time), clean(r.ID) },
}

// Refusals lists refused INVITEs, newest first.
func (s *Store) Refusals(ctx context.Context, f RefusalFilter, page Page) (items []bridge.Refusal, next string, err error) {
	var q search
	q.where("caller = ?", clean(f.From))
	q.where("called = ?", clean(f.To))
	q.where("cause = ?", clean(f.Cause))
	q.between("at", f.Since, f.Until)
	return list(ctx, s.read, refusalList, q, page)
}
