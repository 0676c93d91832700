package main

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/phone"
	"github.com/roomline/roomline/store/pgtest"
)

// databases are the two that everything durable is proved on.
func databases(t *testing.T, prove func(t *testing.T, url string)) {
	t.Run("SQLite", func(t *testing.T) { prove(t, "") })
	t.Run("PostgreSQL", func(t *testing.T) { prove(t, pgtest.Start(t).Database(t)) })
}

// kept makes houses that share a data folder and a database, as before and after a restart.
func kept(t *testing.T, url string) func(*settings) {
	data := t.TempDir()
	return func(s *settings) { s.Data, s.DatabaseURL, s.AdminKey = data, url, "" }
}

// receiver takes webhooks on a fixed address, so that it can be away and come back.
type receiver struct {
	addr string
	mu   sync.Mutex
	seen []bridge.Event
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	var e bridge.Event
	if json.Unmarshal(body, &e) == nil && req.Header.Get("Webhook-Signature") != "" {
		r.mu.Lock()
		r.seen = append(r.seen, e)
		r.mu.Unlock()
	}
	w.WriteHeader(http.StatusNoContent)
}

func (r *receiver) count(call, kind string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.seen {
		if e.CallID == call && e.Type == kind {
			n++
		}
	}
	return n
}

// up serves until the test ends.
func (r *receiver) up(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: r}
	done := make(chan struct{})
	go func() { defer close(done); srv.Serve(l) }()
	t.Cleanup(func() { srv.Close(); <-done })
}

// shortCall has a phone call a room, say something, and hang up; it returns the call's id.
func (h *house) shortCall(p *phone.Phone, room string) string {
	h.t.Helper()
	c := h.calls(p, room, phone.DialOptions{From: "+15550111"})
	var id string
	for _, rec := range h.exchange.Calls() {
		if rec.SIPCallID == c.Report().SIPCallID {
			id = rec.ID
		}
	}
	if id == "" {
		h.t.Fatalf("the call is not among %+v", h.exchange.Calls())
	}
	c.Hangup()
	h.until("the call is over", func() bool { _, live := h.exchange.Call(id); return !live })
	return id
}

func TestRestartKeepsWhatWasAccepted(t *testing.T) {
	databases(t, func(t *testing.T, url string) {
		hook := &receiver{addr: closedPort(t)}
		same := kept(t, url)
		h := startHouse(t, "", same)
		var made struct {
			ID, Key string
		}
		if status := h.ask("POST", "/v1/keys", map[string]any{"name": "shop"}, &made); status != 201 || made.Key == "" {
			t.Fatalf("key: %d", status)
		}
		if status := h.ask("POST", "/v1/webhooks", map[string]any{"url": "http://" + hook.addr + "/hook", "events": []string{"call.ended"}}, nil); status != 201 {
			t.Fatalf("webhook: %d", status)
		}
		plan := map[string]any{
			"trunks": []any{map[string]any{"name": "carrier", "addresses": []string{"203.0.113.0/24"}}},
			"routes": []any{map[string]any{"name": "all", "trunk": "carrier", "room": "lobby"}},
		}
		if status := h.ask("PUT", "/v1/plan", plan, nil); status != 200 {
			t.Fatalf("plan: %d", status)
		}
		token, _ := h.token("lobby", "ann", bridge.RoleGuest)
		p := softphone(t, phone.Config{})
		call := h.shortCall(p, "lobby") // its webhook cannot be delivered, and the gateway stops at once
		admin := h.adminKey
		h.stop()

		h = startHouse(t, "", same)
		hook.up(t)
		if h.adminKey != admin {
			t.Error("the admin key has changed")
		}
		if c := h.cdr(call); c.Cause != bridge.CauseNormal || c.Room != "lobby" || c.From != "+15550111" {
			t.Errorf("CDR %+v", c)
		}
		if status, _ := h.answerOf("GET", "/v1/calls", "", "Authorization", "Bearer "+made.Key); status != 200 {
			t.Errorf("the key made before: status %d", status)
		}
		inForce := h.plans.inForce()
		if len(inForce.Trunks) != 1 || len(inForce.Routes) != 1 || inForce.Routes[0].Room != "lobby" {
			t.Errorf("plan in force %+v", inForce)
		}
		if _, err := h.keys.Verify(token, time.Now()); err != nil {
			t.Errorf("a room token from before: %v", err)
		}
		var hooks struct{ Items []struct{ URL string } }
		h.ask("GET", "/v1/webhooks", nil, &hooks)
		if len(hooks.Items) != 1 || !strings.Contains(hooks.Items[0].URL, hook.addr) {
			t.Errorf("webhooks %+v", hooks)
		}
		eventually(t, "the webhook of before the restart arrives", 25*time.Second, func() bool { return hook.count(call, "call.ended") > 0 })
		if n := hook.count(call, "call.ended"); n != 1 {
			t.Errorf("it arrived %d times", n)
		}
		if strings.Contains(h.log.all(), made.Key) || strings.Contains(h.log.all(), token) {
			t.Error("the log holds a secret")
		}
	})
}

func TestCallsGoOnWithoutPostgreSQL(t *testing.T) {
	server := pgtest.Start(t)
	url := server.Database(t)
	same := kept(t, url)
	plan := "trunks:\n  - {name: local, addresses: [127.0.0.1]}\nroutes:\n  - {name: desk, trunk: local, to: desk, room: front}\n"
	h := startHouse(t, plan, same)
	p := softphone(t, phone.Config{})
	long := h.calls(p, "desk", phone.DialOptions{})
	long.Speak(phone.Tone(phoneHz, phoneDB))
	guest := h.enter("front", "ann")
	hears(t, "the guest", guest.Heard, phoneHz, phoneDB)

	server.Down(t)
	var ids []string
	for range 5 {
		ids = append(ids, h.shortCall(p, "desk"))
	}
	h.newPeer().refused(t) // and one that is refused
	var ready struct{ Store string }
	if status := h.ask("GET", "/readyz", nil, &ready); status != 200 || ready.Store != "away" {
		t.Errorf("readyz %d %+v", status, ready)
	}
	if rec := h.call(ids[0]); rec.State != bridge.StateEnded {
		t.Errorf("an ended call cannot be read without the database: %+v", rec)
	}
	heard := len(guest.Heard())
	h.until("the long call goes on", func() bool { return len(guest.Heard()) > heard+8000 })
	hears(t, "the guest", guest.Heard, phoneHz, phoneDB)
	h.stop() // a restart meanwhile loses nothing
	<-long.Ended()

	h = startHouse(t, "", same) // without its file: by the snapshot on disk
	ids = append(ids, h.shortCall(p, "desk"))
	if rec := h.call(ids[5]); rec.Room != "front" {
		t.Errorf("started without the database, calls go to %q", rec.Room)
	}

	server.Up(t)
	for _, id := range ids {
		if c := h.cdr(id); c.Cause != bridge.CauseNormal || c.Room != "front" {
			t.Errorf("CDR %+v", c)
		}
	}
	h.cdrs(len(ids) + 1)
	h.until("the refused call is listed", func() bool {
		var page struct{ Items []bridge.Refusal }
		h.ask("GET", "/v1/refused", nil, &page)
		return len(page.Items) == 1
	})
	h.until("every event has arrived once", func() bool {
		seen := map[string]int{}
		events, err := h.store.Events(t.Context(), "", 1000)
		if err != nil {
			return false
		}
		for _, e := range events {
			seen[e.CallID+e.Type]++
		}
		for _, id := range ids {
			for _, kind := range []string{"call.created", "call.answered", "call.ended"} {
				if seen[id+kind] > 1 {
					t.Fatalf("%s of %s %d times", kind, id, seen[id+kind])
				}
				if seen[id+kind] == 0 {
					return false
				}
			}
		}
		return true
	})
	eventually(t, "the spool is empty", 10*time.Second, func() bool { return h.spool.Backlog() == 0 })
}

// refused sends an INVITE without a codec that we have.
func (w *sipPeer) refused(t *testing.T) {
	t.Helper()
	d := w.invite("desk", 40000)
	d.body = peerSDP("127.0.0.1", 40000, "m=audio 40000 RTP/AVP 9\r\n")
	w.sendDraft(d)
	w.ack(d, w.response(488, "INVITE"))
}

// A gateway whose plan stands in its configuration file needs no database for
// its first start, and stores the plan when there is one.
func TestStartWithoutPostgreSQLGoesByTheFile(t *testing.T) {
	server := pgtest.Start(t)
	url := server.Database(t)
	server.Down(t)
	h := startHouse(t, "trunks:\n  - {name: local, addresses: [127.0.0.1]}\nroutes:\n  - {name: desk, trunk: local, to: desk, room: front}\n", kept(t, url))
	p := softphone(t, phone.Config{})
	if rec := h.call(h.shortCall(p, "desk")); rec.Room != "front" {
		t.Errorf("the call went to %q, want the route's room", rec.Room)
	}
	server.Up(t)
	h.until("the plan of the file is stored", func() bool {
		stored, err := h.store.LoadPlan(t.Context())
		return err == nil && len(stored.Routes) == 1 && len(stored.Trunks) == 1
	})
	if len(h.plans.inForce().Routes) != 1 {
		t.Errorf("the plan is gone: %+v", h.plans.inForce())
	}
	h.cdrs(1)
}

func TestTwoGatewaysShareOnePostgreSQL(t *testing.T) {
	url := pgtest.Start(t).Database(t)
	a, b := startHouse(t, "", kept(t, url)), startHouse(t, "", kept(t, url))
	body := map[string]any{
		"trunks": []any{map[string]any{"name": "local", "addresses": []string{"127.0.0.1"}}},
		"routes": []any{map[string]any{"name": "desk", "trunk": "local", "to": []string{"desk"}, "room": "front"}},
	}
	if status := a.ask("PUT", "/v1/plan", body, nil); status != 200 {
		t.Fatalf("plan: %d", status)
	}
	b.until("the other gateway has the plan", func() bool { return len(b.plans.inForce().Routes) == 1 })
	p := softphone(t, phone.Config{})
	first, second := a.shortCall(p, "desk"), b.shortCall(p, "desk")
	for _, h := range []*house{a, b} { // each lists the calls of both
		for _, id := range []string{first, second} {
			if c := h.cdr(id); c.Room != "front" || c.Route != "desk" {
				t.Errorf("CDR %+v", c)
			}
		}
	}
	if status := b.ask("DELETE", "/v1/routes/desk", nil, nil); status != 204 {
		t.Errorf("delete: %d", status)
	}
	a.until("the route is gone at the other gateway", func() bool { return len(a.plans.inForce().Routes) == 0 })
	events, err := a.store.Events(t.Context(), "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, e := range events {
		if ids[e.ID] {
			t.Errorf("two events have the id %s", e.ID)
		}
		ids[e.ID] = true
	}
	if _, n := a.commandLine("migrate", "status", "--database-url", url); n != 0 {
		t.Errorf("migrate status: exit %d", n)
	}
}
