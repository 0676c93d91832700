package room

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
)

// Limits of tokens.
const (
	DefaultTTL = time.Hour
	MaxTTL     = 30 * 24 * time.Hour
	maxToken   = 4096 // bytes
	maxName    = 128  // bytes, of identity, name and person
	minSecret  = 32   // bytes: as long as the hash, RFC 7518 section 3.2
)

// Claims say who a token lets into which room.
type Claims struct {
	Identity string      `json:"identity"`
	Name     string      `json:"name,omitempty"`
	Role     bridge.Role `json:"role"`
	Person   string      `json:"person,omitempty"`  // the same for all legs of one human; default: the identity
	CallID   string      `json:"call_id,omitempty"` // binds a browser to a phone's Person
	Room     string      `json:"room"`
	Grants   Grants      `json:"grants,omitzero"`
}

// Grants widen or narrow what the role allows.
type Grants struct {
	HangUp  bool   `json:"hang_up,omitempty"`  // may end other participants' calls
	HeardBy string `json:"heard_by,omitempty"` // all, nobody, humans, or a participant's id
}

// Denial is why somebody may not come in. Status is the HTTP status, Code the
// word on the wire, Message a sentence that its reader can act on.
type Denial struct {
	Status  int
	Code    string
	Message string
}

// Error returns the sentence.
func (d *Denial) Error() string { return d.Message }

// Unauthorized is the code of a missing or bad token.
const Unauthorized = "unauthorized"

func unauthorized(format string, args ...any) *Denial {
	return &Denial{Status: http.StatusUnauthorized, Code: Unauthorized, Message: fmt.Sprintf(format, args...)}
}

func forbidden(format string, args ...any) *Denial {
	return &Denial{Status: http.StatusForbidden, Code: bridge.Forbidden, Message: fmt.Sprintf(format, args...)}
}

// Key is one secret that signs tokens; its ID is the token's "kid".
type Key struct {
	ID     string
	Secret []byte // at least 32 bytes
}

func (k Key) check() error {
	switch {
	case k.ID == "":
		return errors.New("a token key needs an id")
	case len(k.Secret) < minSecret:
		return fmt.Errorf("token key %q has %d bytes, expected at least %d", k.ID, len(k.Secret), minSecret)
	}
	return nil
}

// Keys mints and verifies tokens: JWT (RFC 7519) signed with HS256. It is safe
// for concurrent use.
type Keys struct {
	mu      sync.RWMutex
	current Key
	secrets map[string][]byte
}

// NewKeys signs with current, and still accepts the older keys.
func NewKeys(current Key, older ...Key) (*Keys, error) {
	k := &Keys{secrets: make(map[string][]byte)}
	for _, key := range append(older, current) {
		if err := k.Rotate(key); err != nil {
			return nil, err
		}
	}
	return k, nil
}

// Rotate signs with key from now on; tokens signed before stay valid until
// they expire or their key is retired.
func (k *Keys) Rotate(key Key) error {
	if err := key.check(); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.current = key
	k.secrets[key.ID] = key.Secret
	return nil
}

// Retire refuses the tokens of an old key from now on. The current key stays.
func (k *Keys) Retire(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if id != k.current.ID {
		delete(k.secrets, id)
	}
}

// wireClaims are Claims with the registered ones beside them.
type wireClaims struct {
	Claims
	jwt.RegisteredClaims
}

// Mint signs a token that is valid from now for ttl; 0 means DefaultTTL. The
// error is a *bridge.Error that names the field.
func (k *Keys) Mint(c Claims, ttl time.Duration, now time.Time) (token string, expires time.Time, err error) {
	if ttl == 0 {
		ttl = DefaultTTL
	}
	if ttl < time.Second || ttl > MaxTTL {
		return "", time.Time{}, invalid("ttl", "ttl must be between 1 second and %d days", MaxTTL/(24*time.Hour))
	}
	if err := c.check(); err != nil {
		return "", time.Time{}, err
	}
	expires = now.Add(ttl).Truncate(time.Second)
	t := jwt.NewWithClaims(jwt.SigningMethodHS256, wireClaims{c, jwt.RegisteredClaims{
		IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(expires),
	}})
	k.mu.RLock()
	defer k.mu.RUnlock()
	t.Header["kid"] = k.current.ID
	token, err = t.SignedString(k.current.Secret)
	return token, expires.UTC(), err
}

func invalid(field, format string, args ...any) *bridge.Error {
	return &bridge.Error{Code: bridge.Invalid, Field: field, Message: fmt.Sprintf(format, args...)}
}

func (c Claims) check() error {
	if c.Identity == "" {
		return invalid("identity", "identity must not be empty")
	}
	for _, f := range []struct{ field, value string }{{"identity", c.Identity}, {"name", c.Name}, {"person", c.Person}, {"call_id", c.CallID}} {
		if len(f.value) > maxName {
			return invalid(f.field, "%s has %d bytes, at most %d are allowed", f.field, len(f.value), maxName)
		}
		if strings.ContainsFunc(f.value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return invalid(f.field, "%s holds a control character", f.field)
		}
	}
	if !c.Role.Valid() {
		return invalid("role", "role %q is unknown; use dispatcher, supervisor, agent, guest or caller", c.Role)
	}
	if name, err := dialplan.RoomName(c.Room); err != nil || name != c.Room {
		return invalid("room", "room %q is no room name: expected 1 to 64 of A-Z a-z 0-9 . _ + -", c.Room)
	}
	return nil
}

// Verify checks a token and returns what it claims. The error is a *Denial
// that says what is wrong with it, never what would be right.
func (k *Keys) Verify(token string, now time.Time) (Claims, error) {
	switch {
	case token == "":
		return Claims{}, unauthorized("a room token is needed: send it as Authorization: Bearer, or in the join message")
	case len(token) > maxToken:
		return Claims{}, unauthorized("the token has %d bytes, at most %d are read", len(token), maxToken)
	}
	var claims wireClaims
	_, err := jwt.NewParser(
		jwt.WithValidMethods([]string{"HS256"}), // nothing else, whatever its header says
		jwt.WithExpirationRequired(),
		jwt.WithTimeFunc(func() time.Time { return now }),
	).ParseWithClaims(token, &claims, k.secretFor)
	if err != nil {
		return Claims{}, tokenDenial(err, claims)
	}
	if err := claims.Claims.check(); err != nil {
		return Claims{}, unauthorized("the token's claims are wrong: %s", err)
	}
	return claims.Claims, nil
}

var errUnknownKey = errors.New("unknown key")

func (k *Keys) secretFor(t *jwt.Token) (any, error) {
	id, _ := t.Header["kid"].(string)
	k.mu.RLock()
	defer k.mu.RUnlock()
	secret, ok := k.secrets[id]
	if !ok {
		return nil, errUnknownKey
	}
	return secret, nil
}

func tokenDenial(err error, c wireClaims) *Denial {
	switch {
	case errors.Is(err, errUnknownKey):
		return unauthorized("the token was signed with a key that is unknown or retired; ask for a new one")
	case errors.Is(err, jwt.ErrTokenExpired):
		return unauthorized("the token expired at %s; ask for a new one", c.ExpiresAt.UTC().Format(time.RFC3339))
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return unauthorized("the token is not valid yet; check the clock of who made it")
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return unauthorized("the token has no expiry (exp)")
	case errors.Is(err, jwt.ErrTokenMalformed):
		return unauthorized("the token is not a JWT")
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return unauthorized("the token's signature is wrong, or not made with HS256")
	}
	return unauthorized("the token cannot be verified")
}

// admit verifies a token for a room.
func (k *Keys) admit(token, room string, now time.Time) (Claims, error) {
	c, err := k.Verify(token, now)
	if err != nil {
		return c, err
	}
	if c.Room != room {
		return c, forbidden("the token is for room %q, not for %q", c.Room, room)
	}
	return c, nil
}

// bearer is the token of an Authorization header, RFC 6750 section 2.1.
func bearer(r *http.Request) string {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}
