package main

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
)

func TestMinutesOfTheDaySurviveARestart(t *testing.T) {
	const plan = `
trunks:
  - {name: carrier, outbound: {servers: [127.0.0.1:9]}, limits: {minutes: 60, prefixes: ["+1202"]}}
routes:
  - {name: out, from_room: true, to: "+1202*", trunk: carrier}
`
	data := t.TempDir()
	same := func(s *settings) { s.Data, s.AdminKey = data, "" }
	h := startHouse(t, plan, same)
	now := time.Now().UTC()
	ended := func(id, trunk string, d bridge.Direction, at time.Time, minutes int64) {
		c := bridge.CDR{DurationMS: minutes * 60_000}
		c.ID, c.Trunk, c.Direction, c.CreatedAt, c.EndedAt, c.State = id, trunk, d, at, &at, bridge.StateEnded
		if err := h.store.PutCDR(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	ended("a", "carrier", bridge.Outbound, now, 31)
	ended("b", "carrier", bridge.Outbound, now, 28)
	ended("c", "carrier", bridge.Inbound, now, 500)
	ended("d", "other", bridge.Outbound, now, 500)
	ended("e", "carrier", bridge.Outbound, now.Add(-24*time.Hour), 500)
	if spent := h.spentToday(t.Context())("carrier"); spent != 59*time.Minute {
		t.Errorf("%v were spent, want 59 minutes", spent)
	}
	ended("f", "carrier", bridge.Outbound, now, 1)
	h.stop()
	h = startHouse(t, plan, same)
	var e *bridge.Error
	_, err := h.exchange.Dial(context.Background(), bridge.DialRequest{To: "+12025550123"})
	if !errors.As(err, &e) || e.Code != bridge.LimitReached {
		t.Errorf("after the restart: %v", err)
	}
}
