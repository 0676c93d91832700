package api

import (
	"context"
	"net/http"
	"net/url"
	"regexp"

	"github.com/danielgtaylor/huma/v2"

	"github.com/roomline/roomline/dialplan"
	"github.com/roomline/roomline/store"
)

// webhookBody is a webhook as it is sent to us.
type webhookBody struct {
	URL      string   `json:"url" minLength:"1" maxLength:"2048" doc:"http or https"`
	Events   []string `json:"events,omitempty" nullable:"false" maxItems:"100" doc:"event types, exact or with a trailing *; absent: all"`
	Secret   string   `json:"secret,omitempty" maxLength:"128" doc:"whsec_ and base64; one is made when absent; ******** keeps it"`
	Disabled bool     `json:"disabled,omitempty"`
}

// webhookInput makes a webhook; webhookChange replaces one.
type webhookInput struct{ Body webhookBody }

// webhookChange is PUT /v1/webhooks/{id}.
type webhookChange struct {
	Named
	Body webhookBody
}

// eventPattern is what an entry of events may look like.
var eventPattern = regexp.MustCompile(`^(\*|[a-z]+(\.[a-z_]+)*(\.\*)?)$`)

// check says what the schema cannot.
func (b *webhookBody) check() error {
	u, err := url.Parse(b.URL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return invalid("body.url", "expected an absolute http or https URL")
	}
	if u.User != nil || u.Fragment != "" {
		return invalid("body.url", "expected no credentials and no fragment; deliveries are signed instead")
	}
	for _, e := range b.Events {
		if !eventPattern.MatchString(e) {
			return invalid("body.events", "expected types like call.ended or call.*")
		}
	}
	if b.Secret == "" || b.Secret == dialplan.Mask {
		return nil
	}
	if _, err := secretBytes(b.Secret); err != nil {
		return invalid("body.secret", "%s", err)
	}
	return nil
}

// webhookOperations registers webhooks; all of them need an admin key.
func (s *Server) webhookOperations(a huma.API) {
	huma.Register(a, operation("create-webhook", http.MethodPost, "/v1/webhooks", "Send events to a URL; the secret is shown this once", 201), s.createWebhook)
	huma.Register(a, operation("list-webhooks", http.MethodGet, "/v1/webhooks", "List webhooks, oldest first", 0), s.listWebhooks)
	huma.Register(a, operation("get-webhook", http.MethodGet, "/v1/webhooks/{id}", "Read a webhook", 0), s.getWebhook)
	huma.Register(a, operation("put-webhook", http.MethodPut, "/v1/webhooks/{id}", "Replace a webhook", 0), s.changeWebhook)
	huma.Register(a, operation("delete-webhook", http.MethodDelete, "/v1/webhooks/{id}", "Delete a webhook and what waits for it", 204), s.deleteWebhook)
	huma.Register(a, operation("list-deliveries", http.MethodGet, "/v1/webhooks/{id}/deliveries", "What was sent, what waits and what was given up, newest first", 0), s.listDeliveries)
}

func (s *Server) createWebhook(ctx context.Context, in *webhookInput) (*one[store.Webhook], error) {
	if err := mustAdmin(ctx); err != nil {
		return nil, err
	}
	b := in.Body
	if err := b.check(); err != nil {
		return nil, err
	}
	if b.Secret == dialplan.Mask {
		return nil, invalid("body.secret", "this webhook has no secret yet that ******** could keep")
	}
	if b.Secret == "" {
		b.Secret = NewWebhookSecret()
	}
	hook, err := s.store.PutWebhook(ctx, store.Webhook{URL: b.URL, Events: b.Events, Secret: b.Secret, Disabled: b.Disabled})
	if err != nil {
		return nil, s.storeAway(ctx, err)
	}
	return &one[store.Webhook]{Body: hook}, nil
}

func (s *Server) changeWebhook(ctx context.Context, in *webhookChange) (*one[store.Webhook], error) {
	if err := mustAdmin(ctx); err != nil {
		return nil, err
	}
	b := in.Body
	if err := b.check(); err != nil {
		return nil, err
	}
	hook, err := s.store.Webhook(ctx, in.ID)
	if err != nil {
		return nil, s.fromStore(ctx, err, "webhook", in.ID)
	}
	hook.URL, hook.Events, hook.Disabled = b.URL, b.Events, b.Disabled
	if b.Secret != "" && b.Secret != dialplan.Mask {
		hook.Secret = b.Secret
	}
	if hook, err = s.store.PutWebhook(ctx, hook); err != nil {
		return nil, s.fromStore(ctx, err, "webhook", in.ID)
	}
	return &one[store.Webhook]{Body: masked(hook)}, nil
}

// masked hides a webhook's secret.
func masked(w store.Webhook) store.Webhook {
	w.Secret = dialplan.Mask
	return w
}

func (s *Server) listWebhooks(ctx context.Context, in *Paging) (*listOutput[store.Webhook], error) {
	if err := mustAdmin(ctx); err != nil {
		return nil, err
	}
	items, next, err := s.store.Webhooks(ctx, store.Page{Limit: in.Limit, Cursor: in.Cursor})
	if err != nil {
		return nil, s.storeAway(ctx, err)
	}
	for i := range items {
		items[i] = masked(items[i])
	}
	return listed(items, next), nil
}

func (s *Server) getWebhook(ctx context.Context, in *Named) (*one[store.Webhook], error) {
	if err := mustAdmin(ctx); err != nil {
		return nil, err
	}
	hook, err := s.store.Webhook(ctx, in.ID)
	if err != nil {
		return nil, s.fromStore(ctx, err, "webhook", in.ID)
	}
	return &one[store.Webhook]{Body: masked(hook)}, nil
}

func (s *Server) deleteWebhook(ctx context.Context, in *Named) (*none, error) {
	if err := mustAdmin(ctx); err != nil {
		return nil, err
	}
	if err := s.store.DeleteWebhook(ctx, in.ID); err != nil {
		return nil, s.fromStore(ctx, err, "webhook", in.ID)
	}
	return nil, nil
}

// deliveriesInput is GET /v1/webhooks/{id}/deliveries.
type deliveriesInput struct {
	Named
	Paging
	State string `query:"state" enum:"pending,done,dead"`
}

func (s *Server) listDeliveries(ctx context.Context, in *deliveriesInput) (*listOutput[store.Delivery], error) {
	if err := mustAdmin(ctx); err != nil {
		return nil, err
	}
	if _, err := s.store.Webhook(ctx, in.ID); err != nil {
		return nil, s.fromStore(ctx, err, "webhook", in.ID)
	}
	items, next, err := s.store.Deliveries(ctx, in.ID, in.State, store.Page{Limit: in.Limit, Cursor: in.Cursor})
	if err != nil {
		return nil, s.storeAway(ctx, err)
	}
	return listed(items, next), nil
}
