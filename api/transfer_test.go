package api

import (
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/room"
)

func TestARoomTokenAnswersOfferedCallsAndNothingElse(t *testing.T) {
	keys, err := room.NewKeys(room.Key{ID: "k", Secret: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	h := newHouse(t, func(c *Config) { c.Tokens = keys })
	call := &fakeCall{record: bridge.CallRecord{ID: "call_1", State: bridge.StateActive}}
	h.exchange.put(call)
	token, _, err := keys.Mint(room.Claims{Identity: "ann", Role: bridge.RoleDispatcher, Room: "desk"}, 0, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	as := "Authorization: Bearer " + token
	h.ask(t, "POST", "/v1/calls/call_1/transfer/accept", "", as).is(200)
	h.ask(t, "POST", "/v1/calls/call_1/transfer/brief", `{"participant":"ann"}`, as).is(200)
	h.ask(t, "POST", "/v1/calls/call_1/transfer/accept", `{"participant":"bob"}`, as).is(403)
	if len(call.done) != 2 || call.done[0] != "accept by=ann" || call.done[1] != "brief by=ann" {
		t.Errorf("did %q", call.done)
	}
	for _, path := range []string{"/v1/calls/call_1/transfer", "/v1/calls/call_1/hold", "/v1/calls/call_1/transfer/accept/", "/v1/calls/x/hold?/transfer/accept"} {
		if a := h.ask(t, "POST", path, `{"room":"x"}`, as); a.status != 401 {
			t.Errorf("%s with a room token: %d", path, a.status)
		}
	}
	h.ask(t, "POST", "/v1/calls/call_1/transfer/accept", "", as+"x").is(401)
}

func TestSeatsAreChanged(t *testing.T) {
	h := newHouse(t)
	rec := into[bridge.ParticipantRecord](h.ask(t, "PATCH", "/v1/rooms/a/participants/p_1", `{"muted":true,"heard_by":"p_2"}`).is(200))
	if !rec.Muted || rec.HeardBy != "p_2" {
		t.Errorf("%+v", rec)
	}
	h.ask(t, "PATCH", "/v1/rooms/a/participants/p_1", `{}`).is(422)
	h.ask(t, "PATCH", "/v1/rooms/a/participants/p_1", `{"muted":"yes"}`).is(422)
	h.ask(t, "PATCH", "/v1/rooms/a/participants/p_9", `{"muted":true}`).is(404)
}
