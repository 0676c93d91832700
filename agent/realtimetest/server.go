// Package realtimetest is OpenAI's Realtime server for tests: it speaks the
// protocol in the form in which it became generally available, over WebSocket,
// as strictly as the real one, and says what a script tells it to. It is for
// tests alone.
//
// # Goroutines
//
// Each session has one that reads and one for each response under way; the
// cleanup of the test waits for them.
package realtimetest

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// FunctionCall is a function that the model calls.
type FunctionCall struct {
	Name      string
	Arguments string // JSON
}

// Failure is why the model could not answer, as response.done tells it.
type Failure struct {
	Type, Code, Message string
}

// RateLimited is what an account gets that asks too much.
var RateLimited = Failure{"requests", "rate_limit_exceeded", "Rate limit reached for requests. Please try again in 20s."}

// Reply is what the model answers with.
type Reply struct {
	Say   time.Duration  // how long it speaks for: [Voice] with the number of the response
	Sound []byte         // in place of Say: what it says, 8 kHz µ-law
	Words string         // what it says, in words
	Calls []FunctionCall // what it calls after it has spoken
	Fail  *Failure       // it fails in place of all this
}

// Server is a Realtime server. Set its fields before the first client comes.
type Server struct {
	URL string // ws://127.0.0.1:…/v1/realtime
	Key string // clients have to show it; empty: any key does

	// Reply says what the model answers; n counts the responses of a session from
	// 0. Nil: it says nothing. It is called with no lock held.
	Reply func(s *Session, n int) Reply
	// Heard says what a turn of the caller was in words; n counts turns from 0.
	Heard func(n int) string

	Delta   time.Duration // sound in one event; default 50 ms
	Pace    time.Duration // between two of them; default 5 ms: ten times faster than real time
	Longest time.Duration // of a session; default 60 min
	Mute    bool          // it accepts connections and never says a word
	Refuse  int           // HTTP status in place of the handshake; 0: none

	t        testing.TB
	http     *httptest.Server
	sessions chan *Session

	mu     sync.Mutex
	live   map[*Session]bool
	closed bool
	work   sync.WaitGroup
}

// New starts a server that runs until the test ends.
func New(t testing.TB) *Server {
	v := &Server{
		t: t, sessions: make(chan *Session, 1000), live: map[*Session]bool{},
		Delta: 50 * time.Millisecond, Pace: 5 * time.Millisecond, Longest: time.Hour,
	}
	v.http = httptest.NewServer(http.HandlerFunc(v.serve))
	v.URL = "ws" + strings.TrimPrefix(v.http.URL, "http") + "/v1/realtime"
	t.Cleanup(v.Close)
	return v
}

// Close breaks every connection, as a crash would, and waits until all have ended.
func (v *Server) Close() {
	v.mu.Lock()
	v.closed = true // who is still on the way finds nobody
	for s := range v.live {
		_ = s.conn.CloseNow()
	}
	v.mu.Unlock()
	v.work.Wait()
	v.http.Close()
}

// Session waits for the next client that has connected.
func (v *Server) Session(ctx context.Context) *Session {
	v.t.Helper()
	select {
	case s := <-v.sessions:
		return s
	case <-ctx.Done():
		v.t.Fatal("no client has come to the Realtime server")
		return nil
	}
}

func (v *Server) serve(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	if v.closed {
		v.mu.Unlock()
		return
	}
	v.work.Add(1)
	v.mu.Unlock()
	defer v.work.Done()
	switch {
	case v.Refuse != 0:
		refuse(w, v.Refuse, "server_error", "", "The server had an error while processing your request.")
	case r.URL.Path != "/v1/realtime":
		refuse(w, http.StatusNotFound, "invalid_request_error", "", "Invalid URL (GET "+r.URL.Path+")")
	case r.Header.Get("Authorization") == "":
		refuse(w, http.StatusUnauthorized, "invalid_request_error", "", "Missing bearer or basic authentication in header")
	case r.Header.Get("OpenAI-Beta") != "":
		refuse(w, http.StatusBadRequest, "invalid_request_error", "beta_api_shape_disabled", "The Realtime Beta API is no longer supported.")
	default:
		v.accept(w, r)
	}
}

func refuse(w http.ResponseWriter, status int, kind, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": body{"type": kind, "code": nullable(code), "message": message, "param": nil}})
}

func (v *Server) accept(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return // Accept has answered
	}
	conn.SetReadLimit(16 << 20)
	s := newSession(v, conn, r.URL.Query().Get("model"))
	v.mu.Lock()
	late := v.closed
	if !late {
		v.live[s] = true
	}
	v.mu.Unlock()
	if late {
		_ = conn.CloseNow()
		return
	}
	v.sessions <- s
	s.run(r.Context(), strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
	v.mu.Lock()
	delete(v.live, s)
	v.mu.Unlock()
}
