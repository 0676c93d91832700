package api

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/roomline/roomline/store"
)

// Times of the keyring.
const (
	keyFresh = 30 * time.Second // a key that the store confirmed is not asked for again within this time
	keyMax   = 1000             // keys remembered
	keyBytes = 512              // longest key that is looked at
)

// caller is who a request's key belongs to.
type caller struct {
	id    string // of the key; scope of its idempotency keys
	admin bool
	base  string // scheme and host that the request was sent to

	identity string // of a room token, which answers offered calls and does nothing else
}

// callerKey finds the caller in a request's context.
type callerKey struct{}

// callerOf returns who made the request that ctx belongs to.
func callerOf(ctx context.Context) caller {
	c, _ := ctx.Value(callerKey{}).(caller)
	return c
}

// keyring knows keys by the SHA-256 of their secret. A key that worked once
// goes on working while the store is away, and is not slowed by somebody
// else's failures from the same address.
type keyring struct {
	admin    [sha256.Size]byte // of the key handed in
	hasAdmin bool
	store    keyStore
	failures *failures

	mu    *sync.Mutex
	known map[[sha256.Size]byte]knownKey
}

// knownKey is a key that the store confirmed at a time.
type knownKey struct {
	caller
	at time.Time
}

// newKeyring makes a ring with the admin key, if there is one, and the store's keys.
func newKeyring(admin string, keys keyStore) keyring {
	return keyring{
		admin: sha256.Sum256([]byte(admin)), hasAdmin: admin != "", store: keys,
		failures: &failures{}, mu: &sync.Mutex{}, known: map[[sha256.Size]byte]knownKey{},
	}
}

// Errors of a look at the ring.
var (
	errWrongKey = errors.New("wrong key")
	errNoKey    = errors.New("no key")
)

// check finds whose secret it is: errWrongKey when nobody's, another error when
// the store cannot say.
func (k *keyring) check(ctx context.Context, secret string, now time.Time) (caller, error) {
	sum := sha256.Sum256([]byte(secret))
	if k.isAdmin(sum) {
		return caller{id: "admin", admin: true}, nil
	}
	before, seen := k.recall(sum)
	if seen && now.Sub(before.at) < keyFresh {
		return before.caller, nil
	}
	asking, cancel := context.WithTimeout(ctx, storePatience)
	defer cancel()
	key, err := k.store.KeyOf(asking, secret)
	switch {
	case err == nil:
		c := caller{id: key.ID, admin: key.Admin}
		k.remember(sum, knownKey{caller: c, at: now})
		return c, nil
	case errors.Is(err, store.ErrNotFound):
		k.forget(func(id string, s [sha256.Size]byte) bool { return s == sum })
		return caller{}, errWrongKey
	case seen:
		return before.caller, nil
	}
	return caller{}, err
}

// trusted reports whether the secret worked before, without asking the store.
func (k *keyring) trusted(secret string) bool {
	_, seen := k.recall(sha256.Sum256([]byte(secret)))
	return seen
}

// isAdmin compares in constant time.
func (k *keyring) isAdmin(sum [sha256.Size]byte) bool {
	same := subtle.ConstantTimeCompare(sum[:], k.admin[:]) == 1
	return same && k.hasAdmin
}

func (k *keyring) recall(sum [sha256.Size]byte) (knownKey, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	key, ok := k.known[sum]
	return key, ok
}

func (k *keyring) remember(sum [sha256.Size]byte, key knownKey) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.known) >= keyMax {
		clear(k.known)
	}
	k.known[sum] = key
}

// forget drops keys that match, such as one that was revoked.
func (k *keyring) forget(match func(id string, sum [sha256.Size]byte) bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for sum, key := range k.known {
		if match(key.id, sum) {
			delete(k.known, sum)
		}
	}
}

// authenticated lets only requests with a key through.
func (s *Server) authenticated(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, isGuest := s.guestFrom(r, time.Now())
		var err error
		if !isGuest {
			c, err = s.callerFrom(r, time.Now())
		}
		if err != nil {
			if errors.Is(err, errNoKey) || errors.Is(err, errWrongKey) {
				w.Header().Set("WWW-Authenticate", challenge(err))
				err = problem(http.StatusUnauthorized, keyAdvice(err))
			}
			writeProblem(w, err)
			return
		}
		c.base = "http://" + r.Host
		if r.TLS != nil {
			c.base = "https://" + r.Host
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, c)))
	})
}

// forGuests are the calls that room tokens open as well.
var forGuests = regexp.MustCompile(`^/v1/calls/[^/]+/transfer/(accept|decline|brief)$`)

// guestFrom reads a room token where one will do.
func (s *Server) guestFrom(r *http.Request, now time.Time) (caller, bool) {
	if s.tokens == nil || !forGuests.MatchString(r.URL.Path) {
		return caller{}, false
	}
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	claims, err := s.tokens.Verify(token, now)
	return caller{id: "room", identity: claims.Identity}, err == nil
}

// callerFrom checks the request's key; a source that failed too often must wait.
func (s *Server) callerFrom(r *http.Request, now time.Time) (caller, error) {
	secret, err := bearer(r)
	source := sourceOf(r)
	if err == nil && s.keys.trusted(secret) {
		return s.keys.check(r.Context(), secret, now)
	}
	if wait := s.keys.failures.wait(source, now); wait > 0 {
		return caller{}, later(problem(http.StatusTooManyRequests,
			"too many wrong keys came from this address; wait and check the key"), wait)
	}
	if err != nil {
		return caller{}, err
	}
	c, err := s.keys.check(r.Context(), secret, now)
	switch {
	case errors.Is(err, errWrongKey):
		s.keys.failures.add(source, now)
		s.log.Warn("api: a wrong key was tried", "source", source.Addr().String(), "path", r.URL.Path)
		return caller{}, err
	case err != nil:
		return caller{}, s.storeAway(r.Context(), err)
	}
	return c, nil
}

// bearer reads the key of RFC 6750 section 2.1.
func bearer(r *http.Request) (string, error) {
	scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	secret = strings.TrimSpace(secret)
	if !strings.EqualFold(scheme, "Bearer") || secret == "" {
		return "", errNoKey
	}
	if len(secret) > keyBytes {
		return "", errWrongKey
	}
	return secret, nil
}

// challenge is the WWW-Authenticate of RFC 6750 section 3.
func challenge(err error) string {
	if errors.Is(err, errWrongKey) {
		return `Bearer realm="roomline", error="invalid_token"`
	}
	return `Bearer realm="roomline"`
}

// keyAdvice says what to do.
func keyAdvice(err error) string {
	if errors.Is(err, errWrongKey) {
		return "this key is not valid here: it is mistyped, revoked or of another gateway"
	}
	return "send an API key as \"Authorization: Bearer KEY\""
}

// mustAdmin is a 403 for keys that may not change how the gateway works.
func mustAdmin(ctx context.Context) error {
	if callerOf(ctx).admin {
		return nil
	}
	return problem(http.StatusForbidden, "this key places calls and reads; changing this needs an admin key")
}
