package api_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomline/roomline/api"
	"github.com/roomline/roomline/api/client"
	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
	"github.com/roomline/roomline/media/rtp"
	"github.com/roomline/roomline/store"
)

// busyDialer places calls whose called side rings and is busy.
type busyDialer struct{ dialled atomic.Int32 }

func (d *busyDialer) Dial(bridge.DialSpec) (bridge.Line, error) {
	d.dialled.Add(1)
	line := &busyLine{events: make(chan bridge.LineEvent, 4)}
	line.events <- bridge.LineEvent{Kind: bridge.LineRinging}
	line.events <- bridge.LineEvent{Kind: bridge.LineEnded, Cause: bridge.CauseBusy, SIPCode: 486, Reason: "busy here"}
	close(line.events)
	return line, nil
}

// busyLine has no media: it is never answered.
type busyLine struct{ events chan bridge.LineEvent }

func (l *busyLine) Early() error                                         { return nil }
func (l *busyLine) Refer(context.Context, string, bridge.Line) error     { return nil }
func (l *busyLine) SendDigit(context.Context, rune, time.Duration) error { return nil }
func (l *busyLine) Ring() error                                          { return nil }
func (l *busyLine) Answer() error                                        { return nil }
func (l *busyLine) End(bridge.Cause, string)                             {}
func (l *busyLine) Hold(context.Context, bool) error                     { return nil }
func (l *busyLine) Events() <-chan bridge.LineEvent                      { return l.events }
func (l *busyLine) Media() *rtp.Session                                  { return nil }
func (l *busyLine) SIPCallID() string                                    { return "sip-call-id" }

// wholeHouse is the API on the real exchange, store and spool.
type wholeHouse struct {
	client *client.Client
	url    string
	store  *store.Store
	dialer *busyDialer
}

const wholeKey = "whole-admin-key"

// newWholeHouse runs until the test ends; everything it starts is waited for.
func newWholeHouse(t *testing.T) *wholeHouse {
	t.Helper()
	dir, log := t.TempDir(), slog.New(slog.DiscardHandler)
	db := must(store.Open(t.Context(), filepath.Join(dir, "roomline.db")))(t)
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	spool := must(store.OpenSpool(filepath.Join(dir, "spool"), log))(t)
	var plan atomic.Pointer[dialplan.Plan]
	plan.Store(&dialplan.Plan{})
	h := &wholeHouse{store: db, dialer: &busyDialer{}}
	exchange := &bridge.Exchange{Plan: plan.Load, Dialer: h.dialer, Log: log}
	server := api.New(api.Config{
		Exchange: api.Bridge(exchange), Store: db, Backlog: spool, AdminKey: wholeKey,
		Plan: plan.Load, PlanChanged: func(p *dialplan.Plan) { plan.Store(p) }, Draining: exchange.Draining, Version: "test", Log: log,
	})
	exchange.Recorded = func(c bridge.CDR) { check(t, spool.AppendCDR(c)); server.Recorded(c) }
	exchange.Emitted = func(e bridge.Event) { check(t, spool.AppendEvent(e)) }
	ln := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	h.url = "http://" + ln.Addr().String()
	h.client = must(client.New(h.url, wholeKey))(t)

	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { exchange.Run(ctx) })
	running.Go(func() { check(t, spool.Run(ctx, db)) })
	running.Go(func() { check(t, server.Run(ctx)) })
	running.Go(func() { check(t, api.Serve(ctx, ln, nil, server.Handler(), log)) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
		check(t, spool.Close())
		check(t, db.Close())
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	})
	return h
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

var wholePlan = &dialplan.Plan{
	Trunks: []dialplan.Trunk{{Name: "carrier", Outbound: &dialplan.Outbound{Servers: []string{"127.0.0.1:5062"}, Password: "hunter2", Username: "u"},
		Limits: &dialplan.Limits{Prefixes: []string{"+1"}}}},
	Routes: []dialplan.Route{{Name: "out", FromRoom: true, To: dialplan.Patterns{"+1*"}, Trunk: "carrier"}},
}

// One busy call, seen by every witness: the answer, the events, the webhook and the row.
func TestBusyCallIsToldEverywhere(t *testing.T) {
	h := newWholeHouse(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()

	_, err := h.client.CreateCall(ctx, client.CallRequest{To: "+12025550123", Room: "lobby"})
	var refused *client.Error
	if !errors.As(err, &refused) || refused.Status != 403 {
		t.Fatalf("without a route: %v", err)
	}
	applied := must(h.client.Apply(ctx, wholePlan, true, false))(t)
	if !applied.Applied || len(applied.Changes) != 2 {
		t.Fatalf("applied %+v", applied)
	}

	hooked := make(chan string, 20)
	var secret atomic.Value
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		hooked <- verified(r, secret.Load().(string))
	}))
	defer receiver.Close()
	secret.Store(h.webhook(t, receiver.URL))

	following, stop := context.WithCancel(ctx)
	defer stop()
	seen := make(chan bridge.Event, 20)
	var follower sync.WaitGroup
	follower.Go(func() {
		h.client.Events(following, "0000000000000001", func(e bridge.Event) error { seen <- e; return nil })
	})
	defer follower.Wait()
	defer stop()

	request := client.CallRequest{To: "+1 202 555 0123", Room: "lobby", IdempotencyKey: "k1"}
	call := must(h.client.CreateCall(ctx, request))(t)
	again := must(h.client.CreateCall(ctx, request))(t)
	if call.ID != again.ID || h.dialer.dialled.Load() > 1 {
		t.Fatalf("%s and %s, dialled %d times", call.ID, again.ID, h.dialer.dialled.Load())
	}
	want := []string{"call.created", "call.ringing", "call.ended"}
	for _, kind := range want {
		if e := <-seen; e.Type != kind || e.CallID != call.ID {
			t.Fatalf("event %+v, expected %s", e, kind)
		}
	}
	var delivered []string
	for range want {
		delivered = append(delivered, <-hooked)
	}
	slices.Sort(delivered)
	if !slices.Equal(delivered, []string{"call.created", "call.ended", "call.ringing"}) {
		t.Fatalf("webhook got %v", delivered)
	}
	ended := must(h.client.Call(ctx, call.ID))(t)
	if ended.State != bridge.StateEnded || ended.Cause != bridge.CauseBusy || ended.SIPCode != 486 || ended.To != "+12025550123" {
		t.Fatalf("ended %+v", ended)
	}
	row := must(h.store.CDR(ctx, call.ID))(t) // the webhook came from the store, and rows precede it
	if row.Cause != bridge.CauseBusy {
		t.Fatalf("row %+v", row)
	}
	calls, _, err := h.client.Calls(ctx, client.CallFilter{To: "+12025550123"}, "")
	if err != nil || len(calls) != 1 {
		t.Fatalf("listed %+v, %v", calls, err)
	}
	if n := h.dialer.dialled.Load(); n != 1 {
		t.Fatalf("dialled %d times", n)
	}
}

// webhook makes one for every event and returns its secret.
func (h *wholeHouse) webhook(t *testing.T, url string) string {
	t.Helper()
	var made store.Webhook
	h.post(t, "/v1/webhooks", fmt.Sprintf(`{"url":%q,"events":["call.*"]}`, url), &made)
	return made.Secret
}

// post sends JSON with the admin key.
func (h *wholeHouse) post(t *testing.T, path, body string, out any) {
	t.Helper()
	req := must(http.NewRequest("POST", h.url+path, strings.NewReader(body)))(t)
	req.Header.Set("Authorization", "Bearer "+wholeKey)
	resp := must(http.DefaultClient.Do(req))(t)
	defer resp.Body.Close()
	text := must(io.ReadAll(resp.Body))(t)
	if resp.StatusCode >= 300 {
		t.Fatalf("%s: %s", path, text)
	}
	check(t, json.Unmarshal(text, out))
}

// verified returns the type of a delivered event, or what is wrong with its signature.
func verified(r *http.Request, secret string) string {
	body, _ := io.ReadAll(r.Body)
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", r.Header.Get("webhook-id"), r.Header.Get("webhook-timestamp"), body)
	if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); err != nil || r.Header.Get("webhook-signature") != want {
		return "wrong signature"
	}
	var e bridge.Event
	json.Unmarshal(body, &e)
	return e.Type
}

func TestPlanGoesAroundWithItsPassword(t *testing.T) {
	h := newWholeHouse(t)
	must(h.client.Apply(t.Context(), wholePlan, false, false))(t)
	shown := must(h.client.Plan(t.Context()))(t)
	if shown.Trunks[0].Outbound.Password != dialplan.Mask {
		t.Fatalf("shown %q", shown.Trunks[0].Outbound.Password)
	}
	back := must(h.client.Apply(t.Context(), &shown, true, false))(t)
	if len(back.Changes) != 0 {
		t.Fatalf("changes %+v", back.Changes)
	}
	if p := must(h.store.LoadPlan(t.Context()))(t); p.Trunks[0].Outbound.Password != "hunter2" {
		t.Fatal("the password was lost")
	}
	why := must(h.client.Explain(t.Context(), client.RouteQuery{To: "+12025550123", FromRoom: true}))(t)
	if why.Route != "out" || why.Trunk != "carrier" || why.Refused {
		t.Fatalf("explained %+v", why)
	}
}

func TestMadeKeyWorksUntilItIsRevoked(t *testing.T) {
	h := newWholeHouse(t)
	var made struct{ ID, Key string }
	h.post(t, "/v1/keys", `{"name":"console"}`, &made)
	c := must(client.New(h.url, made.Key))(t)
	if _, _, err := c.Calls(t.Context(), client.CallFilter{}, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Apply(t.Context(), wholePlan, false, false); err == nil || !strings.Contains(err.Error(), "admin key") {
		t.Fatalf("an ordinary key applied a plan: %v", err)
	}
	req := must(http.NewRequest("DELETE", h.url+"/v1/keys/"+made.ID, nil))(t)
	req.Header.Set("Authorization", "Bearer "+wholeKey)
	must(http.DefaultClient.Do(req))(t).Body.Close()
	if _, _, err := c.Calls(t.Context(), client.CallFilter{}, ""); err == nil {
		t.Fatal("a revoked key works")
	}
}
