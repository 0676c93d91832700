package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"fmt"
	"log/slog"
	"time"

	"github.com/roomline/roomline/bridge"
)

// Webhook is where events are sent.
type Webhook struct {
	ID        string    `json:"id"`
	URL       string    `json:"url"`
	Events    []string  `json:"events"`           // event types, exact or with a trailing *; empty: all
	Secret    string    `json:"secret,omitempty"` // signs deliveries (whsec_…); never logged
	Disabled  bool      `json:"disabled,omitempty"`
	CreatedAt time.Time `json:"created_at"`
}

// String names the webhook without its secret, and without its URL, which may hold another.
func (w Webhook) String() string { return "webhook " + w.ID }

// GoString is String, so that %#v shows no secret either.
func (w Webhook) GoString() string { return w.String() }

// LogValue keeps secrets out of structured logs.
func (w Webhook) LogValue() slog.Value { return slog.StringValue(w.ID) }

// PutWebhook adds a webhook (empty ID: one is made, and a secret if there is
// none) or replaces one; ErrNotFound when there is none with that ID.
func (s *Store) PutWebhook(ctx context.Context, w Webhook) (Webhook, error) {
	if w.Secret == "" {
		w.Secret = newSigningSecret()
	}
	if w.Events == nil {
		w.Events = []string{}
	}
	if w.ID != "" {
		return s.replaceWebhook(ctx, w)
	}
	w.ID, w.CreatedAt = bridge.NewID("wh"), stored(time.Now())
	text, err := body(w)
	if err != nil {
		return Webhook{}, err
	}
	_, err = s.write.ExecContext(ctx, "INSERT INTO webhooks (id, created_at, disabled, body) VALUES ($1, $2, $3, $4)",
		w.ID, stamp(w.CreatedAt), flag(w.Disabled), text)
	if err != nil {
		return Webhook{}, fmt.Errorf("store the webhook: %w", err)
	}
	return w, nil
}

func (s *Store) replaceWebhook(ctx context.Context, w Webhook) (Webhook, error) {
	err := s.transact(ctx, func(tx *sql.Tx) error {
		before, err := one(ctx, tx, scanBody[Webhook], "SELECT body FROM webhooks WHERE id = $1", clean(w.ID))
		if err != nil {
			return err
		}
		w.CreatedAt = before.CreatedAt
		text, err := body(w)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "UPDATE webhooks SET disabled = $1, body = $2 WHERE id = $3", flag(w.Disabled), text, w.ID)
		return err
	})
	return w, err
}

// newSigningSecret is a secret as Standard Webhooks asks for: 24 to 64 random bytes in base64.
func newSigningSecret() string {
	var b [32]byte
	rand.Read(b[:])
	return "whsec_" + base64.StdEncoding.EncodeToString(b[:])
}

// Webhook finds one by id, or ErrNotFound.
func (s *Store) Webhook(ctx context.Context, id string) (Webhook, error) {
	return one(ctx, s.read, scanBody[Webhook], "SELECT body FROM webhooks WHERE id = $1", clean(id))
}

var webhookList = listQuery[Webhook]{
	from: "SELECT body FROM webhooks", key1: "created_at", key2: "id", order: "ASC", scan: scanBody[Webhook],
	keys: func(w Webhook) (string, string) { return stamp(w.CreatedAt), w.ID },
}

// Webhooks lists webhooks, oldest first.
func (s *Store) Webhooks(ctx context.Context, page Page) (items []Webhook, next string, err error) {
	return list(ctx, s.read, webhookList, search{}, page)
}

// DeleteWebhook removes a webhook and its deliveries, or ErrNotFound.
func (s *Store) DeleteWebhook(ctx context.Context, id string) error {
	return s.transact(ctx, func(tx *sql.Tx) error {
		n, err := changed(ctx, tx, "DELETE FROM webhooks WHERE id = $1", clean(id))
		if err != nil {
			return fmt.Errorf("delete the webhook: %w", err)
		}
		if n == 0 {
			return ErrNotFound
		}
		_, err = tx.ExecContext(ctx, "DELETE FROM deliveries WHERE webhook_id = $1", clean(id))
		return err
	})
}
