package room

import (
	"encoding/json"
	"time"

	"github.com/coder/websocket"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/webrtc"
)

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
		case o := <-b.offers:
			b.offered(o)
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
	b.sendHistory()
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
			Whisper: role == bridge.RoleSupervisor,
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
	b.sendHistory()
	if b.offer != nil {
		b.answer(offeredMessage{"offered", *b.offer})
	}
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
	b.seat.SetQuality(b.peer.Quality(), time.Now())
	b.lookAtState()
	if b.wire != nil && lost(b.state) && time.Since(b.stateAt) > b.srv.cfg.Timeouts.Restart &&
		time.Since(b.askedICE) > 2*b.srv.cfg.Timeouts.Restart {
		b.wantICE = true
	}
	if wants := b.peer.WantsRedundancy(); wants != b.redundant {
		b.redundant, b.wantOffer = wants, true
	}
	b.sendParticipants()
	b.negotiate()
}

// gaveUp reports whether the media connection was missing for too long.
func (b *browser) gaveUp(now time.Time) bool {
	return b.peer.State() != webrtc.Connected && b.wire != nil && now.Sub(b.stateAt) > b.srv.cfg.Timeouts.Media
}

func (b *browser) sendParticipants() {
	b.answer(participantsMessage{Type: "participants", Participants: b.watched.Record().Participants})
}

// historyPoints is how much of the past a page is told: five minutes.
const historyPoints = 60

// sendHistory sends the participants with their past, to a page that has not seen it.
func (b *browser) sendHistory() {
	m := participantsMessage{Type: "participants", Participants: b.watched.Record().Participants, History: map[string][]media.QualityPoint{}}
	for _, q := range b.watched.Quality() {
		if n := len(q.Points); n > 0 {
			m.History[q.Participant] = q.Points[max(0, n-historyPoints):]
		}
	}
	b.answer(m)
}

// tell passes an event of the room on: on the data channel, else on the wire.
func (b *browser) tell(e bridge.Event) {
	m := eventMessage{"event", e}
	if text, err := json.Marshal(m); err == nil && b.peer.SendData(text) == nil {
		return
	}
	b.answer(m)
}
