package room

import (
	"context"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media/webrtc"
)

// handle acts on one message; true when the browser leaves.
func (b *browser) handle(d delivery) (left bool) {
	if d.wire != nil && d.wire != b.wire {
		return false // of a wire that was replaced
	}
	var err error
	switch d.Type {
	case "answer":
		err = b.answered(d.message)
	case "candidate":
		err = b.candidate(d.message)
	case "mute":
		b.mute(d.message)
	case "event":
		b.text(d.message)
	case "hangup":
		err = b.hangUp(d.message)
	case "dtmf":
		err = b.sendDigits(d.message)
	case "accept", "decline", "brief":
		err = b.answerOffer(d.message)
	case "heard_by":
		_, err = b.srv.cfg.Exchange.ChangeSeat(b.watched.Name(), b.seat.ID(), bridge.SeatChange{HeardBy: &d.HeardBy})
	case "leave":
		return true
	default:
		err = &bridge.Error{Code: bridge.Conflict, Field: "type", Message: "you are in the room already"}
	}
	if err != nil {
		b.answer(errorOf(err))
	}
	return false
}

func (b *browser) candidate(m message) error {
	if err := b.peer.AddCandidate(m.candidate); err != nil {
		return invalid("candidate", "%s", err)
	}
	return nil
}

func (b *browser) mute(m message) {
	if m.Kind == webrtc.Video {
		b.showCamera(!*m.Muted)
		return
	}
	b.seat.Mute(*m.Muted)
}

// text shows a text to everybody in the room. It is not logged.
func (b *browser) text(m message) {
	b.watched.Tell(bridge.Event{Type: "text", CallID: b.claims.CallID, Data: map[string]any{
		"participant": b.seat.ID(), "name": b.claims.Name, "text": m.Event.Data.Text,
	}})
}

func (b *browser) mayHangUp() bool { return b.claims.Role.HangsUp() || b.claims.Grants.HangUp }

func (b *browser) maySendDigits() bool {
	return b.claims.Role == bridge.RoleDispatcher || b.claims.Role == bridge.RoleAgent
}

// hangUp ends another participant's call, or sends a browser out of the room.
func (b *browser) hangUp(m message) error {
	if m.Participant != b.seat.ID() && !b.mayHangUp() {
		return forbidden("a %s may not hang up others", b.claims.Role)
	}
	for _, p := range b.watched.Record().Participants {
		if p.ID == m.Participant {
			return b.remove(p)
		}
	}
	return &bridge.Error{Code: bridge.NotFound, Field: "participant", Message: "nobody in this room has that id"}
}

func (b *browser) remove(p bridge.ParticipantRecord) error {
	if p.Kind == bridge.KindPhone {
		c, ok := b.srv.cfg.Exchange.Call(p.CallID)
		if !ok {
			return &bridge.Error{Code: bridge.NotFound, Field: "participant", Message: "that call has ended"}
		}
		c.Hangup(bridge.CauseNormal, "hung up by "+b.claims.Identity)
		return nil
	}
	if other := b.srv.browserOf(p.ID); other != nil {
		other.kick("you were asked to leave")
		return nil
	}
	if b.srv.endSessionOf(p.ID) {
		return nil
	}
	return &bridge.Error{Code: bridge.Conflict, Field: "participant", Message: "that participant cannot be hung up from here"}
}

// sendDigits plays keys to a phone in this room.
func (b *browser) sendDigits(m message) error {
	if !b.maySendDigits() {
		return forbidden("a %s may not send digits", b.claims.Role)
	}
	c, ok := b.srv.cfg.Exchange.Call(m.CallID)
	if !ok || c.Record().Room != b.watched.Name() {
		return &bridge.Error{Code: bridge.NotFound, Field: "call_id", Message: "no call in this room has that id"}
	}
	return b.during(func(ctx context.Context) error { return c.SendDigits(ctx, m.Digits) })
}

// during does what may take a while, apart from the browser's goroutine; how it
// ends is told to the client if it went wrong.
func (b *browser) during(do func(context.Context) error) error {
	started := b.srv.start(b.log, func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := do(ctx); err != nil {
			select {
			case b.outcomes <- err:
			case <-b.quit:
			}
		}
	})
	if !started {
		return errShutdown
	}
	return nil
}
