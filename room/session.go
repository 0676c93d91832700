package room

import (
	"context"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media/webrtc"
)

// session is one WHIP publisher or WHEP listener. Its goroutine watches the
// transport and, for WHEP, the room; HTTP requests talk to the peer under ice.
type session struct {
	leg
	id     string
	kicked chan struct{} // ends the session from outside
	once   sync.Once
	ended  chan struct{}
	camera *camera // WHEP with video; the goroutine's once it runs

	ice   sync.Mutex // one PATCH at a time
	offer string     // the client's, with the ICE credentials in force
	tag   int        // of the ICE session, RFC 9725 section 4.3.1
}

const (
	mimeSDP  = "application/sdp"
	mimeFrag = "application/trickle-ice-sdpfrag"
)

// accept reads what WHIP and WHEP have in common in a POST: who it is and what is offered.
func (s *Server) accept(r *http.Request) (room string, c Claims, offer string, lines []webrtc.Line, err error) {
	room, denied := roomName(r)
	if denied != nil {
		return "", c, "", nil, denied
	}
	if c, err = s.cfg.Keys.admit(bearer(r), room, time.Now()); err != nil {
		return "", c, "", nil, err
	}
	if offer, err = body(r, mimeSDP); err != nil {
		return "", c, "", nil, err
	}
	if lines, err = webrtc.Inspect(offer); err != nil {
		return "", c, "", nil, &Denial{http.StatusBadRequest, bridge.Invalid, "the offer is wrong: " + err.Error()}
	}
	return room, c, offer, lines, nil
}

// body reads a request's body of the one type that is understood.
func body(r *http.Request, want string) (string, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != want {
		return "", &Denial{http.StatusUnsupportedMediaType, bridge.Invalid, "Content-Type must be " + want}
	}
	text, err := io.ReadAll(io.LimitReader(r.Body, webrtc.MaxSDP+1))
	switch {
	case err != nil:
		return "", &Denial{http.StatusBadRequest, bridge.Invalid, "the body could not be read"}
	case len(text) > webrtc.MaxSDP:
		return "", &Denial{http.StatusRequestEntityTooLarge, bridge.Invalid, "the body is longer than 64 KiB"}
	}
	return string(text), nil
}

func newSession(s *Server, room string, c Claims, offer string) *session {
	x := &session{id: bridge.NewID("ses"), kicked: make(chan struct{}), ended: make(chan struct{}), offer: offer, tag: 1}
	x.init(s, room, c)
	return x
}

// begin answers the offer and starts the session's goroutine; the leg is ended on failure.
func (x *session) begin(ctx context.Context) (answer string, err error) {
	if answer, err = x.peer.AcceptOffer(ctx, x.offer); err != nil {
		x.end()
		return "", &Denial{http.StatusBadRequest, bridge.Invalid, "the offer cannot be answered: " + err.Error()}
	}
	x.srv.mu.Lock()
	x.srv.sessions[x.id] = x
	x.srv.mu.Unlock()
	if !x.srv.start(x.log, x.run) {
		x.srv.drop(x)
		x.end()
		return "", errShutdown
	}
	return answer, nil
}

// created writes the answer to a POST, RFC 9725 section 4.2.
func (x *session) created(w http.ResponseWriter, answer string) {
	h := w.Header()
	h.Set("Content-Type", mimeSDP)
	h.Set("Location", "/v1/rooms/"+x.room+"/sessions/"+x.id)
	h.Set("ETag", x.etag())
	h.Set("Accept-Patch", mimeFrag)
	linkICE(h, x.srv.cfg.TURN.Servers(x.claims.Identity, time.Now()))
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, answer)
}

func (x *session) etag() string { return `"` + strconv.Itoa(x.tag) + `"` }

func (s *Server) drop(x *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, x.id)
}

// run watches the session until it ends.
func (x *session) run() {
	defer close(x.ended)
	defer x.end()
	defer x.srv.drop(x)
	t := x.srv.cfg.Timeouts
	refresh := time.NewTicker(t.Refresh)
	defer refresh.Stop()
	var state webrtc.State
	since, up, away := time.Now(), false, false
	x.log.Info("room: session opened", "session_kind", x.seat.Spec().Kind, "identity", x.claims.Identity)
	defer func() { x.log.Info("room: session closed") }()
	for {
		if now := x.peer.State(); now != state {
			state, since = now, time.Now()
			up = up || state == webrtc.Connected
			x.setAway(&away, up && state != webrtc.Connected)
			x.camera.restart() // what was sent before now is lost
		}
		x.camera.follow()
		select {
		case <-x.changed:
			x.takeRefusals() // logged already: HTTP has nobody left to tell
		case <-refresh.C:
			x.seat.SetQuality(x.peer.Quality(), time.Now())
		case <-x.kicked:
			return
		case <-x.srv.quit:
			return
		}
		if s := x.peer.State(); s == webrtc.Closed || s != webrtc.Connected && s == state && time.Since(since) > t.Resume {
			return
		}
	}
}

// stop ends the session and waits until it has.
func (x *session) stop() {
	x.once.Do(func() { close(x.kicked) })
	<-x.ended
}

// endSessionOf ends the WHIP or WHEP session on a participant's seat.
func (s *Server) endSessionOf(participant string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.sessions {
		if x.seat.ID() == participant {
			x.once.Do(func() { close(x.kicked) })
			return true
		}
	}
	return false
}

const sessionMethods = "PATCH, DELETE, OPTIONS"

// Session serves /v1/rooms/{room}/sessions/{id}: PATCH trickles candidates or
// restarts ICE, DELETE ends.
func (s *Server) Session(w http.ResponseWriter, r *http.Request) {
	defer recovered(s.log)
	w.Header().Set("Accept-Patch", mimeFrag)
	if s.preflight(w, r, sessionMethods) {
		return
	}
	if r.Method != http.MethodPatch && r.Method != http.MethodDelete {
		w.Header().Set("Allow", sessionMethods)
		problem(w, http.StatusMethodNotAllowed, "a session understands "+sessionMethods)
		return
	}
	x, err := s.sessionOf(r)
	if err != nil {
		refuse(w, err)
		return
	}
	if r.Method == http.MethodDelete {
		x.stop()
		w.WriteHeader(http.StatusOK)
		return
	}
	x.patch(w, r)
}

// sessionOf finds the session that a request is about, for the identity that made it.
func (s *Server) sessionOf(r *http.Request) (*session, error) {
	room, denied := roomName(r)
	if denied != nil {
		return nil, denied
	}
	c, err := s.cfg.Keys.admit(bearer(r), room, time.Now())
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	x := s.sessions[r.PathValue("id")]
	s.mu.Unlock()
	if x == nil || x.room != room {
		return nil, &Denial{http.StatusNotFound, bridge.NotFound, "no such session; it has ended, or never was"}
	}
	if x.claims.Identity != c.Identity {
		return nil, forbidden("this session belongs to somebody else")
	}
	return x, nil
}

// patch decides by If-Match what is meant, RFC 9725 section 4.3.
func (x *session) patch(w http.ResponseWriter, r *http.Request) {
	text, err := body(r, mimeFrag)
	if err != nil {
		refuse(w, err)
		return
	}
	frag, err := parseFragment(text)
	if err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return
	}
	x.ice.Lock()
	defer x.ice.Unlock()
	switch match := strings.TrimSpace(r.Header.Get("If-Match")); match {
	case "":
		problem(w, http.StatusPreconditionRequired, `If-Match is needed: the ETag to trickle, "*" to restart ICE`)
	case "*":
		x.restart(w, r, frag)
	case x.etag():
		x.trickle(w, frag)
	default:
		problem(w, http.StatusPreconditionFailed, "If-Match names an older ICE session")
	}
}

func (x *session) trickle(w http.ResponseWriter, frag fragment) {
	for _, c := range frag.candidates {
		if err := x.peer.AddCandidate(c); err != nil {
			problem(w, http.StatusBadRequest, err.Error())
			return
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

// restart takes new credentials from the client and answers with ours.
func (x *session) restart(w http.ResponseWriter, r *http.Request, frag fragment) {
	if frag.ufrag == "" || frag.pwd == "" {
		problem(w, http.StatusBadRequest, "an ICE restart needs a=ice-ufrag and a=ice-pwd")
		return
	}
	offer := withCredentials(x.offer, frag.ufrag, frag.pwd)
	answer, err := x.peer.AcceptOffer(r.Context(), offer)
	if err != nil {
		problem(w, http.StatusUnprocessableEntity, "ICE could not be restarted: "+err.Error())
		return
	}
	x.offer = offer
	x.tag++
	for _, c := range frag.candidates {
		_ = x.peer.AddCandidate(c) // a lite agent needs none of them
	}
	w.Header().Set("Content-Type", mimeFrag)
	w.Header().Set("ETag", x.etag())
	_, _ = io.WriteString(w, fragmentOf(answer))
}
