package store

import (
	"context"
	"time"
)

// Key is an API key. The secret itself is not stored, only its SHA-256.
type Key struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"`
	Prefix     string     `json:"prefix"` // the first letters of the secret, to recognise it
	Admin      bool       `json:"admin"`
	CreatedAt  time.Time  `json:"created_at"`
	LastUsedAt *time.Time `json:"last_used_at,omitempty"`
	RevokedAt  *time.Time `json:"revoked_at,omitempty"`
}

// CreateKey makes a key; the secret is returned this once.
func (s *Store) CreateKey(ctx context.Context, name string, admin bool) (k Key, secret string, err error) {
	return Key{}, "", errNotBuilt
}

// PutKey registers a secret that was made elsewhere (the --admin-key); idempotent by secret.
func (s *Store) PutKey(ctx context.Context, name, secret string, admin bool) (Key, error) {
	return Key{}, errNotBuilt
}

// KeyOf finds the key of a secret and notes its use; ErrNotFound when there is none or it is revoked.
func (s *Store) KeyOf(ctx context.Context, secret string) (Key, error) { return Key{}, errNotBuilt }

// Key finds one by id, or ErrNotFound.
func (s *Store) Key(ctx context.Context, id string) (Key, error) { return Key{}, errNotBuilt }

// Keys lists keys, newest first, revoked ones too.
func (s *Store) Keys(ctx context.Context, page Page) (items []Key, next string, err error) {
	return nil, "", errNotBuilt
}

// RevokeKey ends a key; again is harmless. ErrNotFound when there is none.
func (s *Store) RevokeKey(ctx context.Context, id string) error { return errNotBuilt }

// AdminKey reads the admin key of a data folder, or makes it (mode 0600); created says which.
func AdminKey(dir string) (secret string, created bool, err error) { return "", false, errNotBuilt }
