package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/roomline/roomline/bridge"
)

// Key is an API key. The secret itself is not stored, only its SHA-256.
type Key struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"`
	Prefix     string     `json:"prefix"` // the first letters of the secret, to recognise it
	Admin      bool       `json:"admin"`
	CreatedAt  time.Time  `json:"created_at"`
	LastUsedAt *time.Time `json:"last_used_at,omitempty"` // to the minute
	RevokedAt  *time.Time `json:"revoked_at,omitempty"`
}

// usedEvery is how often the use of a key is written down.
const usedEvery = time.Minute

// newSecret makes a secret with 130 random bits.
func newSecret() string { return "rl_" + rand.Text() }

// hashOf needs no salt and no stretching: secrets are random, not chosen.
func hashOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// CreateKey makes a key; the secret is returned this once.
func (s *Store) CreateKey(ctx context.Context, name string, admin bool) (k Key, secret string, err error) {
	secret = newSecret()
	k, err = s.PutKey(ctx, name, secret, admin)
	return k, secret, err
}

// PutKey registers a secret that was made elsewhere (the --admin-key), of 8
// characters or more. It is idempotent by secret; a revoked key comes back into force.
func (s *Store) PutKey(ctx context.Context, name, secret string, admin bool) (Key, error) {
	if len(secret) < 8 {
		return Key{}, fmt.Errorf("this key is too short: expected 8 characters or more")
	}
	_, err := s.write.ExecContext(ctx, `INSERT INTO api_keys (id, hash, prefix, name, admin, created_at, last_used_at, revoked_at)
		VALUES ($1, $2, $3, $4, $5, $6, '', '')
		ON CONFLICT (hash) DO UPDATE SET name = excluded.name, admin = excluded.admin, revoked_at = ''`,
		bridge.NewID("key"), hashOf(secret), clean(secret[:min(7, len(secret)/2)]), clean(name), flag(admin), stamp(time.Now()))
	if err != nil {
		return Key{}, fmt.Errorf("store the key: %w", err)
	}
	return one(ctx, s.write, scanKey, selectKey+" WHERE hash = $1", hashOf(secret))
}

// KeyOf finds the key of a secret and notes its use; ErrNotFound when there is none or it is revoked.
func (s *Store) KeyOf(ctx context.Context, secret string) (Key, error) {
	k, err := one(ctx, s.read, scanKey, selectKey+" WHERE hash = $1 AND revoked_at = ''", hashOf(secret))
	if err != nil {
		return Key{}, err
	}
	now := stored(time.Now())
	if k.LastUsedAt == nil || now.Sub(*k.LastUsedAt) >= usedEvery {
		// Not being able to note the use is no reason to refuse it.
		_, _ = s.write.ExecContext(ctx, "UPDATE api_keys SET last_used_at = $1 WHERE id = $2", stamp(now), k.ID)
		k.LastUsedAt = &now
	}
	return k, nil
}

// Key finds one by id, or ErrNotFound.
func (s *Store) Key(ctx context.Context, id string) (Key, error) {
	return one(ctx, s.read, scanKey, selectKey+" WHERE id = $1", clean(id))
}

var keyList = listQuery[Key]{
	from: selectKey, key1: "created_at", key2: "id", order: "DESC", scan: scanKey,
	keys: func(k Key) (string, string) { return stamp(k.CreatedAt), k.ID },
}

// Keys lists keys, newest first, revoked ones too.
func (s *Store) Keys(ctx context.Context, page Page) (items []Key, next string, err error) {
	return list(ctx, s.read, keyList, search{}, page)
}

// RevokeKey ends a key; again is harmless. ErrNotFound when there is none.
func (s *Store) RevokeKey(ctx context.Context, id string) error {
	_, err := s.write.ExecContext(ctx, "UPDATE api_keys SET revoked_at = $1 WHERE id = $2 AND revoked_at = ''", stamp(time.Now()), clean(id))
	if err != nil {
		return fmt.Errorf("revoke the key: %w", err)
	}
	_, err = s.Key(ctx, id)
	return err
}

const selectKey = "SELECT id, name, prefix, admin, created_at, last_used_at, revoked_at FROM api_keys"

func scanKey(rows *sql.Rows) (k Key, err error) {
	var admin int64
	var created, used, revoked string
	if err = rows.Scan(&k.ID, &k.Name, &k.Prefix, &admin, &created, &used, &revoked); err != nil {
		return k, err
	}
	k.Admin = admin != 0
	if k.CreatedAt, err = unstamp(created); err != nil {
		return k, err
	}
	if k.LastUsedAt, err = optional(used); err != nil {
		return k, err
	}
	k.RevokedAt, err = optional(revoked)
	return k, err
}

func optional(text string) (*time.Time, error) {
	if text == "" {
		return nil, nil
	}
	t, err := unstamp(text)
	return &t, err
}

// flag is a truth value as both databases keep it.
func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
