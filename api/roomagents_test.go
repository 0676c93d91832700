package api

import (
	"testing"

	"github.com/roomline/roomline/bridge"
)

func TestAnAgentIsBroughtIntoARoom(t *testing.T) {
	h := newHouse(t)
	a := h.ask(t, "POST", "/v1/rooms/desk/agents", `{"agent":"bot","heard_by":"humans","parameters":{"topic":"bills"}}`).is(201)
	if p := into[bridge.ParticipantRecord](a); p.ID != "p_1" || a.header.Get("Location") != "/v1/rooms/desk/agents/p_1" {
		t.Errorf("%+v at %q", p, a.header.Get("Location"))
	}
	if s := h.exchange.agents; len(s) != 1 || s[0].Room != "desk" || s[0].Agent != "bot" || s[0].HeardBy != "humans" || s[0].Parameters["topic"] != "bills" || s[0].CallID != "" {
		t.Errorf("sent %+v", s)
	}
	h.ask(t, "DELETE", "/v1/rooms/desk/agents/p_1", "").is(204)
	if r := h.exchange.removed; len(r) != 1 || r[0] != "desk/p_1" {
		t.Errorf("removed %q", r)
	}
	h.ask(t, "POST", "/v1/rooms/no%20room/agents", `{"agent":"bot"}`).is(422)
	h.ask(t, "POST", "/v1/rooms/desk/agents", `{}`).is(422)
	h.ask(t, "POST", "/v1/rooms/desk/agents", `{"agent":"bot","parameters":{"no name":"x"}}`).is(422)
	h.exchange.err = &bridge.Error{Code: bridge.LimitReached, Message: "the pool is full"}
	h.ask(t, "POST", "/v1/rooms/desk/agents", `{"agent":"bot"}`).is(429)
}
