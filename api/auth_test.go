package api

import (
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomline/roomline/store"
)

func TestRequestsNeedAKey(t *testing.T) {
	h := newHouse(t)
	for name, header := range map[string]string{
		"none": "Authorization: ", "wrong": "Authorization: Bearer nope", "basic": "Authorization: Basic dTpw",
		"empty": "Authorization: Bearer ", "prefix of the right one": "Authorization: Bearer " + adminKey[:5],
		"longer than the right one": "Authorization: Bearer " + adminKey + "x", "huge": "Authorization: Bearer " + strings.Repeat("a", 4000),
	} {
		for _, path := range []string{"/v1/calls", "/v1/events", "/v1/nothing", "/v1/rooms/a"} {
			h.Server.keys.failures = &failures{}
			a := h.ask(t, "GET", path, "", header).is(401).says("", "key")
			if !strings.HasPrefix(a.header.Get("WWW-Authenticate"), `Bearer realm="roomline"`) {
				t.Fatalf("%s: WWW-Authenticate %q", name, a.header.Get("WWW-Authenticate"))
			}
		}
	}
	if strings.Contains(h.logged.String(), "nope") {
		t.Fatal("a wrong key was logged")
	}
}

func TestNoAdminKeyMeansNoEmptyKey(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.AdminKey = "" })
	h.ask(t, "GET", "/v1/calls", "", "Authorization: Bearer ").is(401)
	if _, err := h.Server.keys.check(t.Context(), "", time.Now()); err == nil {
		t.Fatal("an empty key was accepted")
	}
}

func TestDescriptionAndHealthNeedNoKey(t *testing.T) {
	h := newHouse(t)
	for _, path := range []string{"/v1/openapi.json", "/healthz", "/readyz"} {
		h.ask(t, "GET", path, "", "Authorization: ").is(200)
	}
}

func TestOrdinaryKeyMayCallButNotChangeTheHouse(t *testing.T) {
	h := newHouse(t)
	_, secret, _ := h.store.CreateKey(t.Context(), "console", false)
	auth := "Authorization: Bearer " + secret
	h.ask(t, "POST", "/v1/calls", `{"to":"1","room":"a"}`, auth).is(201)
	h.ask(t, "GET", "/v1/trunks", "", auth).is(200)
	for _, r := range [][3]string{
		{"POST", "/v1/keys", `{"name":"x"}`}, {"GET", "/v1/keys", ""}, {"DELETE", "/v1/keys/k", ""}, {"GET", "/v1/keys/k", ""},
		{"POST", "/v1/webhooks", `{"url":"https://hook.example"}`}, {"GET", "/v1/webhooks", ""}, {"GET", "/v1/webhooks/w", ""},
		{"PUT", "/v1/webhooks/w", `{"url":"https://hook.example"}`}, {"DELETE", "/v1/webhooks/w", ""}, {"GET", "/v1/webhooks/w/deliveries", ""},
		{"PUT", "/v1/plan", `{}`}, {"POST", "/v1/trunks", `{"name":"a"}`}, {"PUT", "/v1/trunks/a", `{"name":"a"}`}, {"DELETE", "/v1/trunks/a", ""},
		{"POST", "/v1/routes", `{"name":"a"}`}, {"POST", "/v1/numbers", `{"number":"+15551230000"}`}, {"DELETE", "/v1/agents/a", ""},
	} {
		h.ask(t, r[0], r[1], r[2], auth).is(403).says("", "admin key")
	}
	if h.store.changes != 0 || len(h.store.hooks) != 0 || len(h.store.keys) != 1 {
		t.Fatal("something was changed")
	}
}

func TestIdempotencyKeysOfTwoCallersDoNotMeet(t *testing.T) {
	h := newHouse(t)
	_, secret, _ := h.store.CreateKey(t.Context(), "console", false)
	h.ask(t, "POST", "/v1/calls", `{"to":"1","room":"a"}`, "Idempotency-Key: k").is(201)
	h.ask(t, "POST", "/v1/calls", `{"to":"2","room":"a"}`, "Idempotency-Key: k", "Authorization: Bearer "+secret).is(201)
}

func TestRevokedKeyEndsAtOnce(t *testing.T) {
	h := newHouse(t)
	made := into[newKey](h.ask(t, "POST", "/v1/keys", `{"name":"console"}`).is(201))
	auth := "Authorization: Bearer " + made.Secret
	h.ask(t, "GET", "/v1/calls", "", auth).is(200)
	h.ask(t, "DELETE", "/v1/keys/"+made.ID, "").is(204)
	h.ask(t, "GET", "/v1/calls", "", auth).is(401)
	h.ask(t, "DELETE", "/v1/keys/none", "").is(404)
	if a := h.ask(t, "GET", "/v1/keys", "").is(200); strings.Contains(a.body, made.Secret) {
		t.Fatal("the list shows a secret")
	}
}

func TestKeysWorkWhileTheStoreIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		_, known, _ := h.store.CreateKey(t.Context(), "known", false)
		_, other, _ := h.store.CreateKey(t.Context(), "other", false)
		h.ask(t, "GET", "/v1/rooms", "", "Authorization: Bearer "+known).is(200)
		h.ask(t, "GET", "/v1/rooms", "", "Authorization: Bearer "+known).is(200)
		if h.store.lookups != 1 {
			t.Fatalf("the store was asked %d times", h.store.lookups)
		}
		time.Sleep(time.Hour)
		h.store.setAway(errAway)
		h.ask(t, "GET", "/v1/rooms", "", "Authorization: Bearer "+known).is(200)
		h.ask(t, "GET", "/v1/rooms", "").is(200) // the admin key handed in
		h.ask(t, "GET", "/v1/rooms", "", "Authorization: Bearer "+other).is(503)
	})
}

func TestGuessingIsSlowedButOthersWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		_, known, _ := h.store.CreateKey(t.Context(), "known", false)
		h.ask(t, "GET", "/v1/rooms", "", "Authorization: Bearer "+known).is(200)
		for range failureBurst {
			h.ask(t, "GET", "/v1/rooms", "", "Authorization: Bearer guess").is(401)
		}
		a := h.ask(t, "GET", "/v1/rooms", "", "Authorization: Bearer guess").is(429).says("", "too many wrong keys")
		if a.header.Get("Retry-After") != "6" {
			t.Fatalf("Retry-After %q", a.header.Get("Retry-After"))
		}
		h.ask(t, "GET", "/v1/rooms", "").is(429) // even a right guess: it was never seen to work
		h.ask(t, "GET", "/v1/rooms", "", "Authorization: Bearer "+known).is(200)
		time.Sleep(failurePause)
		h.ask(t, "GET", "/v1/rooms", "").is(200)
	})
}

func TestSourceOf(t *testing.T) {
	for _, tt := range []struct{ remote, forwarded, want string }{
		{"192.0.2.1:5000", "", "192.0.2.1/32"},
		{"192.0.2.1:5000", "198.51.100.9", "192.0.2.1/32"}, // not from our own proxy: not believed
		{"127.0.0.1:5000", "203.0.113.5, 198.51.100.9", "198.51.100.9/32"},
		{"127.0.0.1:5000", "rubbish", "127.0.0.1/32"},
		{"[2001:db8::1:2:3]:5000", "", "2001:db8::/64"},
		{"[::ffff:192.0.2.1]:5000", "", "192.0.2.1/32"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = tt.remote
		if tt.forwarded != "" {
			r.Header.Set("X-Forwarded-For", tt.forwarded)
		}
		if got := sourceOf(r).String(); got != tt.want {
			t.Errorf("%s forwarded %q: %s, expected %s", tt.remote, tt.forwarded, got, tt.want)
		}
	}
}

func TestFailuresForgetTheQuietest(t *testing.T) {
	var f failures
	now := time.Now()
	for i := range failureSources + 50 {
		addr := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		f.add(netip.PrefixFrom(addr, 32), now)
	}
	if len(f.buckets) > failureSources {
		t.Fatalf("%d sources are remembered", len(f.buckets))
	}
}

func TestKeyringStaysBounded(t *testing.T) {
	k := newKeyring("", &fakeStore{keys: map[string]store.Key{}})
	for i := range keyMax * 2 {
		k.remember([32]byte{byte(i), byte(i >> 8)}, knownKey{})
	}
	if len(k.known) > keyMax {
		t.Fatalf("%d keys are remembered", len(k.known))
	}
}
