// Package room connects browsers and WebRTC tools to the rooms of the bridge:
// WebSocket signalling for browsers, WHIP (RFC 9725) to publish, WHEP to
// listen, and the tokens that let people in. It owns no media: packets go from
// media/webrtc to bridge.Source and from bridge.Sink to media/webrtc without
// passing here.
//
// Goroutines: each browser on the WebSocket and each WHIP or WHEP session has
// one that owns its state (one select); each WebSocket has the HTTP server's
// goroutine, which reads, and one that writes. [Server.Close] waits for all.
package room

import (
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
	"github.com/roomline/roomline/media/webrtc"
)

// Config is what a Server is made of.
type Config struct {
	Exchange *bridge.Exchange
	Engine   *webrtc.Engine
	Keys     *Keys    // of tokens
	TURN     TURN     // what clients are told; the zero value: nothing
	Origins  []string // hosts besides our own whose pages may connect: "console.example.com", "*.example.com"
	Timeouts Timeouts // zero fields take defaults
	Log      *slog.Logger
}

// Timeouts of one participant; the zero value of each means its default.
type Timeouts struct {
	Join    time.Duration // from connecting to join or resume; 10 s
	Resume  time.Duration // a lost WebSocket may come back; 30 s
	Restart time.Duration // media lost until ICE is restarted; 3 s
	Media   time.Duration // without any media connection until the participant leaves; 60 s
	Ping    time.Duration // between pings, and how long a pong may take; 15 s
	Refresh time.Duration // between lists of participants with fresh levels; 2 s
}

func (t Timeouts) withDefaults() Timeouts {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&t.Join, 10 * time.Second}, {&t.Resume, 30 * time.Second}, {&t.Restart, 3 * time.Second},
		{&t.Media, time.Minute}, {&t.Ping, 15 * time.Second}, {&t.Refresh, 2 * time.Second},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return t
}

// Server serves the rooms' HTTP paths. It is safe for concurrent use.
type Server struct {
	cfg Config
	log *slog.Logger

	quit chan struct{}
	work sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	browsers map[string]*browser // by resume secret
	sessions map[string]*session // WHIP and WHEP, by id
	lobby    map[*wire]struct{}  // connected, not joined yet
}

// New makes a Server. Mount it with [Server.Register] or its handlers one by one.
func New(cfg Config) *Server {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	cfg.Timeouts = cfg.Timeouts.withDefaults()
	return &Server{
		cfg: cfg, log: cfg.Log, quit: make(chan struct{}),
		browsers: make(map[string]*browser), sessions: make(map[string]*session),
		lobby: make(map[*wire]struct{}),
	}
}

// Register mounts all paths on mux.
func (s *Server) Register(mux *http.ServeMux) {
	mux.HandleFunc("/v1/rooms/{room}/ws", s.WebSocket)
	mux.HandleFunc("/v1/rooms/{room}/whip", s.WHIP)
	mux.HandleFunc("/v1/rooms/{room}/whep", s.WHEP)
	mux.HandleFunc("/v1/rooms/{room}/sessions/{id}", s.Session)
}

// Close lets every participant leave and returns when all goroutines have ended.
func (s *Server) Close() {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.quit)
	}
	for w := range s.lobby {
		w.close(websocket.StatusGoingAway, errShutdown.Message)
	}
	s.mu.Unlock()
	s.work.Wait()
}

// errShutdown is what late comers are told.
var errShutdown = &Denial{Status: http.StatusServiceUnavailable, Code: bridge.Unavailable, Message: "the gateway is shutting down"}

// begin counts one more goroutine that Close waits for; false when closing.
func (s *Server) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.work.Add(1)
	return true
}

// start runs f in a goroutine that Close waits for; false when closing.
func (s *Server) start(log *slog.Logger, f func()) bool {
	if !s.begin() {
		return false
	}
	go func() {
		defer s.work.Done()
		defer recovered(log)
		f()
	}()
	return true
}

func recovered(log *slog.Logger) {
	if v := recover(); v != nil {
		log.Error("room: panic", "panic", v, "stack", string(debug.Stack()))
	}
}

// roomName is the {room} of the path, in the one form that it may have.
func roomName(r *http.Request) (string, *Denial) {
	raw := r.PathValue("room")
	name, err := dialplan.RoomName(raw)
	if err != nil || name != raw {
		return "", &Denial{Status: http.StatusNotFound, Code: bridge.NotFound, Message: "no such room name: expected 1 to 64 of A-Z a-z 0-9 . _ + -"}
	}
	return name, nil
}

// seat joins the room that a token is for.
func (s *Server) seat(room string, c Claims, kind string, changed func(), offered func(bridge.Offer)) (*bridge.Participant, error) {
	r, err := s.cfg.Exchange.OpenRoom(room)
	if err != nil {
		return nil, err
	}
	return r.Join(bridge.JoinSpec{
		Identity: c.Identity, Name: c.Name, Kind: kind, Role: c.Role, Person: c.Person, CallID: c.CallID,
		HeardBy: c.Grants.HeardBy, Changed: changed, Offered: offered,
	})
}

// codeOf names an error on the wire, and says it in words that may be shown.
func codeOf(err error) (code, message string) {
	var refused *bridge.Error
	if errors.As(err, &refused) {
		return refused.Code, refused.Message
	}
	var denied *Denial
	if errors.As(err, &denied) {
		return denied.Code, denied.Message
	}
	return bridge.Invalid, err.Error()
}
