package store

import (
	"context"
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

// PutWebhook adds (empty ID: one is made, and a secret if there is none) or replaces a webhook.
func (s *Store) PutWebhook(ctx context.Context, w Webhook) (Webhook, error) {
	return Webhook{}, errNotBuilt
}

// Webhook finds one by id, or ErrNotFound.
func (s *Store) Webhook(ctx context.Context, id string) (Webhook, error) {
	return Webhook{}, errNotBuilt
}

// Webhooks lists webhooks, oldest first.
func (s *Store) Webhooks(ctx context.Context, page Page) (items []Webhook, next string, err error) {
	return nil, "", errNotBuilt
}

// DeleteWebhook removes a webhook and its waiting deliveries, or ErrNotFound.
func (s *Store) DeleteWebhook(ctx context.Context, id string) error { return errNotBuilt }

// Delivery is one event on its way to one webhook, leased to whoever claimed it.
type Delivery struct {
	EventID   string       `json:"event_id"`
	WebhookID string       `json:"webhook_id"`
	Event     bridge.Event `json:"event"`
	Webhook   Webhook      `json:"-"`
	Attempt   int          `json:"attempt"` // this one, from 1
	State     string       `json:"state"`   // pending | done | dead
	NextAt    time.Time    `json:"next_at"`
	LastError string       `json:"last_error,omitempty"`
	lease     string
}

// ClaimDeliveries leases up to limit deliveries that are due at now, oldest first.
func (s *Store) ClaimDeliveries(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]Delivery, error) {
	return nil, errNotBuilt
}

// DeliveryDone ends a delivery that succeeded; ErrConflict when the lease was lost.
func (s *Store) DeliveryDone(ctx context.Context, d Delivery) error { return errNotBuilt }

// DeliveryFailed plans the next attempt at retryAt, or gives up for good when
// attempts reached most (dead is true then); ErrConflict when the lease was lost.
func (s *Store) DeliveryFailed(ctx context.Context, d Delivery, retryAt time.Time, most int, reason string) (dead bool, err error) {
	return false, errNotBuilt
}

// Deliveries lists those of one webhook, newest first; state may be empty.
func (s *Store) Deliveries(ctx context.Context, webhookID, state string, page Page) (items []Delivery, next string, err error) {
	return nil, "", errNotBuilt
}
