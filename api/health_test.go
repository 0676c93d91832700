package api

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
)

// waiting is a backlog of fixed length.
type waiting int

func (w waiting) Backlog() int { return int(w) }

// PEERS 5: while draining, readiness says no, and liveness goes on.
func TestPeerDefect05DrainingIsToldOnBothListeners(t *testing.T) {
	draining := false
	h := newHouse(t, func(c *Config) { c.Draining = func() bool { return draining } })
	both := func(path string) (public, private answer) {
		w := httptest.NewRecorder()
		h.MetricsHandler().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		return h.ask(t, "GET", path, "", "Authorization: "), answer{t, w.Code, w.Header(), w.Body.String()}
	}
	check := func(status int, words string) {
		t.Helper()
		public, private := both("/readyz")
		public.is(status)
		if private.is(status); public.body != private.body || !strings.Contains(public.body, words) {
			t.Fatalf("public %s, private %s, expected %s", public.body, private.body, words)
		}
		public, private = both("/healthz")
		public.is(200)
		private.is(200)
	}
	check(200, `"store":"ok"`)
	h.store.setAway(errAway)
	check(200, `"store":"away"`)
	draining = true
	check(503, `"draining":true`)
}

func TestMetrics(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.RTPPortsInUse = func() int { return 6 }; c.Backlog = waiting(3) })
	q := &media.Quality{PacketsReceived: 100, PacketsSent: 90, PacketsLost: 2, Discarded: 1}
	call := bridge.CallRecord{ID: "call_1", State: bridge.StateActive, Direction: bridge.Inbound, Quality: q}
	h.exchange.put(&fakeCall{record: call})
	h.exchange.rooms = []bridge.RoomRecord{{Name: "a", Participants: []bridge.ParticipantRecord{{Kind: "phone"}, {Kind: "browser"}, {Kind: "browser"}}}}
	h.ask(t, "GET", "/v1/calls/none", "")
	scrape := func() string {
		w := httptest.NewRecorder()
		h.MetricsHandler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		return w.Body.String()
	}
	wants := func(lines ...string) {
		t.Helper()
		text := scrape()
		for _, line := range lines {
			if !strings.Contains(text, line+"\n") {
				t.Errorf("no line %q in\n%s", line, text)
			}
		}
	}
	wants(`roomline_calls{direction="inbound",state="active"} 1`, `roomline_calls{direction="outbound",state="active"} 0`,
		`roomline_legs{kind="browser"} 2`, `roomline_legs{kind="phone"} 1`, `roomline_rooms 1`, `roomline_rtp_ports_in_use 6`,
		`roomline_phone_packets_total{what="received"} 100`, `roomline_phone_packets_total{what="lost"} 2`, `roomline_spool_backlog 3`,
		`roomline_http_requests_total{method="GET",status="404"} 1`)
	// The call has left the exchange and its CDR is not told yet: no counter goes back.
	h.exchange.calls = nil
	wants(`roomline_phone_packets_total{what="received"} 100`, `roomline_calls{direction="inbound",state="active"} 0`)
	call.State, call.Cause = bridge.StateEnded, bridge.CauseNormal
	h.Recorded(bridge.CDR{CallRecord: call})
	wants(`roomline_phone_packets_total{what="received"} 100`, `roomline_calls_ended_total{cause="normal",direction="inbound"} 1`)
	for _, name := range []string{"go_goroutines", "roomline_build_info{"} {
		if !strings.Contains(scrape(), name) {
			t.Errorf("no %s", name)
		}
	}
	if h.ask(t, "GET", "/metrics", "").status != 404 {
		t.Error("the public listener shows metrics")
	}
}

func TestAnswersCarrySecurityHeaders(t *testing.T) {
	h := newHouse(t, func(c *Config) {
		c.Pages = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "page") })
	})
	for _, path := range []string{"/v1/calls", "/v1/nothing", "/healthz", "/rooms/a"} {
		a := h.ask(t, "GET", path, "")
		if a.header.Get("X-Content-Type-Options") != "nosniff" || a.header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s: %v", path, a.header)
		}
		if strings.HasPrefix(path, "/v1/") && (a.header.Get("Cache-Control") != "no-store" || !strings.Contains(a.header.Get("Content-Security-Policy"), "default-src 'none'")) {
			t.Errorf("%s: %v", path, a.header)
		}
	}
	if a := h.ask(t, "GET", "/rooms/a", ""); a.body != "page" {
		t.Errorf("page: %s", a.body)
	}
}

func TestAccessLineHoldsNoSecrets(t *testing.T) {
	h := newHouse(t)
	h.ask(t, "POST", "/v1/calls?secret=in-query", `{"to":"+15559876543","room":"a"}`)
	logged := h.logged.String()
	if !strings.Contains(logged, "path=/v1/calls") || !strings.Contains(logged, "status=422") || !strings.Contains(logged, "level=DEBUG") {
		t.Fatalf("logged %s", logged)
	}
	for _, secret := range []string{"in-query", "9876543", adminKey} {
		if strings.Contains(logged, secret) {
			t.Errorf("%q was logged", secret)
		}
	}
}

func TestTokenLetsIntoItsRoom(t *testing.T) {
	h := newHouse(t)
	h.exchange.put(&fakeCall{record: bridge.CallRecord{ID: "call_1", State: bridge.StateActive}})
	a := into[tokenAnswer](h.ask(t, "POST", "/v1/rooms/lobby/tokens", `{"identity":"ann","role":"dispatcher","call_id":"call_1","ttl":60}`).is(201))
	c, err := h.tokens.Verify(a.Token, a.ExpiresAt.Add(-1))
	if err != nil || c.Room != "lobby" || c.Identity != "ann" || c.Name != "ann" || c.Role != bridge.RoleDispatcher || c.CallID != "call_1" {
		t.Fatalf("claims %+v, %v", c, err)
	}
	if _, err := h.tokens.Verify(a.Token, a.ExpiresAt); err == nil {
		t.Fatal("it never expires")
	}
	if a.URL != "http://example.com/rooms/lobby#"+a.Token {
		t.Fatalf("url %s", a.URL)
	}
	h = newHouse(t, func(c *Config) { c.PublicURL = "https://gateway.example/" })
	a = into[tokenAnswer](h.ask(t, "POST", "/v1/rooms/lobby/tokens", `{"identity":"ann","role":"guest"}`).is(201))
	if !strings.HasPrefix(a.URL, "https://gateway.example/rooms/lobby#") {
		t.Fatalf("url %s", a.URL)
	}
}

func TestHistoryIsListed(t *testing.T) {
	h := newHouse(t)
	h.store.cdrs = []bridge.CDR{{CallRecord: bridge.CallRecord{ID: "call_1"}, DurationMS: 5}}
	h.store.refusals = []bridge.Refusal{{ID: "ref_1", Reason: "no trunk has 198.51.100.7"}}
	if l := into[list[bridge.CDR]](h.ask(t, "GET", "/v1/cdrs?since=2026-01-01T00:00:00Z&cause=busy", "").is(200)); len(l.Items) != 1 || l.Items[0].DurationMS != 5 {
		t.Fatalf("cdrs %+v", l)
	}
	if l := into[list[bridge.Refusal]](h.ask(t, "GET", "/v1/refused", "").is(200)); len(l.Items) != 1 || l.Items[0].Reason == "" {
		t.Fatalf("refused %+v", l)
	}
	if a := h.ask(t, "GET", "/v1/rooms", "").is(200); a.body != "{\"items\":[]}\n" {
		t.Fatalf("an empty list is %s", a.body)
	}
}
