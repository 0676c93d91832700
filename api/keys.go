package api

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/roomline/roomline/store"
)

// keyInput is POST /v1/keys.
type keyInput struct {
	Body struct {
		Name  string `json:"name" minLength:"1" maxLength:"128"`
		Admin bool   `json:"admin,omitempty" doc:"may change trunks, numbers, routes, agents, keys and webhooks"`
	}
}

// newKey is a key with its secret, shown this once.
type newKey struct {
	store.Key
	Secret string `json:"key" doc:"shown this once; only its hash is stored"`
}

// keyOperations registers API keys; all of them need an admin key.
func (s *Server) keyOperations(a huma.API) {
	huma.Register(a, operation("create-key", http.MethodPost, "/v1/keys", "Make an API key; it is shown this once", 201), s.createKey)
	huma.Register(a, operation("list-keys", http.MethodGet, "/v1/keys", "List API keys, newest first, without their secrets", 0), s.listKeys)
	huma.Register(a, operation("get-key", http.MethodGet, "/v1/keys/{id}", "Read an API key, without its secret", 0), s.getKey)
	huma.Register(a, operation("delete-key", http.MethodDelete, "/v1/keys/{id}", "Revoke an API key", 204), s.revokeKey)
}

func (s *Server) createKey(ctx context.Context, in *keyInput) (*one[newKey], error) {
	if err := mustAdmin(ctx); err != nil {
		return nil, err
	}
	key, secret, err := s.store.CreateKey(ctx, in.Body.Name, in.Body.Admin)
	if err != nil {
		return nil, s.storeAway(ctx, err)
	}
	return &one[newKey]{Body: newKey{Key: key, Secret: secret}}, nil
}

func (s *Server) listKeys(ctx context.Context, in *Paging) (*listOutput[store.Key], error) {
	if err := mustAdmin(ctx); err != nil {
		return nil, err
	}
	items, next, err := s.store.Keys(ctx, store.Page{Limit: in.Limit, Cursor: in.Cursor})
	if err != nil {
		return nil, s.storeAway(ctx, err)
	}
	return listed(items, next), nil
}

func (s *Server) getKey(ctx context.Context, in *Named) (*one[store.Key], error) {
	if err := mustAdmin(ctx); err != nil {
		return nil, err
	}
	key, err := s.store.Key(ctx, in.ID)
	if err != nil {
		return nil, s.fromStore(ctx, err, "key", in.ID)
	}
	return &one[store.Key]{Body: key}, nil
}

// revokeKey ends a key here at once, and on other gateways within 30 s.
func (s *Server) revokeKey(ctx context.Context, in *Named) (*none, error) {
	if err := mustAdmin(ctx); err != nil {
		return nil, err
	}
	if err := s.store.RevokeKey(ctx, in.ID); err != nil {
		return nil, s.fromStore(ctx, err, "key", in.ID)
	}
	s.keys.forget(func(id string, _ [sha256.Size]byte) bool { return id == in.ID })
	return nil, nil
}

// fromStore translates what the store says about one thing.
func (s *Server) fromStore(ctx context.Context, err error, kind, name string) error {
	if errors.Is(err, store.ErrNotFound) {
		return notFound(kind, name)
	}
	return s.storeAway(ctx, err)
}
