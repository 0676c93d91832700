package web

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/roomline/roomline/web/chromium"
)

// serveRooms answers the two requests of the front page as the API does.
func (g *gateway) serveRooms(asked chan<- message) {
	known := func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization") == "Bearer secret" {
			return true
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusUnauthorized)
		w.Write([]byte(`{"title":"Unauthorized","status":401}`))
		return false
	}
	g.mux.HandleFunc("GET /v1/rooms", func(w http.ResponseWriter, r *http.Request) {
		if known(w, r) {
			json.NewEncoder(w).Encode(message{"items": []message{{"name": "lobby", "participants": everyone(0)}}})
		}
	})
	g.mux.HandleFunc("POST /v1/rooms/{room}/tokens", func(w http.ResponseWriter, r *http.Request) {
		if !known(w, r) {
			return
		}
		var m message
		json.NewDecoder(r.Body).Decode(&m)
		m["room"] = r.PathValue("room")
		asked <- m
		w.WriteHeader(http.StatusCreated)
		json.NewEncoder(w).Encode(message{"token": "e30.e30.c2ln", "url": "/rooms/lobby#e30.e30.c2ln"})
	})
}

func TestTheFrontPageLeadsIntoARoom(t *testing.T) {
	g, p := newGateway(t), chromium.Start(t, chromium.FakeMicrophone())
	asked := make(chan message, 1)
	g.serveRooms(asked)
	try := func(key string) {
		p.Do(t, chromedp.SetValue(chromium.At("key"), key))
		p.Click(t, "show-rooms")
	}
	p.Do(t, chromedp.Navigate(g.URL))
	try("wrong")
	p.Sees(t, "problem", "does not know this key")
	try("secret")
	p.Sees(t, "room-line", "2 × phone")

	p.Do(t, chromedp.Focus(chromium.At("enter-name")), chromedp.KeyEvent("Dana Ærø"))
	p.Click(t, "enter")
	p.Sees(t, "prejoin", "Join lobby")
	m := <-asked
	if m["room"] != "lobby" || m["name"] != "Dana Ærø" || m["role"] != "dispatcher" || !strings.HasPrefix(m["identity"].(string), "dana-r-") {
		t.Errorf("asked for %v", m)
	}
	stored := chromium.Evaluate[bool](t, p, `JSON.stringify([{...sessionStorage}, {...localStorage}]).includes("secret")`)
	if stored {
		t.Error("the key was stored")
	}
	p.Clean(t, g.URL)
}
