package room

import (
	"context"
	"crypto/rand"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/roomline/roomline/bridge"
)

// protocol is the subprotocol of the signalling; a client may offer its token
// as a second one, "roomline.token.<jwt>", since browsers cannot set headers.
const (
	protocol      = "roomline"
	tokenProtocol = "roomline.token."
)

// WebSocket serves /v1/rooms/{room}/ws.
func (s *Server) WebSocket(w http.ResponseWriter, r *http.Request) {
	defer recovered(s.log)
	name, denied := roomName(r)
	if denied != nil {
		refuse(w, denied)
		return
	}
	if origin := r.Header.Get("Origin"); origin != "" && !s.mayCall(r, origin) {
		refuse(w, forbidden("pages of %q may not connect here; add the host to the allowed origins", origin))
		return
	}
	token, offered := offeredToken(r)
	if token == "" {
		token = bearer(r)
	}
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		InsecureSkipVerify: true, // the origin has been checked above
		Subprotocols:       offered,
	})
	if err != nil {
		return // Accept has answered
	}
	s.serve(newWire(conn, s.log), name, token)
}

// offeredToken finds the token among the subprotocols, and which of them we
// can agree to: a browser gives up when none is chosen.
func offeredToken(r *http.Request) (token string, offered []string) {
	for _, h := range r.Header.Values("Sec-WebSocket-Protocol") {
		for _, p := range strings.Split(h, ",") {
			p = strings.TrimSpace(p)
			if t, ok := strings.CutPrefix(p, tokenProtocol); ok && token == "" {
				token = t
				offered = append(offered, p)
			}
		}
	}
	return token, append([]string{protocol}, offered...)
}

// serve runs one wire in the HTTP server's goroutine until it ends.
func (s *Server) serve(w *wire, room, token string) {
	if !s.begin() {
		_ = w.conn.Close(websocket.StatusGoingAway, errShutdown.Message)
		return
	}
	defer s.work.Done()
	written := make(chan struct{})
	go func() {
		defer close(written)
		defer recovered(s.log)
		w.write(s.cfg.Timeouts.Ping)
	}()
	defer func() { <-written }()
	defer w.close(websocket.StatusInternalError, "")
	if b := s.enter(w, room, token); b != nil {
		s.listen(w, b)
	}
}

// enter reads messages until one of them joins or resumes.
func (s *Server) enter(w *wire, room, token string) *browser {
	s.mu.Lock()
	s.lobby[w] = struct{}{}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.lobby, w)
		s.mu.Unlock()
	}()
	late := time.AfterFunc(s.cfg.Timeouts.Join, func() {
		w.send(errorMessage{"error", "timeout", "nobody joined in time"})
		w.close(websocket.StatusPolicyViolation, "nobody joined in time")
	})
	defer late.Stop()
	for {
		m, bad, err := w.read(context.Background())
		switch {
		case err != nil:
			w.close(closing(err))
			return nil
		case bad != nil:
			w.send(errorOf(bad))
			continue
		}
		b, err := s.admit(w, room, token, m)
		if err != nil {
			w.send(errorOf(err))
			continue
		}
		return b
	}
}

// admit handles the first message.
func (s *Server) admit(w *wire, room, token string, m message) (*browser, error) {
	switch m.Type {
	case "join":
		if m.Token != "" {
			token = m.Token
		}
		claims, err := s.cfg.Keys.admit(token, room, time.Now())
		if err != nil {
			return nil, err
		}
		if claims.Name == "" {
			claims.Name = m.Name
		}
		if err := claims.check(); err != nil {
			return nil, err
		}
		return s.join(w, room, claims)
	case "resume":
		return s.resume(w, room, m.Session)
	}
	return nil, invalid("type", "the first message is join or resume, not %s", m.Type)
}

// resume gives a browser that is away its new wire.
func (s *Server) resume(w *wire, room, secret string) (*browser, error) {
	s.mu.Lock()
	b := s.browsers[secret]
	s.mu.Unlock()
	if b == nil || b.room != room || !b.attach(w) {
		return nil, &bridge.Error{Code: bridge.NotFound, Field: "session", Message: "this session has ended; join again"}
	}
	return b, nil
}

// listen passes messages to the browser's goroutine until the wire ends.
func (s *Server) listen(w *wire, b *browser) {
	defer b.detach(w)
	for {
		m, bad, err := w.read(context.Background())
		switch {
		case err != nil:
			w.close(closing(err))
			return
		case bad != nil:
			w.send(errorOf(bad))
			continue
		}
		if !b.deliver(w, m) {
			return
		}
	}
}

// closing is how we end a wire that its client ended or broke.
func closing(err error) (websocket.StatusCode, string) {
	if err == errFlood {
		return websocket.StatusPolicyViolation, errFlood.Message
	}
	return websocket.StatusNormalClosure, ""
}

// newSecret is an unguessable name for a session.
func newSecret() string { return rand.Text() + rand.Text() }
