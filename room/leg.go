package room

import (
	"fmt"
	"log/slog"
	"sync"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/webrtc"
)

// leg is what a browser on the WebSocket, a WHIP publisher and a WHEP listener
// have in common: a seat in the room and a peer connection.
type leg struct {
	srv    *Server
	room   string
	claims Claims
	log    *slog.Logger
	seat   *bridge.Participant
	peer   *webrtc.Peer

	takesCalls func(bridge.Offer) // nil: no call is offered to it

	changed chan struct{} // members or tracks changed, or the transport's state; one is enough
	quit    chan struct{} // closed when the leg ends: callbacks must not wait for it

	mu        sync.Mutex
	published map[*webrtc.InTrack]*bridge.Source // nil while the camera is off
	count     map[webrtc.Kind]int
	refused   map[webrtc.Kind]error
	cameraOff bool
}

func (l *leg) init(srv *Server, room string, c Claims) {
	l.srv, l.room, l.claims, l.log = srv, room, c, srv.log
	l.changed, l.quit = make(chan struct{}, 1), make(chan struct{})
	l.published = make(map[*webrtc.InTrack]*bridge.Source)
	l.count = make(map[webrtc.Kind]int)
	l.refused = make(map[webrtc.Kind]error)
}

// open takes the seat and makes the peer; the seat is given back on failure.
func (l *leg) open(kind string, cfg webrtc.PeerConfig) error {
	seat, err := l.srv.seat(l.room, l.claims, kind, l.wake, l.takesCalls)
	if err != nil {
		return err
	}
	l.seat = seat
	l.log = l.srv.log.With("room", l.room, "participant", seat.ID())
	if l.claims.CallID != "" {
		l.log = l.log.With("call", l.claims.CallID)
	}
	cfg.Log = l.log
	cfg.OnState = func(webrtc.State) { l.wake() }
	cfg.OnTrack = l.trackFound
	cfg.OnTrackEnd = l.trackEnded
	if l.peer, err = l.srv.cfg.Engine.NewPeer(cfg); err != nil {
		seat.Leave()
		return fmt.Errorf("join room %q: %w", l.room, err)
	}
	return nil
}

// wake tells the leg's goroutine to look again. It never blocks.
func (l *leg) wake() {
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// end gives everything back; the leg's goroutine calls it last.
func (l *leg) end() {
	close(l.quit)
	l.seat.Leave() // first, so that nobody is sent to a closed peer
	if err := l.peer.Close(); err != nil {
		l.log.Debug("room: peer did not close cleanly", "error", err)
	}
}

// trackFound publishes what the other side sends; called by the goroutine
// that will read it.
func (l *leg) trackFound(t *webrtc.InTrack) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.published[t] = nil
	if t.Kind() == webrtc.Video && l.cameraOff {
		return
	}
	l.publishLocked(t)
}

func (l *leg) publishLocked(t *webrtc.InTrack) {
	source, err := l.seat.Publish(bridge.TrackSpec{
		ID: l.trackIDLocked(t.Kind()), Codec: t.Codec(), RequestKeyframe: t.RequestKeyframe,
	})
	if err != nil {
		l.refused[t.Kind()] = err
		l.log.Info("room: track refused", "kind", t.Kind(), "error", err)
		l.wake()
		return
	}
	delete(l.refused, t.Kind())
	l.published[t] = source
	codec := t.Codec()
	t.Receive(func(p *media.Packet) {
		if p.Codec != codec && p.Codec != media.TelephoneEvent && p.Codec != media.ComfortNoise {
			return // another codec of the same offer: pion's peers do not switch, and the bridge would not follow
		}
		source.Push(p)
	})
}

// trackIDLocked names a track ourselves: what clients send may be anything.
func (l *leg) trackIDLocked(k webrtc.Kind) string {
	name := "mic"
	if k == webrtc.Video {
		name = "cam"
	}
	l.count[k]++
	if n := l.count[k]; n > 1 {
		return fmt.Sprintf("%s%d", name, n)
	}
	return name
}

func (l *leg) trackEnded(t *webrtc.InTrack) {
	l.mu.Lock()
	source := l.published[t]
	delete(l.published, t)
	l.mu.Unlock()
	if source != nil {
		source.Close()
	}
}

// takeRefusals returns why tracks could not be published, once.
func (l *leg) takeRefusals() []error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var errs []error
	for k, err := range l.refused {
		errs = append(errs, err)
		delete(l.refused, k)
	}
	return errs
}

// showCamera switches the publishing of video off and on again.
func (l *leg) showCamera(on bool) {
	var gone []*bridge.Source
	l.mu.Lock()
	l.cameraOff = !on
	for t, source := range l.published {
		switch {
		case t.Kind() != webrtc.Video:
		case on && source == nil:
			l.publishLocked(t)
			t.RequestKeyframe()
		case !on && source != nil:
			t.Receive(nil)
			l.published[t] = nil
			gone = append(gone, source)
		}
	}
	l.mu.Unlock()
	for _, s := range gone {
		s.Close()
	}
}

// setAway tells the room whether the leg's network is lost.
func (l *leg) setAway(was *bool, away bool) {
	if *was != away {
		*was = away
		l.seat.SetAway(away)
		l.log.Info("room: network", "away", away)
	}
}

func lost(s webrtc.State) bool { return s == webrtc.Disconnected || s == webrtc.Failed }
