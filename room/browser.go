package room

import (
	"encoding/json"
	"time"

	"github.com/coder/websocket"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media/webrtc"
)

// dataLabel is the label of the data channel.
const dataLabel = "events"

// browser is one participant on the WebSocket. Its goroutine owns all fields
// below the line; others talk to it through the channels.
//
//	joined ─→ here ⇄ away ─→ left
//
// It is away while its WebSocket or its media connection is lost, and leaves
// when the WebSocket stays lost for Timeouts.Resume, or the media for
// Timeouts.Media.
type browser struct {
	leg
	secret   string
	inbox    chan delivery
	wires    chan *wire // a wire that joined or resumed
	lost     chan *wire // a wire that ended
	events   chan bridge.Event
	kicks    chan string // leave, for this reason
	ended    chan struct{}
	outcomes chan error // of what was started on a client's behalf

	// ---- owned by the goroutine ----
	wire      *wire
	watched   *bridge.Room
	unwatch   func()
	forwards  map[*bridge.Source]*forward
	openOffer string // sent and not answered; empty: none
	wantOffer bool
	wantICE   bool // the next offer restarts ICE
	isAway    bool
	wasUp     bool // media was connected once
	state     webrtc.State
	stateAt   time.Time // of the last change of state
	askedICE  time.Time
	resumeBy  *time.Timer // runs while there is no wire
	narrow    bool        // only phones listen
}

// delivery is a message with the wire that it came on.
type delivery struct {
	wire *wire
	message
}

func (s *Server) join(w *wire, room string, c Claims) (*browser, error) {
	b := &browser{
		secret: newSecret(), inbox: make(chan delivery), wires: make(chan *wire), lost: make(chan *wire),
		events: make(chan bridge.Event, 128), kicks: make(chan string, 1), ended: make(chan struct{}),
		outcomes: make(chan error, 16), forwards: make(map[*bridge.Source]*forward), wire: w,
	}
	b.init(s, room, c)
	if err := b.open(bridge.KindBrowser, webrtc.PeerConfig{OnData: b.dataArrived}); err != nil {
		return nil, err
	}
	if err := b.prepare(); err != nil {
		b.end()
		return nil, err
	}
	s.mu.Lock()
	s.browsers[b.secret] = b
	s.mu.Unlock()
	if !s.start(b.log, b.run) {
		s.forget(b)
		b.end()
		return nil, errShutdown
	}
	return b, nil
}

// prepare makes the lines of the first offer: the browser's microphone and
// camera, and the data channel.
func (b *browser) prepare() error {
	for _, k := range []webrtc.Kind{webrtc.Audio, webrtc.Video} {
		if err := b.peer.Receive(k); err != nil {
			return err
		}
	}
	return b.peer.OpenData(dataLabel)
}

func (s *Server) forget(b *browser) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.browsers, b.secret)
}

// browserOf finds the browser that sits on a participant's seat.
func (s *Server) browserOf(participant string) *browser {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.browsers {
		if b.seat.ID() == participant {
			return b
		}
	}
	return nil
}

// attach hands a new wire to the goroutine; false when the browser has left.
func (b *browser) attach(w *wire) bool {
	select {
	case b.wires <- w:
		return true
	case <-b.ended:
		return false
	}
}

// detach says that a wire has ended.
func (b *browser) detach(w *wire) {
	select {
	case b.lost <- w:
	case <-b.ended:
	}
}

// deliver hands a message to the goroutine; false when the browser has left.
func (b *browser) deliver(w *wire, m message) bool {
	select {
	case b.inbox <- delivery{w, m}:
		return true
	case <-b.ended:
		return false
	}
}

// kick makes the browser leave. It never blocks.
func (b *browser) kick(reason string) {
	select {
	case b.kicks <- reason:
	default:
	}
}

// dataArrived takes a message from the data channel; called by pion's goroutine.
func (b *browser) dataArrived(text []byte) {
	m, err := parseMessage(text)
	if err != nil || m.Type != "event" {
		return // the data channel carries events and nothing else
	}
	select {
	case b.inbox <- delivery{nil, m}:
	case <-b.quit:
	}
}

// run is the browser's goroutine.
func (b *browser) run() {
	defer close(b.ended)
	defer b.finish()
	b.resumeBy = time.NewTimer(b.srv.cfg.Timeouts.Resume)
	b.resumeBy.Stop()
	refresh := time.NewTicker(b.srv.cfg.Timeouts.Refresh)
	defer refresh.Stop()
	b.stateAt = time.Now()
	b.log.Info("room: browser joined", "identity", b.claims.Identity, "role", b.claims.Role)
	b.greet()
	for {
		select {
		case d := <-b.inbox:
			if b.handle(d) {
				b.goodbye("you left")
				return
			}
		case w := <-b.wires:
			b.resumed(w)
		case w := <-b.lost:
			b.wireLost(w)
		case <-b.changed:
			b.lookAgain()
		case e := <-b.events:
			b.tell(e)
		case err := <-b.outcomes:
			b.answer(errorOf(err))
		case <-refresh.C:
			b.refresh()
		case reason := <-b.kicks:
			b.goodbye(reason)
			return
		case <-b.resumeBy.C:
			b.log.Info("room: browser did not come back")
			return
		case <-b.srv.quit:
			b.goodbye(errShutdown.Message)
			return
		}
		if b.gaveUp(time.Now()) {
			b.goodbye("no media connection could be made; check the network, or ask for a TURN server")
			return
		}
	}
}

func (b *browser) finish() {
	b.srv.forget(b)
	b.unwatch()
	for _, f := range b.forwards {
		f.sink.Close()
	}
	b.end()
	if b.wire != nil {
		b.wire.close(websocket.StatusNormalClosure, "")
	}
	b.log.Info("room: browser left")
}

// answer sends a message to the client if it is there.
func (b *browser) answer(v any) {
	if b.wire != nil {
		b.wire.send(v)
	}
}

func (b *browser) goodbye(reason string) { b.answer(leaveMessage{"leave", reason}) }

// greet says who the participant is and makes the first offer.
func (b *browser) greet() {
	b.watch()
	b.welcome()
	b.syncTracks()
	b.wantOffer = true
	b.sendParticipants()
	b.negotiate()
}

func (b *browser) welcome() {
	role := b.claims.Role
	b.answer(joinedMessage{
		Type: "joined", Room: b.room, Participant: b.seat.ID(), Session: b.secret,
		ICEServers: b.srv.cfg.TURN.Servers(b.claims.Identity, time.Now()), Role: role,
		Grants: grantsMessage{
			Speak: true, Camera: role.SendsVideo(), Watch: role.SeesVideo(),
			HangUp: b.mayHangUp(), Digits: b.maySendDigits(),
		},
	})
}

// watch follows the room that the seat is in: a transfer may move it.
func (b *browser) watch() {
	r := b.seat.Room()
	if r == b.watched {
		return
	}
	if b.unwatch != nil {
		b.unwatch()
	}
	b.watched = r
	b.unwatch = r.Watch(func(e bridge.Event) {
		select {
		case b.events <- e:
		default: // a reader that is this slow loses fleeting events, not state
		}
	})
}

// resumed goes on with a new wire as the same participant.
func (b *browser) resumed(w *wire) {
	if b.wire != nil {
		b.wire.send(leaveMessage{"leave", "this session goes on in another connection"})
		b.wire.close(websocket.StatusNormalClosure, "resumed elsewhere")
	}
	b.wire = w
	b.resumeBy.Stop()
	b.stateAt = time.Now() // the media gets its time anew
	b.welcome()
	b.sendParticipants()
	if lost(b.peer.State()) {
		b.wantICE = true
	}
	if b.openOffer != "" { // it may never have arrived
		b.answer(offerMessage{"offer", b.openOffer})
	}
	b.log.Info("room: browser resumed")
	b.lookAgain()
}

func (b *browser) wireLost(w *wire) {
	if w != b.wire {
		return
	}
	b.wire = nil
	b.resumeBy.Reset(b.srv.cfg.Timeouts.Resume)
	b.setAway(&b.isAway, true)
}

// lookAgain compares the room and the transport with what the client knows.
func (b *browser) lookAgain() {
	for _, err := range b.takeRefusals() {
		b.answer(errorOf(err))
	}
	b.watch()
	b.lookAtState()
	if b.syncTracks() {
		b.wantOffer = true
	}
	b.sendParticipants()
	b.negotiate()
}

func (b *browser) lookAtState() {
	if now := b.peer.State(); now != b.state {
		b.state, b.stateAt = now, time.Now()
		b.wasUp = b.wasUp || now == webrtc.Connected
		b.log.Debug("room: transport", "state", now)
	}
	b.setAway(&b.isAway, b.wire == nil || b.wasUp && b.state != webrtc.Connected)
	if b.state == webrtc.Failed && time.Since(b.askedICE) > b.srv.cfg.Timeouts.Restart {
		b.wantICE = true
	}
}

// refresh is done every few seconds: fresh levels, fresh figures, and ICE
// restarts for those who need one.
func (b *browser) refresh() {
	b.seat.SetQuality(b.peer.Quality())
	b.lookAtState()
	if b.wire != nil && lost(b.state) && time.Since(b.stateAt) > b.srv.cfg.Timeouts.Restart &&
		time.Since(b.askedICE) > 2*b.srv.cfg.Timeouts.Restart {
		b.wantICE = true
	}
	b.sendParticipants()
	b.negotiate()
}

// gaveUp reports whether the media connection was missing for too long.
func (b *browser) gaveUp(now time.Time) bool {
	return b.peer.State() != webrtc.Connected && b.wire != nil && now.Sub(b.stateAt) > b.srv.cfg.Timeouts.Media
}

func (b *browser) sendParticipants() {
	b.answer(participantsMessage{"participants", b.watched.Record().Participants})
}

// tell passes an event of the room on: on the data channel, else on the wire.
func (b *browser) tell(e bridge.Event) {
	m := eventMessage{"event", e}
	if text, err := json.Marshal(m); err == nil && b.peer.SendData(text) == nil {
		return
	}
	b.answer(m)
}
