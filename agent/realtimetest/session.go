package realtimetest

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// body is an object of JSON.
type body = map[string]any

// Event is one event of a session. Sound is left out of it.
type Event struct {
	At     time.Time
	Client bool // the client has sent it
	Type   string
	Body   map[string]any
}

// Session is one connection of a client.
type Session struct {
	Model string // that the client asked for

	server *Server
	conn   *websocket.Conn
	work   sync.WaitGroup
	done   chan struct{}

	mu      sync.Mutex
	ids     int
	log     []Event
	news    chan struct{} // closed at the next event
	config  body          // the session's, as session.updated shows it
	items   []*item
	input   input
	current *response
	answers int // responses so far
	spoken  bool
	closed  bool
}

func newSession(v *Server, conn *websocket.Conn, model string) *Session {
	s := &Session{Model: model, server: v, conn: conn, news: make(chan struct{}), done: make(chan struct{})}
	s.config = defaults(model, time.Now().Add(v.Longest))
	s.config["id"] = s.id("sess")
	return s
}

// run reads what the client sends until the connection ends.
func (s *Session) run(ctx context.Context, key string) {
	defer close(s.done)
	defer s.work.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer s.stop()
	defer s.conn.CloseNow()
	if !s.server.Mute && !s.welcome(key) {
		return
	}
	s.work.Go(func() { s.expire(ctx) })
	for {
		kind, message, err := s.conn.Read(ctx)
		if err != nil {
			return
		}
		switch {
		case s.server.Mute:
		case kind == websocket.MessageText:
			s.take(message)
		default:
			s.Fail("invalid_request_error", "invalid_event", "Binary messages are not supported.")
		}
	}
}

// welcome says who the session is, or that the key is wrong: the real server, too,
// accepts the connection first.
func (s *Session) welcome(key string) bool {
	switch {
	case s.server.Key != "" && key != s.server.Key:
		s.Fail("invalid_request_error", "invalid_api_key", "Incorrect API key provided. You can find your API key at https://platform.openai.com/account/api-keys.")
		_ = s.conn.Close(3000, "invalid_request_error.invalid_api_key")
	case s.Model == "":
		s.Fail("invalid_request_error", "missing_model", "You must provide a model parameter.")
		_ = s.conn.Close(4000, "invalid_request_error.missing_model")
	default:
		s.Send(body{"type": "session.created", "session": s.config})
		return true
	}
	return false
}

// expire ends the session when it has lasted for too long.
func (s *Session) expire(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(s.server.Longest):
		why := fmt.Sprintf("Your session hit the maximum duration of %d minutes.", int(s.server.Longest.Minutes()))
		s.Fail("invalid_request_error", "session_expired", why)
		_ = s.conn.Close(websocket.StatusGoingAway, why)
	}
}

// Kill breaks the connection without a word.
func (s *Session) Kill() { _ = s.conn.CloseNow() }

// Done is closed when the connection has ended.
func (s *Session) Done() <-chan struct{} { return s.done }

// Fail tells of an error that no event of the client has caused.
func (s *Session) Fail(kind, code, message string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuseLocked("", kind, code, "", message)
}

// Send sends any event at all; tests of clients send wrong ones.
func (s *Session) Send(event map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kind, _ := event["type"].(string)
	s.sendLocked(kind, event)
}

// Write sends any message at all.
func (s *Session) Write(text bool, message []byte) error {
	kind := websocket.MessageBinary
	if text {
		kind = websocket.MessageText
	}
	return s.conn.Write(context.Background(), kind, message)
}

// Config returns the session's configuration, as JSON of session.updated.
func (s *Session) Config() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, _ := json.Marshal(s.config)
	return string(b)
}

// stop lets responses under way end.
func (s *Session) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.current != nil {
		s.current.cancelLocked("")
	}
}

func (s *Session) id(kind string) string {
	s.ids++
	return fmt.Sprintf("%s_%06d", kind, s.ids)
}
