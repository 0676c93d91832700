package room

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/roomline/roomline/bridge"
)

var (
	keyA = Key{ID: "a", Secret: []byte("0123456789abcdef0123456789abcdef")}
	keyB = Key{ID: "b", Secret: []byte("fedcba9876543210fedcba9876543210")}
)

func testKeys(t testing.TB) *Keys {
	t.Helper()
	k, err := NewKeys(keyA)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func guest(identity string) Claims {
	return Claims{Identity: identity, Role: bridge.RoleGuest, Room: "lobby"}
}

func TestTokenCarriesItsClaims(t *testing.T) {
	k := testKeys(t)
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	in := Claims{
		Identity: "ann", Name: "Ann Ångström", Role: bridge.RoleAgent, Person: "p1", CallID: "call_1", Room: "lobby",
		Grants: Grants{HangUp: true, HeardBy: "humans"},
	}
	token, expires, err := k.Mint(in, 0, now)
	if err != nil || !expires.Equal(now.Add(DefaultTTL)) {
		t.Fatal(expires, err)
	}
	out, err := k.Verify(token, now.Add(DefaultTTL-time.Second))
	if err != nil || out != in {
		t.Errorf("%+v, %v", out, err)
	}
}

func TestKeysRotateByID(t *testing.T) {
	k := testKeys(t)
	now := time.Now()
	old, _, _ := k.Mint(guest("ann"), 0, now)
	if err := k.Rotate(keyB); err != nil {
		t.Fatal(err)
	}
	young, _, _ := k.Mint(guest("ann"), 0, now)
	for _, token := range []string{old, young} {
		if _, err := k.Verify(token, now); err != nil {
			t.Error(err)
		}
	}
	k.Retire("b") // the current one stays
	k.Retire("a")
	if _, err := k.Verify(young, now); err != nil {
		t.Error(err)
	}
	if _, err := k.Verify(old, now); err == nil || !strings.Contains(err.Error(), "unknown or retired") {
		t.Errorf("err = %v", err)
	}
	if err := k.Rotate(Key{ID: "c", Secret: []byte("short")}); err == nil {
		t.Error("a short secret was taken")
	}
}

func sign(t *testing.T, method jwt.SigningMethod, key any, kid string, claims jwt.MapClaims) string {
	t.Helper()
	token := jwt.NewWithClaims(method, claims)
	if kid != "" {
		token.Header["kid"] = kid
	}
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Every refusal says what is wrong: PEERS.md, defect 10.
func TestPeerDefect10WrongTokensAreToldApart(t *testing.T) {
	k := testKeys(t)
	now := time.Now()
	good := func() jwt.MapClaims {
		return jwt.MapClaims{"identity": "ann", "role": "guest", "room": "lobby", "exp": now.Add(time.Hour).Unix()}
	}
	with := func(key string, v any) jwt.MapClaims {
		c := good()
		if v == nil {
			delete(c, key)
		} else {
			c[key] = v
		}
		return c
	}
	hs := jwt.SigningMethodHS256
	valid := sign(t, hs, keyA.Secret, "a", good())
	if _, err := k.admit(valid, "lobby", now); err != nil {
		t.Fatal("the good one:", err)
	}
	for name, c := range map[string]struct{ token, want string }{
		"none at all":            {"", "a room token is needed"},
		"no token":               {"hello", "not a JWT"},
		"three dots":             {"a.b.c", "not a JWT"},
		"too long":               {strings.Repeat("a", maxToken+1), "at most"},
		"expired":                {sign(t, hs, keyA.Secret, "a", with("exp", now.Add(-time.Hour).Unix())), "the token expired at 20"},
		"no expiry":              {sign(t, hs, keyA.Secret, "a", with("exp", nil)), "no expiry"},
		"not yet":                {sign(t, hs, keyA.Secret, "a", with("nbf", now.Add(time.Hour).Unix())), "not valid yet"},
		"unknown key":            {sign(t, hs, keyB.Secret, "b", good()), "unknown or retired"},
		"no key id":              {sign(t, hs, keyA.Secret, "", good()), "unknown or retired"},
		"wrong secret":           {sign(t, hs, keyB.Secret, "a", good()), "signature is wrong"},
		"tampered":               {valid[:len(valid)-4] + "AAAA", "signature is wrong"},
		"unsigned":               {sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, "a", good()), "signature is wrong"},
		"another algorithm":      {sign(t, jwt.SigningMethodHS512, keyA.Secret, "a", good()), "signature is wrong"},
		"no identity":            {sign(t, hs, keyA.Secret, "a", with("identity", nil)), "identity must not be empty"},
		"unknown role":           {sign(t, hs, keyA.Secret, "a", with("role", "king")), `role "king" is unknown`},
		"broken room":            {sign(t, hs, keyA.Secret, "a", with("room", "a/b")), "no room name"},
		"control character":      {sign(t, hs, keyA.Secret, "a", with("name", "a\nb")), "control character"},
		"claims of a wrong type": {sign(t, hs, keyA.Secret, "a", with("identity", 7)), "not a JWT"},
	} {
		_, err := k.admit(c.token, "lobby", now)
		var denied *Denial
		if !errors.As(err, &denied) || denied.Status != http.StatusUnauthorized || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	_, err := k.admit(valid, "attic", now)
	var denied *Denial
	if !errors.As(err, &denied) || denied.Status != http.StatusForbidden || err.Error() != `the token is for room "lobby", not for "attic"` {
		t.Errorf("another room: %v", err)
	}
}

func TestMintRefusesByField(t *testing.T) {
	k := testKeys(t)
	for field, c := range map[string]struct {
		claims Claims
		ttl    time.Duration
	}{
		"identity": {Claims{Role: bridge.RoleGuest, Room: "lobby"}, 0},
		"role":     {Claims{Identity: "a", Room: "lobby"}, 0},
		"room":     {Claims{Identity: "a", Role: bridge.RoleGuest}, 0},
		"name":     {Claims{Identity: "a", Name: strings.Repeat("n", 200), Role: bridge.RoleGuest, Room: "lobby"}, 0},
		"ttl":      {guest("a"), MaxTTL + 1},
	} {
		_, _, err := k.Mint(c.claims, c.ttl, time.Now())
		var refused *bridge.Error
		if !errors.As(err, &refused) || refused.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func TestTURNCredentialsAreTimeLimited(t *testing.T) {
	turn := TURN{URLs: []string{"turn:turn.example.com:3478"}, Secret: "north", TTL: time.Hour}
	got := turn.Servers("ann", time.Unix(1700000000, 0))
	// echo -n 1700003600:ann | openssl dgst -sha1 -hmac north -binary | base64
	if len(got) != 1 || got[0].Username != "1700003600:ann" || got[0].Credential != turnWitness {
		t.Errorf("%+v", got)
	}
	if got := (TURN{}).Servers("ann", time.Now()); got == nil || len(got) != 0 {
		t.Errorf("%+v", got)
	}
	h := http.Header{}
	linkICE(h, turn.Servers(`a"b`, time.Unix(1700000000, 0)))
	if l := h.Get("Link"); !strings.HasPrefix(l, `<turn:turn.example.com:3478>; rel="ice-server"; username="1700003600:a\"b"; credential="`) {
		t.Error(l)
	}
}

const turnWitness = "TwqKCcbzejRFa1sgGqGS7SEzCGg="
