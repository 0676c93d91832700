package main

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/phone"
)

// counting is a phone that rings for every call and counts the INVITEs that came.
func counting(t *testing.T) (addr string, invites *atomic.Int32) {
	t.Helper()
	invites = &atomic.Int32{}
	p := softphone(t, phone.Config{Admit: func(bridge.Invite) *bridge.Refusal { invites.Add(1); return nil }})
	go func() {
		for {
			c, err := p.Next(t.Context())
			if err != nil {
				return
			}
			c.Ring()
		}
	}()
	return p.Addr().String(), invites
}

func TestPeerDefect11RetriedCreateCallRingsOnePhoneOnce(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*settings)
	}{{"SQLite", func(*settings) {}}} {
		t.Run(c.name, func(t *testing.T) {
			addr, invites := counting(t)
			var plan exits
			plan.add("+15550003000", addr, "", "")
			data := t.TempDir()
			sameData := func(s *settings) { s.Data, s.AdminKey = data, ""; c.change(s) }
			body := map[string]any{"to": "+15550003000", "room": "lobby", "ring_timeout": 30}
			h := startHouse(t, plan.String(), sameData)

			ids := retryAtOnce(h, 20, body, "Idempotency-Key", "order-1")
			if len(ids) != 1 {
				t.Fatalf("20 concurrent retries made the calls %v", ids)
			}
			var first string
			for first = range ids {
			}
			h.awaitState(first, bridge.StateRinging)
			again := h.dial(body, "Idempotency-Key", "order-1")
			if again.ID != first {
				t.Errorf("a retry made call %s beside %s", again.ID, first)
			}
			other := map[string]any{"to": "+15550003000", "room": "elsewhere"}
			if status := h.ask("POST", "/v1/calls", other, nil, "Idempotency-Key", "order-1"); status != http.StatusUnprocessableEntity {
				t.Errorf("the key with another body: status %d", status)
			}
			h.stop()

			h = startHouse(t, plan.String(), sameData)
			ids = retryAtOnce(h, 5, body, "Idempotency-Key", "order-1")
			if _, same := ids[first]; !same || len(ids) != 1 {
				t.Errorf("after a restart the retries made %v, want %s", ids, first)
			}
			if n := len(h.exchange.Calls()); n != 0 {
				t.Errorf("%d live calls after the restart", n)
			}
			if rec := h.call(first); rec.State != bridge.StateEnded || rec.Cause != bridge.CauseShutdown {
				t.Errorf("the call of before the restart: %+v", rec)
			}
			if n := invites.Load(); n != 1 {
				t.Errorf("%d INVITEs reached the phone", n)
			}
			fresh := h.dial(body, "Idempotency-Key", "order-2")
			if fresh.ID == first {
				t.Error("another key got the old call")
			}
			eventually(t, "the second order rings", 10*time.Second, func() bool { return invites.Load() == 2 })
		})
	}
}

// retryAtOnce sends one request n times at once and returns the ids of the calls it got.
func retryAtOnce(h *house, n int, body map[string]any, headers ...string) map[string]int {
	h.t.Helper()
	var wg sync.WaitGroup
	var mu sync.Mutex
	ids := map[string]int{}
	for range n {
		wg.Go(func() {
			var rec bridge.CallRecord
			status := h.ask("POST", "/v1/calls", body, &rec, headers...)
			mu.Lock()
			defer mu.Unlock()
			if status != http.StatusCreated {
				h.t.Errorf("status %d", status)
			}
			ids[rec.ID]++
		})
	}
	wg.Wait()
	return ids
}
