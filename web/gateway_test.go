package web

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/roomline/roomline/web/chromium"
)

// message is one signalling message, either way.
type message = map[string]any

// gateway stands in for the real one: the pages, and a WebSocket that a test
// plays by hand.
type gateway struct {
	*httptest.Server
	joins chan *seat
	mux   *http.ServeMux
}

// seat is one WebSocket that a page has opened.
type seat struct {
	conn    *websocket.Conn
	arrived chan message // closed when the WebSocket ends
	kept    []message
}

func newGateway(t *testing.T) *gateway {
	t.Helper()
	g := &gateway{joins: make(chan *seat, 16), mux: http.NewServeMux()}
	g.mux.Handle("/", Handler())
	g.mux.HandleFunc("/v1/rooms/{room}/ws", g.accept)
	g.mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ready\n")) })
	g.Server = httptest.NewServer(g.mux)
	t.Cleanup(g.Close)
	return g
}

// accept reads a WebSocket until it ends.
func (g *gateway) accept(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	conn.SetReadLimit(1 << 20)
	s := &seat{conn: conn, arrived: make(chan message, 256)}
	defer close(s.arrived)
	g.joins <- s
	for {
		_, data, err := conn.Read(r.Context())
		if err != nil {
			return
		}
		var m message
		if json.Unmarshal(data, &m) == nil {
			s.arrived <- m
		}
	}
}

// seated waits for the next WebSocket.
func (g *gateway) seated(t *testing.T) *seat {
	t.Helper()
	select {
	case s := <-g.joins:
		return s
	case <-time.After(patience):
		t.Fatal("no page opened a WebSocket")
		return nil
	}
}

func (s *seat) send(t *testing.T, m message) {
	t.Helper()
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.conn.Write(ctx, websocket.MessageText, data); err != nil {
		t.Fatalf("send %v: %v", m["type"], err)
	}
}

// expect waits for a message of a type; others are kept for later.
func (s *seat) expect(t *testing.T, kind string) message {
	t.Helper()
	deadline := time.After(patience)
	for {
		for i, m := range s.kept {
			if m["type"] == kind {
				s.kept = slices.Delete(s.kept, i, i+1)
				return m
			}
		}
		select {
		case m, open := <-s.arrived:
			if !open {
				t.Fatalf("the WebSocket ended before %q came; came: %v", kind, s.kept)
			}
			s.kept = append(s.kept, m)
		case <-deadline:
			t.Fatalf("no %q came; came: %v", kind, s.kept)
		}
	}
}

// welcome answers a join or resume.
func (s *seat) welcome(t *testing.T, me, role string) {
	t.Helper()
	s.send(t, message{
		"type": "joined", "room": "lobby", "participant": me, "session": "resume-" + me, "role": role,
		"ice_servers": []any{}, "grants": message{"speak": true, "camera": role != "supervisor", "watch": true,
			"hang_up": role == "dispatcher", "digits": role == "dispatcher"},
	})
}

// present says who is there.
func (s *seat) present(t *testing.T, participants ...message) {
	t.Helper()
	s.send(t, message{"type": "participants", "participants": participants})
}

// call connects media: an offer made in the page's far end, its answer back.
func (s *seat) call(t *testing.T, p *chromium.Page, tracks ...message) {
	t.Helper()
	p.Run(t, readTestdata(t, "far.js"))
	sdp := chromium.Evaluate[string](t, p, "far.offer("+marshal(t, append([]message{}, tracks...))+")")
	s.send(t, message{"type": "offer", "sdp": sdp})
	answer := s.expect(t, "answer")
	p.Run(t, "far.answered("+marshal(t, answer["sdp"])+")")
	p.Wait(t, `far.pc.connectionState === "connected"`)
}

// someone is a participant as the gateway describes them.
func someone(id, name, kind, role string, more message) message {
	m := message{
		"id": id, "identity": name, "name": name, "kind": kind, "role": role, "person": "person-" + id,
		"joined_at": "2026-03-02T09:00:00Z", "muted": false, "speaking": false, "level_db": -127,
		"hears": []string{}, "road": "mixed", "tracks": []any{},
	}
	for k, v := range more {
		m[k] = v
	}
	return m
}

func marshal(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
