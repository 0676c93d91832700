package room

import (
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
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
	offers   chan bridge.Offer
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
	offer     *bridge.Offer // that may be answered
	wasUp     bool          // media was connected once
	state     webrtc.State
	stateAt   time.Time // of the last change of state
	askedICE  time.Time
	resumeBy  *time.Timer   // runs while there is no wire
	redundant bool          // the browser was asked for RED
	narrow    bool          // only phones listen
	takes     []media.Codec // codecs of sound, by its last answer; nil: not known yet
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
		offers:   make(chan bridge.Offer, 16),
		outcomes: make(chan error, 16), forwards: make(map[*bridge.Source]*forward), wire: w,
	}
	b.init(s, room, c)
	if c.Role != bridge.RoleGuest && c.Role != bridge.RoleCaller {
		b.takesCalls = b.take
	}
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

// take hands over a call that is offered. It never blocks.
func (b *browser) take(o bridge.Offer) {
	select {
	case b.offers <- o:
	default: // a browser that is this slow takes no call
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
