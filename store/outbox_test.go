package store

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
)

func testWebhooks(t *testing.T, s *Store, _ func() *Store) {
	w, err := s.PutWebhook(t.Context(), Webhook{URL: "https://example.com/a", Events: []string{"call.*"}})
	must(t, err)
	if w.ID == "" || len(w.Secret) < 40 || w.CreatedAt.IsZero() {
		t.Errorf("got %#v", w.ID)
	}
	changed := w
	changed.URL, changed.Disabled, changed.CreatedAt = "https://example.com/b", true, time.Time{}
	_, err = s.PutWebhook(t.Context(), changed)
	must(t, err)
	got, err := s.Webhook(t.Context(), w.ID)
	if err != nil || got.URL != changed.URL || !got.Disabled || !got.CreatedAt.Equal(w.CreatedAt) || got.Secret != w.Secret {
		t.Errorf("got %v %s, %v", got, got.URL, err)
	}
	if _, err := s.PutWebhook(t.Context(), Webhook{ID: "wh_none"}); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v", err)
	}
	second, err := s.PutWebhook(t.Context(), Webhook{URL: "https://example.com/c", Secret: "whsec_own"})
	must(t, err)
	first, next, err := s.Webhooks(t.Context(), Page{Limit: 1})
	must(t, err)
	rest, _, err := s.Webhooks(t.Context(), Page{Limit: 1, Cursor: next})
	if err != nil || first[0].ID != w.ID || rest[0].ID != second.ID || rest[0].Secret != "whsec_own" {
		t.Errorf("got %v, %v, %v", first, rest, err)
	}
	must(t, s.DeleteWebhook(t.Context(), w.ID))
	if err := s.DeleteWebhook(t.Context(), w.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

func testOutbox(t *testing.T, s *Store, _ func() *Store) {
	ctx := t.Context()
	calls, err := s.PutWebhook(ctx, Webhook{URL: "https://example.com/calls", Events: []string{"call.*", "room.closed"}})
	must(t, err)
	_, err = s.PutWebhook(ctx, Webhook{URL: "https://example.com/off", Disabled: true})
	must(t, err)
	everything, err := s.PutWebhook(ctx, Webhook{URL: "https://example.com/all"})
	must(t, err)
	events := []bridge.Event{event(1, "call.created"), event(2, "room.opened"), event(3, "room.closed")}
	must(t, s.PutEvents(ctx, events))
	must(t, s.PutEvents(ctx, events)) // the spool again after a crash
	now := start.Add(time.Second)
	if early, err := s.ClaimDeliveries(ctx, start.Add(-time.Second), time.Minute, 10); err != nil || len(early) != 0 {
		t.Errorf("claimed before its time: %v, %v", early, err)
	}
	first, err := s.ClaimDeliveries(ctx, now, time.Minute, 3)
	must(t, err)
	second, err := s.ClaimDeliveries(ctx, now, time.Minute, 10)
	must(t, err)
	if len(first) != 3 || len(second) != 2 || first[0].Event.ID != events[0].ID || second[1].EventID != events[2].ID {
		t.Fatalf("got %v and %v", first, second)
	}
	for _, d := range append(first, second...) {
		if d.Webhook.URL == "" || d.Webhook.ID != d.WebhookID || d.Attempt != 1 || d.Event.Type == "" || d.State != "pending" {
			t.Errorf("got %+v", d)
		}
	}
	must(t, s.DeliveryDone(ctx, first[0]))
	if err := s.DeliveryDone(ctx, first[0]); !errors.Is(err, ErrConflict) {
		t.Errorf("done twice: %v", err)
	}
	dead, err := s.DeliveryFailed(ctx, first[1], now.Add(time.Hour), 5, "answered 500")
	if err != nil || dead {
		t.Errorf("got %v, %v", dead, err)
	}
	later, err := s.ClaimDeliveries(ctx, now.Add(2*time.Minute), time.Minute, 10) // the other leases ran out
	must(t, err)
	if len(later) != 3 || later[0].Attempt != 2 {
		t.Errorf("got %+v", later)
	}
	if err := s.DeliveryDone(ctx, second[0]); !errors.Is(err, ErrConflict) {
		t.Errorf("a lost lease: got %v", err)
	}
	must(t, s.DeleteWebhook(ctx, everything.ID))
	for _, d := range later {
		if err := s.DeliveryDone(ctx, d); err != nil && d.WebhookID == calls.ID {
			t.Error(err)
		}
	}
	if left, err := s.ClaimDeliveries(ctx, now.Add(24*time.Hour), time.Minute, 10); err != nil || len(left) > 1 {
		t.Errorf("got %v, %v", left, err)
	}
}

func testOutboxDead(t *testing.T, s *Store, _ func() *Store) {
	ctx := t.Context()
	w, err := s.PutWebhook(ctx, Webhook{URL: "https://example.com/"})
	must(t, err)
	must(t, s.PutEvents(ctx, []bridge.Event{event(1, "call.created"), event(2, "call.ended")}))
	now := start.Add(time.Second)
	for attempt := 1; attempt <= 3; attempt++ {
		claimed, err := s.ClaimDeliveries(ctx, now, time.Minute, 1)
		must(t, err)
		dead, err := s.DeliveryFailed(ctx, claimed[0], start, 3, fmt.Sprintf("attempt %d", attempt))
		if err != nil || dead != (attempt == 3) || claimed[0].EventID != event(1, "").ID {
			t.Errorf("attempt %d: got %v, %v, %+v", attempt, dead, err, claimed)
		}
	}
	items, _, err := s.Deliveries(ctx, w.ID, "dead", Page{})
	if err != nil || len(items) != 1 || items[0].LastError != "attempt 3" || items[0].Attempt != 3 {
		t.Errorf("got %+v, %v", items, err)
	}
	first, next, err := s.Deliveries(ctx, w.ID, "", Page{Limit: 1})
	must(t, err)
	rest, last, err := s.Deliveries(ctx, w.ID, "", Page{Limit: 1, Cursor: next})
	if err != nil || first[0].EventID != event(2, "").ID || rest[0].EventID != event(1, "").ID || last != "" {
		t.Errorf("newest first: got %v, %v, %q", first, rest, last)
	}
}

func testOutboxTogether(t *testing.T, s *Store, another func() *Store) {
	ctx := t.Context()
	_, err := s.PutWebhook(ctx, Webhook{URL: "https://example.com/"})
	must(t, err)
	var events []bridge.Event
	for i := range 200 {
		events = append(events, event(i, "call.created"))
	}
	must(t, s.PutEvents(ctx, events))
	var mu sync.Mutex
	var group sync.WaitGroup
	seen := map[string]int{}
	for _, g := range []*Store{s, another(), another()} {
		group.Go(func() {
			for done := false; !done; {
				claimed, err := g.ClaimDeliveries(ctx, start.Add(time.Minute), time.Hour, 10)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				for _, d := range claimed {
					seen[d.EventID]++
				}
				done = err != nil || len(seen) == 200
				mu.Unlock()
			}
		})
	}
	group.Wait()
	if len(seen) != 200 {
		t.Errorf("%d of 200 were claimed", len(seen))
	}
	if more, err := s.ClaimDeliveries(ctx, start.Add(time.Minute), time.Hour, 10); err != nil || len(more) != 0 {
		t.Errorf("claimed again: %v, %v", more, err)
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%s was claimed %d times", id, n)
		}
	}
}

func testPrune(t *testing.T, s *Store, _ func() *Store) {
	ctx := t.Context()
	_, err := s.PutWebhook(ctx, Webhook{URL: "https://example.com/"})
	must(t, err)
	timed := func(i int, kind string) bridge.Event { // with an id as the bridge makes them
		e := event(i, kind)
		e.ID = fmt.Sprintf("%016xabcd", e.Time.UnixNano())
		return e
	}
	must(t, s.PutEvents(ctx, []bridge.Event{timed(1, "a"), timed(2, "b"), timed(100000, "c")}))
	claimed, err := s.ClaimDeliveries(ctx, start.Add(time.Second), time.Minute, 1)
	must(t, err)
	must(t, s.DeliveryDone(ctx, claimed[0]))
	_, _, err = s.ClaimRequest(ctx, "s", "old", "h", start)
	must(t, err)
	_, _, err = s.ClaimRequest(ctx, "s", "new", "h", start.Add(time.Hour))
	must(t, err)
	must(t, s.Prune(ctx, start.Add(RequestTTL), start.Add(time.Minute)))
	left, err := s.Events(ctx, "", 10)
	if err != nil || len(left) != 1 || left[0].Type != "c" {
		t.Errorf("events: got %v, %v", left, err)
	}
	pending, err := s.ClaimDeliveries(ctx, start.Add(time.Hour), time.Minute, 10)
	if err != nil || len(pending) != 2 {
		t.Errorf("what is not delivered stays: got %v, %v", pending, err)
	}
	if n, err := one(ctx, s.read, scanNumber, "SELECT COUNT(*) FROM requests"); err != nil || n != 1 {
		t.Errorf("requests: %d, %v", n, err)
	}
}
