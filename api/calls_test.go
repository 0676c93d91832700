package api

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/store"
)

func debugLog(w *lockedBuffer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func TestCreateCallDialsAndAnswersWithTheCall(t *testing.T) {
	h := newHouse(t)
	a := h.ask(t, "POST", "/v1/calls", `{"to":"+15551234567","room":"lobby","ring_timeout":20,"headers":{"X-Case":"7"}}`).is(201)
	call := into[bridge.CallRecord](a)
	if call.ID == "" || call.State != bridge.StateQueued || a.header.Get("Location") != "/v1/calls/"+call.ID {
		t.Fatalf("call %+v at %q", call, a.header.Get("Location"))
	}
	d := h.exchange.dials[0]
	if d.To != "+15551234567" || d.Room != "lobby" || d.RingTimeout != 20*time.Second || d.Headers["X-Case"] != "7" {
		t.Fatalf("dialled %+v", d)
	}
	if strings.Contains(a.body, "$schema") {
		t.Fatalf("$schema in %s", a.body)
	}
}

// Bad input gets a precise error and changes nothing.
func TestBadInputIsLocatedAndChangesNothing(t *testing.T) {
	long := strings.Repeat("x", 300)
	tests := []struct {
		name, method, path, body string
		status                   int
		location, words          string
	}{
		{"no body", "POST", "/v1/calls", ``, 400, "", "body is required"},
		{"not JSON", "POST", "/v1/calls", `{"to":`, 400, "body", "unexpected end"},
		{"more than JSON", "POST", "/v1/calls", `{"to":"1","room":"a"} x`, 400, "body", "after top-level value"},
		{"a list", "POST", "/v1/calls", `[]`, 422, "body", "expected object"},
		{"null", "POST", "/v1/calls", `null`, 422, "body", "expected object"},
		{"to missing", "POST", "/v1/calls", `{"room":"a"}`, 422, "body.to", "is required"},
		{"to empty", "POST", "/v1/calls", `{"to":"","room":"a"}`, 422, "body.to", "length >= 1"},
		{"to a number", "POST", "/v1/calls", `{"to":911,"room":"a"}`, 422, "body.to", "expected string"},
		{"to too long", "POST", "/v1/calls", `{"to":"` + long + `","room":"a"}`, 422, "body.to", "length <= 256"},
		{"to with a line break", "POST", "/v1/calls", `{"to":"1\r\nX: y","room":"a"}`, 422, "body.to", "control characters"},
		{"unknown field", "POST", "/v1/calls", `{"to":"1","room":"a","rooom":"b"}`, 422, "body.rooom", "is not a field"},
		{"two spellings of one field", "POST", "/v1/calls", `{"to":"1","TO":"` + long + `","room":"a"}`, 422, "body.TO", "is not a field"},
		{"integer with an exponent", "POST", "/v1/calls", `{"to":"1","room":"a","ring_timeout":1e2}`, 422, "body.ring_timeout", "not understood"},
		{"bad room", "POST", "/v1/calls", `{"to":"1","room":"a b"}`, 422, "body.room", "letters, digits"},
		{"agent", "POST", "/v1/calls", `{"to":"1","agent":"a","room":"a"}`, 422, "body.agent", "expected one of room, agent and queue"},
		{"queue", "POST", "/v1/calls", `{"to":"1","queue":"a","room":"a"}`, 422, "body.queue", "expected one of room, agent and queue"},
		{"record", "POST", "/v1/calls", `{"to":"1","room":"a","record":true}`, 422, "body.record", "not available yet"},
		{"ring_timeout as text", "POST", "/v1/calls", `{"to":"1","room":"a","ring_timeout":"20s"}`, 422, "body.ring_timeout", "expected integer"},
		{"ring_timeout negative", "POST", "/v1/calls", `{"to":"1","room":"a","ring_timeout":-1}`, 422, "body.ring_timeout", ">= 0"},
		{"ring_timeout fraction", "POST", "/v1/calls", `{"to":"1","room":"a","ring_timeout":1.5}`, 422, "body.ring_timeout", "expected integer"},
		{"header not X-", "POST", "/v1/calls", `{"to":"1","room":"a","headers":{"From":"x"}}`, 422, "body.headers", "X-Customer"},
		{"header with a line break", "POST", "/v1/calls", `{"to":"1","room":"a","headers":{"X-A":"x\r\nVia: y"}}`, 422, "body.headers.X-A", "control characters"},
		{"header not text", "POST", "/v1/calls", `{"to":"1","room":"a","headers":{"X-A":1}}`, 422, "body.headers.X-A", "expected string"},
		{"unknown query", "GET", "/v1/calls?stat=active", ``, 422, "query.stat", "unknown query parameter"},
		{"unknown state", "GET", "/v1/calls?state=talking", ``, 422, "query.state", "one of"},
		{"limit zero", "GET", "/v1/calls?limit=0", ``, 422, "query.limit", ">= 1"},
		{"limit not a number", "GET", "/v1/calls?limit=many", ``, 422, "query.limit", "invalid integer"},
		{"cursor made up", "GET", "/v1/calls?cursor=abc", ``, 422, "query.cursor", "next of a page"},
		{"unknown call", "GET", "/v1/calls/call_9", ``, 404, "", "call_9"},
		{"hang up unknown call", "DELETE", "/v1/calls/call_9", ``, 404, "", "call_9"},
		{"digits of an unknown call", "POST", "/v1/calls/call_9/dtmf", `{"digits":"1"}`, 404, "", "call_9"},
		{"bad digits", "POST", "/v1/calls/call_1/dtmf", `{"digits":"12x"}`, 422, "body.digits", "0-9 A-D"},
		{"no digits", "POST", "/v1/calls/call_1/dtmf", `{}`, 422, "body.digits", "is required"},
		{"transfer nowhere", "POST", "/v1/calls/call_1/transfer", `{}`, 422, "body.to", "to or room"},
		{"transfer twice", "POST", "/v1/calls/call_1/transfer", `{"to":"1","room":"a"}`, 422, "body.room", "to or room"},
		{"transfer to two", "POST", "/v1/calls/call_1/transfer", `{"agent":"a","queue":"b","mode":"warm"}`, 422, "body.to", "one target"},
		{"transfer to somebody", "POST", "/v1/calls/call_1/transfer", `{"participant":"ann"}`, 422, "body.participant", "mode warm"},
		{"transfer with a list", "POST", "/v1/calls/call_1/transfer", `{"room":"a","mode":"warm","context":[1]}`, 422, "body.context", "object"},
		{"transfer refer to a room", "POST", "/v1/calls/call_1/transfer", `{"room":"a","mode":"refer"}`, 422, "body.to", "needs to"},
		{"transfer mode", "POST", "/v1/calls/call_1/transfer", `{"room":"a","mode":"hot"}`, 422, "body.mode", "one of"},
		{"escalate", "POST", "/v1/calls/call_1/escalate", `{}`, 422, "path.id", "not available yet"},
		{"room not open", "GET", "/v1/rooms/none", ``, 404, "", "none"},
		{"token for a bad room", "POST", "/v1/rooms/a%20b/tokens", `{"identity":"x","role":"guest"}`, 422, "path.room", "letters"},
		{"token without role", "POST", "/v1/rooms/a/tokens", `{"identity":"x"}`, 422, "body.role", "is required"},
		{"token with a wrong role", "POST", "/v1/rooms/a/tokens", `{"identity":"x","role":"king"}`, 422, "body.role", "one of"},
		{"token for an unknown call", "POST", "/v1/rooms/a/tokens", `{"identity":"x","role":"caller","call_id":"call_9"}`, 422, "body.call_id", "no live call"},
		{"token for too long", "POST", "/v1/rooms/a/tokens", `{"identity":"x","role":"guest","ttl":99999999}`, 422, "body.ttl", "<= 604800"},
		{"nothing there", "GET", "/v1/nothing", ``, 404, "", "openapi.json"},
		{"wrong method", "PATCH", "/v1/calls", ``, 405, "", "GET"},
		{"not JSON by type", "POST", "/v1/calls", `to=1`, 400, "body", "invalid character"},
		{"webhook not a URL", "POST", "/v1/webhooks", `{"url":"ftp://x"}`, 422, "body.url", "http or https"},
		{"webhook with credentials", "POST", "/v1/webhooks", `{"url":"https://u:p@hook.example"}`, 422, "body.url", "no credentials"},
		{"webhook with bad events", "POST", "/v1/webhooks", `{"url":"https://hook.example","events":["Call Ended"]}`, 422, "body.events", "call.ended"},
		{"webhook with a bad secret", "POST", "/v1/webhooks", `{"url":"https://hook.example","secret":"whsec_aaaa"}`, 422, "body.secret", "24 to 64"},
		{"webhook with a masked secret", "POST", "/v1/webhooks", `{"url":"https://hook.example","secret":"********"}`, 422, "body.secret", "keep"},
		{"key without a name", "POST", "/v1/keys", `{}`, 422, "body.name", "is required"},
		{"explain without to", "POST", "/v1/routes/explain", `{}`, 422, "body.to", "is required"},
		{"explain at no time", "POST", "/v1/routes/explain", `{"to":"1","at":"tomorrow"}`, 422, "body.at", "expected a time"},
		{"since not a time", "GET", "/v1/cdrs?since=yesterday", ``, 422, "query.since", "invalid date/time"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t)
			call := &fakeCall{record: bridge.CallRecord{ID: "call_1", State: bridge.StateActive}}
			h.exchange.put(call)
			h.ask(t, tt.method, tt.path, tt.body).is(tt.status).says(tt.location, tt.words)
			if n := h.exchange.dialled(); n != 0 {
				t.Fatalf("%d calls were dialled", n)
			}
			if len(call.done) != 0 || h.store.changes != 0 || len(h.store.hooks) != 0 || len(h.store.keys) != 0 {
				t.Fatal("something was changed")
			}
		})
	}
}

func TestBodyLargerThanTheLimitIsRefused(t *testing.T) {
	h := newHouse(t)
	h.ask(t, "POST", "/v1/calls", `{"to":"`+strings.Repeat("1", maxBody)+`"}`).is(413).says("body", "1 MiB")
}

func TestBodyMustBeJSONByType(t *testing.T) {
	h := newHouse(t)
	body := `{"to":"1","room":"a"}`
	for _, kind := range []string{"application/x-www-form-urlencoded", "text/plain", "application/json, x", "application/cbor"} {
		h.ask(t, "POST", "/v1/calls", body, "Content-Type: "+kind).is(400).says("header.Content-Type", "application/json")
	}
	for _, kind := range []string{"application/json", "application/json; charset=utf-8", "Application/JSON"} {
		h.ask(t, "POST", "/v1/calls", body, "Content-Type: "+kind).is(201)
	}
}

func TestProblemNeverRepeatsWhatWasSent(t *testing.T) {
	h := newHouse(t)
	a := h.ask(t, "POST", "/v1/trunks", `{"name":"a","outbound":{"servers":["sip.example"],"password":"hunter2","oops":1}}`).is(422)
	if strings.Contains(a.body, "hunter2") || strings.Contains(h.logged.String(), "hunter2") {
		t.Fatalf("the password came back: %s", a.body)
	}
	a = h.ask(t, "POST", "/v1/trunks", `{"name":"a","outbound":{"servers":["sip.example"],"password":"hunter2"`).is(400)
	if strings.Contains(a.body, "hunter2") {
		t.Fatalf("the password came back: %s", a.body)
	}
}

func TestBridgeErrorsBecomeStatuses(t *testing.T) {
	tests := []struct {
		err      error
		status   int
		location string
		retry    bool
	}{
		{&bridge.Error{Code: bridge.Invalid, Field: "to", Message: "no number"}, 422, "body.to", false},
		{&bridge.Error{Code: bridge.Forbidden, Field: "to", Message: "no route"}, 403, "body.to", false},
		{&bridge.Error{Code: bridge.Conflict, Message: "busy"}, 409, "", false},
		{&bridge.Error{Code: bridge.NotFound, Message: "gone"}, 404, "", false},
		{&bridge.Error{Code: bridge.LimitReached, Field: "trunk", Message: "full"}, 429, "body.trunk", true},
		{&bridge.Error{Code: bridge.Unavailable, Message: "stopping"}, 503, "", true},
		{fmt.Errorf("secret detail"), 500, "", false},
	}
	for _, tt := range tests {
		h := newHouse(t)
		h.exchange.dial = func(bridge.DialRequest) (bridge.CallRecord, error) { return bridge.CallRecord{}, tt.err }
		a := h.ask(t, "POST", "/v1/calls", `{"to":"1","room":"a"}`).is(tt.status)
		if tt.status == 500 {
			if a.says("", "log"); strings.Contains(a.body, "secret") {
				t.Fatalf("an internal error was shown: %s", a.body)
			}
			continue
		}
		a.says(tt.location, tt.err.Error())
		if got := a.header.Get("Retry-After") != ""; got != tt.retry {
			t.Fatalf("Retry-After %t for %d", got, tt.status)
		}
	}
}

// PEERS 5: a gateway that drains must not take new calls.
func TestPeerDefect05DrainingRefusesNewCalls(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.Draining = func() bool { return true } })
	a := h.ask(t, "POST", "/v1/calls", `{"to":"1","room":"a"}`).is(503).says("", "nothing was dialled")
	if a.header.Get("Retry-After") == "" || h.exchange.dialled() != 0 {
		t.Fatal("expected Retry-After and no call")
	}
}

// PEERS 11: a retried create-call must not dial twice.
func TestPeerDefect11RetriedCreateCallDialsOnce(t *testing.T) {
	h := newHouse(t)
	body := `{"to":"+15551234567","room":"lobby"}`
	first := h.ask(t, "POST", "/v1/calls", body, "Idempotency-Key: k1").is(201)
	// The same request, spelled differently, answered by a gateway that started meanwhile.
	h.Server.requests = requests{}
	again := h.ask(t, "POST", "/v1/calls", `{ "room":"lobby", "to":"+15551234567" }`, "Idempotency-Key: k1").is(201)
	if first.body != again.body || again.header.Get("Idempotency-Replayed") != "true" || first.header.Get("Idempotency-Replayed") != "" {
		t.Fatalf("first %s, again %s", first.body, again.body)
	}
	h.ask(t, "POST", "/v1/calls", `{"to":"+15550000000","room":"lobby"}`, "Idempotency-Key: k1").is(422).says("header.Idempotency-Key", "different request")
	h.ask(t, "POST", "/v1/calls", body, "Idempotency-Key: k2").is(201)
	if n := h.exchange.dialled(); n != 2 {
		t.Fatalf("%d calls were dialled, expected 2: one per key", n)
	}
}

func TestFiftyConcurrentDuplicatesDialOnce(t *testing.T) {
	h := newHouse(t)
	release := make(chan struct{})
	h.exchange.dial = func(r bridge.DialRequest) (bridge.CallRecord, error) {
		<-release
		return bridge.CallRecord{ID: "call_once", To: r.To}, nil
	}
	var started, done sync.WaitGroup
	bodies := make([]string, 50)
	for i := range bodies {
		started.Add(1)
		done.Go(func() {
			started.Done()
			bodies[i] = h.ask(t, "POST", "/v1/calls", `{"to":"+15551234567","room":"lobby"}`, "Idempotency-Key: same").is(201).body
		})
	}
	started.Wait()
	close(release)
	done.Wait()
	if n := h.exchange.dialled(); n != 1 {
		t.Fatalf("%d calls were dialled", n)
	}
	if slices.ContainsFunc(bodies, func(b string) bool { return b != bodies[0] }) {
		t.Fatal("the answers differ")
	}
}

func TestFailedDialReleasesItsKey(t *testing.T) {
	h := newHouse(t)
	h.exchange.dial = func(bridge.DialRequest) (bridge.CallRecord, error) {
		return bridge.CallRecord{}, &bridge.Error{Code: bridge.LimitReached, Message: "full"}
	}
	h.ask(t, "POST", "/v1/calls", `{"to":"1","room":"a"}`, "Idempotency-Key: k").is(429)
	h.exchange.dial = nil
	h.ask(t, "POST", "/v1/calls", `{"to":"1","room":"a"}`, "Idempotency-Key: k").is(201)
}

func TestPanicInDialLeavesNoDuplicateWaiting(t *testing.T) {
	h := newHouse(t)
	h.exchange.dial = func(bridge.DialRequest) (bridge.CallRecord, error) {
		h.exchange.dial = nil
		panic("boom")
	}
	h.ask(t, "POST", "/v1/calls", `{"to":"1","room":"a"}`, "Idempotency-Key: k").is(500).says("", "our side")
	h.ask(t, "POST", "/v1/calls", `{"to":"1","room":"a"}`, "Idempotency-Key: k").is(409)
}

func TestKeyIsHonouredInMemoryWhileTheStoreIsAway(t *testing.T) {
	h := newHouse(t)
	h.store.setAway(errAway)
	first := h.ask(t, "POST", "/v1/calls", `{"to":"1","room":"a"}`, "Idempotency-Key: k").is(201)
	h.store.setAway(nil)
	again := h.ask(t, "POST", "/v1/calls", `{"to":"1","room":"a"}`, "Idempotency-Key: k").is(201)
	if first.body != again.body || h.exchange.dialled() != 1 {
		t.Fatal("a retry dialled again")
	}
}

func TestClaimOfADeadGatewayIsNotDialledAgain(t *testing.T) {
	h := newHouse(t)
	b := callBody{To: "1", Room: "a"}
	h.store.ClaimRequest(t.Context(), "admin", "k", b.hash(), time.Now().Add(-time.Hour))
	h.ask(t, "POST", "/v1/calls", `{"to":"1","room":"a"}`, "Idempotency-Key: k").is(409).says("header.Idempotency-Key", "look for the call")
	h.store.ReleaseRequest(t.Context(), "admin", "k")
	h.store.ClaimRequest(t.Context(), "admin", "k", b.hash(), time.Now())
	a := h.ask(t, "POST", "/v1/calls", `{"to":"1","room":"a"}`, "Idempotency-Key: k").is(409)
	if a.header.Get("Retry-After") == "" || h.exchange.dialled() != 0 {
		t.Fatal("expected Retry-After and no call")
	}
}

func TestDuplicateThatWaitsTooLongIsToldToAskAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		release := make(chan struct{})
		h.exchange.dial = func(bridge.DialRequest) (bridge.CallRecord, error) {
			<-release
			return bridge.CallRecord{ID: "call_slow"}, nil
		}
		var wg sync.WaitGroup
		wg.Go(func() { h.ask(t, "POST", "/v1/calls", `{"to":"1","room":"a"}`, "Idempotency-Key: k").is(201) })
		synctest.Wait()
		a := h.ask(t, "POST", "/v1/calls", `{"to":"1","room":"a"}`, "Idempotency-Key: k").is(409)
		if a.header.Get("Retry-After") != "1" {
			t.Error("expected Retry-After")
		}
		close(release)
		wg.Wait()
	})
}

func TestActionsReachTheCall(t *testing.T) {
	h := newHouse(t)
	call := &fakeCall{record: bridge.CallRecord{ID: "call_1", State: bridge.StateActive}}
	h.exchange.put(call)
	for _, step := range []struct{ path, body, did string }{
		{"hold", "", "hold true"}, {"unhold", "", "hold false"}, {"mute", "", "mute true"}, {"unmute", "", "mute false"},
		{"dtmf", `{"digits":"12#a"}`, "digits 12#A"},
		{"transfer", `{"room":"front"}`, "transfer to= room=front"},
		{"transfer/accept", ``, "accept by="},
		{"transfer/decline", `{"participant":"ann"}`, "decline by=ann"},
		{"transfer", `{"to":"+15551112222","mode":"blind"}`, "transfer to=+15551112222 room="},
		{"transfer", `{"to":"+15551112222","mode":"refer"}`, "refer to=+15551112222 room="},
	} {
		call.done = nil
		h.ask(t, "POST", "/v1/calls/call_1/"+step.path, step.body).is(200)
		if len(call.done) != 1 || call.done[0] != step.did {
			t.Fatalf("%s did %v, expected %q", step.path, call.done, step.did)
		}
	}
	call.done = nil
	h.ask(t, "DELETE", "/v1/calls/call_1", "").is(204)
	if !slices.Equal(call.done, []string{"hangup "}) {
		t.Fatalf("did %v", call.done)
	}
	if strings.Contains(h.logged.String(), "12#") {
		t.Fatal("digits were logged")
	}
}

func TestEndedCallIsFoundAndCannotBeSteered(t *testing.T) {
	h := newHouse(t)
	h.store.cdrs = []bridge.CDR{{CallRecord: bridge.CallRecord{ID: "call_1", State: bridge.StateEnded, Cause: bridge.CauseBusy}}}
	if c := into[bridge.CallRecord](h.ask(t, "GET", "/v1/calls/call_1", "").is(200)); c.Cause != bridge.CauseBusy {
		t.Fatalf("got %+v", c)
	}
	h.ask(t, "POST", "/v1/calls/call_1/hold", "").is(409).says("", "has ended")
	h.ask(t, "DELETE", "/v1/calls/call_1", "").is(204)
}

func TestCallIsVisibleBetweenItsEndAndItsRow(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.Backlog = waiting(0) })
	h.Recorded(bridge.CDR{CallRecord: bridge.CallRecord{ID: "call_1", State: bridge.StateEnded}})
	h.ask(t, "GET", "/v1/calls/call_1", "").is(200)
	if l := into[list[bridge.CallRecord]](h.ask(t, "GET", "/v1/calls", "").is(200)); len(l.Items) != 1 {
		t.Fatalf("listed %+v", l)
	}
}

func TestEndedCallsAreKeptUntilTheStoreHasThem(t *testing.T) {
	var r recent
	start := time.Now()
	r.add(bridge.CDR{CallRecord: bridge.CallRecord{ID: "call_1"}}, start)
	if n := len(r.all(waiting(0), start.Add(time.Second))); n != 1 {
		t.Fatal("forgotten before its CDR can have reached the spool")
	}
	if n := len(r.all(waiting(1), start.Add(time.Hour))); n != 1 {
		t.Fatal("forgotten while it waits for the store")
	}
	if n := len(r.all(waiting(0), start.Add(time.Hour))); n != 0 {
		t.Fatal("kept for ever")
	}
	for range recentMost * 2 {
		r.add(bridge.CDR{}, start)
	}
	if n := len(r.calls); n > recentMost {
		t.Fatalf("%d are kept", n)
	}
}

// Paging through live and ended calls shows each once, whatever the page size.
func TestListMergesLiveAndEndedCalls(t *testing.T) {
	for limit := 1; limit <= 8; limit++ {
		h := newHouse(t)
		for i := range 3 {
			h.exchange.put(&fakeCall{record: bridge.CallRecord{ID: fmt.Sprintf("call_9%d", i), State: bridge.StateActive, Room: "a"}})
		}
		for i := 4; i >= 0; i-- {
			h.store.cdrs = append(h.store.cdrs, bridge.CDR{CallRecord: bridge.CallRecord{ID: fmt.Sprintf("call_0%d", i), State: bridge.StateEnded, Room: "a"}})
		}
		var seen []string
		cursor := ""
		for range 20 {
			l := into[list[bridge.CallRecord]](h.ask(t, "GET", fmt.Sprintf("/v1/calls?room=a&limit=%d&cursor=%s", limit, cursor), "").is(200))
			if len(l.Items) > limit {
				t.Fatalf("%d items on a page of %d", len(l.Items), limit)
			}
			for _, c := range l.Items {
				seen = append(seen, c.ID)
			}
			if cursor = l.Next; cursor == "" {
				break
			}
		}
		want := []string{"call_92", "call_91", "call_90", "call_04", "call_03", "call_02", "call_01", "call_00"}
		if !slices.Equal(seen, want) {
			t.Fatalf("limit %d: saw %v", limit, seen)
		}
	}
}

func TestListFilters(t *testing.T) {
	h := newHouse(t)
	h.exchange.put(&fakeCall{record: bridge.CallRecord{ID: "call_3", State: bridge.StateActive, Room: "a", From: "x"}})
	h.exchange.put(&fakeCall{record: bridge.CallRecord{ID: "call_4", State: bridge.StateHeld, Room: "b", To: "y"}})
	h.store.cdrs = []bridge.CDR{{CallRecord: bridge.CallRecord{ID: "call_1", State: bridge.StateEnded, Room: "a", From: "x"}}}
	for query, want := range map[string]string{
		"": "call_4 call_3 call_1", "?state=active": "call_3", "?state=ended": "call_1", "?room=a": "call_3 call_1",
		"?from=x": "call_3 call_1", "?to=y": "call_4", "?state=queued": "",
	} {
		var ids []string
		for _, c := range into[list[bridge.CallRecord]](h.ask(t, "GET", "/v1/calls"+query, "").is(200)).Items {
			ids = append(ids, c.ID)
		}
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("%s: %q, expected %q", query, got, want)
		}
	}
}

func TestLiveCallsAreListedWhileTheStoreIsAway(t *testing.T) {
	h := newHouse(t)
	h.exchange.put(&fakeCall{record: bridge.CallRecord{ID: "call_1", State: bridge.StateActive}})
	h.store.setAway(errAway)
	l := into[list[bridge.CallRecord]](h.ask(t, "GET", "/v1/calls", "").is(200))
	if len(l.Items) != 1 || l.Next == "" {
		t.Fatalf("listed %+v, expected the live call and a next page for the rest", l)
	}
	h.ask(t, "GET", "/v1/calls?cursor="+l.Next, "").is(503).says("", "store cannot be reached")
	h.ask(t, "GET", "/v1/calls?state=active", "").is(200)
}

func FuzzCreateCall(f *testing.F) {
	for _, body := range []string{`{"to":"+15551234567","room":"lobby"}`, `{"to":"1","room":"a","headers":{"X-A":"b"},"ring_timeout":5}`,
		`{"to":null}`, `[]`, `{"to":"sip:a@b","room":"x","from":"\u0000"}`, `{"to":1e999}`, "{\"to\":\"\xff\",\"room\":\"a\"}", `{"TO":"1","ROOM":"a"}`} {
		f.Add([]byte(body))
	}
	h := newHouse(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		before := h.exchange.dialled()
		r := httptest.NewRequest("POST", "/v1/calls", strings.NewReader(string(body)))
		r.Header.Set("Authorization", "Bearer "+adminKey)
		w := httptest.NewRecorder()
		h.Handler().ServeHTTP(w, r)
		dialled := h.exchange.dialled() - before
		switch {
		case w.Code == http.StatusCreated && dialled == 1:
			d := h.exchange.dials[len(h.exchange.dials)-1]
			if d.To == "" || (d.Room != "" && !roomPattern.MatchString(d.Room)) || strings.ContainsAny(d.To+d.From, "\r\n\x00") {
				t.Fatalf("dialled %+v", d)
			}
			for name, value := range d.Headers {
				if !headerPattern.MatchString(name) || strings.ContainsAny(value, "\r\n\x00") {
					t.Fatalf("header %q: %q", name, value)
				}
			}
		case w.Code >= 400 && w.Code < 500 && dialled == 0 && w.Header().Get("Content-Type") == "application/problem+json":
		default:
			t.Fatalf("status %d with %d calls: %s", w.Code, dialled, w.Body)
		}
	})
}

var _ Store = (*store.Store)(nil)

func TestMachineDetectionIsAsked(t *testing.T) {
	h := newHouse(t)
	h.ask(t, "POST", "/v1/calls", `{"to":"+15551234567","machine_detection":true,"machine":"hangup"}`).is(201)
	h.ask(t, "POST", "/v1/calls", `{"to":"+15551234567","machine_detection":{"limit_ms":2000}}`).is(201)
	h.ask(t, "POST", "/v1/calls", `{"to":"+15551234567","machine_detection":"yes"}`).is(422)
	h.ask(t, "POST", "/v1/calls", `{"to":"+15551234567","machine":"guess"}`).is(422)
	for _, tt := range []struct {
		body string
		want *bridge.MachineSpec
		bad  bool
	}{
		{`{"to":"+15551234567"}`, nil, false},
		{`{"to":"+15551234567","machine_detection":true}`, &bridge.MachineSpec{}, false},
		{`{"to":"+15551234567","machine_detection":false}`, nil, false},
		{`{"to":"+15551234567","machine_detection":{"limit_ms":3000},"machine":"hangup"}`, &bridge.MachineSpec{Then: "hangup", Limit: 3 * time.Second}, false},
		{`{"to":"+15551234567","machine":"wait_beep"}`, &bridge.MachineSpec{Then: "wait_beep"}, false},
		{`{"to":"+15551234567","machine":"hangup","machine_detection":false}`, nil, true},
		{`{"to":"+15551234567","machine_detection":{"limit":3}}`, nil, true},
	} {
		var b callBody
		err := json.Unmarshal([]byte(tt.body), &b)
		var got bridge.DialRequest
		if err == nil {
			got, err = b.request()
		}
		if (err != nil) != tt.bad || !reflect.DeepEqual(got.Machine, tt.want) {
			t.Errorf("%s: %+v, %v", tt.body, got.Machine, err)
		}
	}
}
