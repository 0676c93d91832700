package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
)

// Delivery is one event on its way to one webhook, leased to whoever claimed it:
//
//	pending ─claim→ leased ─→ done
//	   ↑               │└───→ dead, after the last attempt
//	   └── failed, or the lease ran out
type Delivery struct {
	EventID   string       `json:"event_id"`
	WebhookID string       `json:"webhook_id"`
	Event     bridge.Event `json:"event"`
	Webhook   Webhook      `json:"-"`       // set by ClaimDeliveries alone
	Attempt   int          `json:"attempt"` // how many times it was claimed, this one included
	State     string       `json:"state"`   // pending | done | dead
	NextAt    time.Time    `json:"next_at"`
	LastError string       `json:"last_error,omitempty"`
	lease     string
}

// enqueue makes the deliveries of new events, in the transaction that writes them.
func enqueue(ctx context.Context, db queryer, events []EventRow) error {
	webhooks, err := collect(ctx, db, scanBody[Webhook], "SELECT body FROM webhooks WHERE disabled = 0")
	if err != nil {
		return err
	}
	var args []any
	for _, w := range webhooks {
		for _, e := range events {
			if _, wanted := dialplan.Patterns(w.Events).Match(e.Type); !wanted {
				continue
			}
			args = append(args, clean(e.ID), w.ID, string(e.Body), stamp(e.Time))
		}
	}
	for rows := range slices.Chunk(args, 4*rowsPerInsert) {
		query := insert("INSERT INTO deliveries (event_id, webhook_id, event, next_at, state, attempts, lease, lease_until, last_error)",
			4, len(rows)/4, "ON CONFLICT (event_id, webhook_id) DO NOTHING")
		if _, err := db.ExecContext(ctx, withDefaults(query), rows...); err != nil {
			return err
		}
	}
	return nil
}

// withDefaults adds what every new delivery starts with.
func withDefaults(query string) string {
	const start = ", 'pending', 0, '', '', ''"
	query = strings.ReplaceAll(query, "), (", start+"), (")
	return strings.Replace(query, ") ON CONFLICT", start+") ON CONFLICT", 1)
}

const deliveryColumns = "event_id, webhook_id, event, state, attempts, next_at, last_error, lease"

// ClaimDeliveries leases up to limit deliveries that are due at now, oldest
// first. No two callers get the same one before its lease ran out.
func (s *Store) ClaimDeliveries(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]Delivery, error) {
	var claimed []Delivery
	err := s.transact(ctx, func(tx *sql.Tx) (err error) {
		// The outer condition stands twice so that a row that another gateway
		// took meanwhile is left alone.
		claimed, err = collect(ctx, tx, scanDelivery, `UPDATE deliveries SET lease = $1, lease_until = $2, attempts = attempts + 1
			WHERE (event_id, webhook_id) IN (
				SELECT event_id, webhook_id FROM deliveries
				WHERE state = 'pending' AND next_at <= $3 AND lease_until <= $4
				AND webhook_id IN (SELECT id FROM webhooks WHERE disabled = 0)
				ORDER BY next_at, event_id LIMIT $5)
			AND state = 'pending' AND lease_until <= $6
			RETURNING `+deliveryColumns, rand.Text(), stamp(now.Add(lease)), stamp(now), stamp(now), limit, stamp(now))
		if err == nil {
			err = attachWebhooks(ctx, tx, claimed)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("claim deliveries: %w", err)
	}
	slices.SortFunc(claimed, func(a, b Delivery) int {
		return strings.Compare(stamp(a.NextAt)+a.EventID, stamp(b.NextAt)+b.EventID)
	})
	return claimed, nil
}

func attachWebhooks(ctx context.Context, db queryer, claimed []Delivery) error {
	known := map[string]Webhook{}
	for i := range claimed {
		id := claimed[i].WebhookID
		if _, ok := known[id]; !ok {
			w, err := one(ctx, db, scanBody[Webhook], "SELECT body FROM webhooks WHERE id = $1", id)
			if err != nil {
				return err
			}
			known[id] = w
		}
		claimed[i].Webhook = known[id]
	}
	return nil
}

// DeliveryDone ends a delivery that succeeded; ErrConflict when the lease was lost.
func (s *Store) DeliveryDone(ctx context.Context, d Delivery) error {
	return s.settle(ctx, d, "done", d.NextAt, "")
}

// DeliveryFailed plans the next attempt at retryAt, or gives up for good when
// attempts reached most (dead is true then); ErrConflict when the lease was lost.
func (s *Store) DeliveryFailed(ctx context.Context, d Delivery, retryAt time.Time, most int, reason string) (dead bool, err error) {
	if d.Attempt >= most {
		return true, s.settle(ctx, d, "dead", d.NextAt, reason)
	}
	return false, s.settle(ctx, d, "pending", retryAt, reason)
}

func (s *Store) settle(ctx context.Context, d Delivery, state string, next time.Time, reason string) error {
	n, err := changed(ctx, s.write, `UPDATE deliveries SET state = $1, next_at = $2, last_error = $3, lease = '', lease_until = ''
		WHERE event_id = $4 AND webhook_id = $5 AND lease = $6 AND state = 'pending'`,
		state, stamp(next), clean(reason), d.EventID, d.WebhookID, d.lease)
	if err != nil {
		return fmt.Errorf("settle a delivery: %w", err)
	}
	if n == 0 || d.lease == "" {
		return ErrConflict
	}
	return nil
}

var deliveryList = listQuery[Delivery]{
	from: "SELECT " + deliveryColumns + " FROM deliveries", key1: "event_id", key2: "webhook_id", order: "DESC", scan: scanDelivery,
	keys: func(d Delivery) (string, string) { return d.EventID, d.WebhookID },
}

// Deliveries lists those of one webhook, newest first; state may be empty.
func (s *Store) Deliveries(ctx context.Context, webhookID, state string, page Page) (items []Delivery, next string, err error) {
	q := search{conditions: []string{"webhook_id = $1"}, args: []any{clean(webhookID)}}
	q.where("state = ?", clean(state))
	return list(ctx, s.read, deliveryList, q, page)
}

func scanDelivery(rows *sql.Rows) (d Delivery, err error) {
	var event, next string
	if err = rows.Scan(&d.EventID, &d.WebhookID, &event, &d.State, &d.Attempt, &next, &d.LastError, &d.lease); err != nil {
		return d, err
	}
	if d.NextAt, err = unstamp(next); err != nil {
		return d, err
	}
	return d, json.Unmarshal([]byte(event), &d.Event)
}
