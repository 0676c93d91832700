package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/roomline/roomline/bridge"
)

// seatInput is PATCH /v1/rooms/{room}/participants/{id}.
type seatInput struct {
	RoomInput
	ID   string `path:"id" maxLength:"64"`
	Body struct {
		Muted   *bool   `json:"muted,omitempty"`
		HeardBy *string `json:"heard_by,omitempty" minLength:"1" maxLength:"64" doc:"who hears them: all, nobody, humans (of an agent: dispatchers and supervisors), or a participant's id (of a supervisor: a whisper)"`
	}
}

// participantOperations registers what may be changed about somebody in a room.
func (s *Server) participantOperations(a huma.API) {
	huma.Register(a, operation("change-participant", http.MethodPatch, "/v1/rooms/{room}/participants/{id}",
		"Mute somebody, or say who hears them: a supervisor listens (nobody), whispers (a participant's id) or barges in (all)", 0), s.changeSeat)
}

func (s *Server) changeSeat(ctx context.Context, in *seatInput) (*one[bridge.ParticipantRecord], error) {
	if in.Body.Muted == nil && in.Body.HeardBy == nil {
		return nil, problem(http.StatusUnprocessableEntity, "there is nothing to change: give muted or heard_by",
			at("body.muted", "expected muted or heard_by"))
	}
	rec, err := s.exchange.ChangeSeat(in.Room, in.ID, bridge.SeatChange{Muted: in.Body.Muted, HeardBy: in.Body.HeardBy})
	if err != nil {
		return nil, s.fromBridge(ctx, err)
	}
	return &one[bridge.ParticipantRecord]{Body: rec}, nil
}
