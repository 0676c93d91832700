package api

import (
	"context"
	"net/http"
	"regexp"

	"github.com/danielgtaylor/huma/v2"

	"github.com/roomline/roomline/bridge"
)

// sendAgentInput is POST /v1/rooms/{room}/agents.
type sendAgentInput struct {
	RoomInput
	Body struct {
		Agent      string            `json:"agent" minLength:"1" maxLength:"63" doc:"an agent of the dial plan"`
		HeardBy    string            `json:"heard_by,omitempty" maxLength:"64" doc:"all (default), humans: dispatchers and supervisors alone, as a co-pilot; nobody; or the id of one participant"`
		Parameters map[string]string `json:"parameters,omitempty" doc:"told to the agent beside its own, which they override"`
	}
}

// sentAgent is its answer.
type sentAgent struct {
	Location string `header:"Location"`
	Body     bridge.ParticipantRecord
}

// removeAgentInput is DELETE /v1/rooms/{room}/agents/{id}.
type removeAgentInput struct {
	RoomInput
	ID string `path:"id" maxLength:"64" doc:"of the participant"`
}

// parameterPattern is what an agent's parameters may be called.
var parameterPattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{0,63}$`)

// maxParameters bounds what an agent is told, maxParameter the bytes of each.
const maxParameters, maxParameter = 32, 500

// roomAgentOperations registers agents that come into rooms by themselves.
func (s *Server) roomAgentOperations(a huma.API) {
	huma.Register(a, operation("send-agent", http.MethodPost, "/v1/rooms/{room}/agents", "Bring an agent into a room; it leaves when everybody else has", 201), s.sendAgent)
	huma.Register(a, operation("remove-agent", http.MethodDelete, "/v1/rooms/{room}/agents/{id}", "Send an agent that was brought into a room away", 204), s.removeAgent)
}

// sendAgent answers when the agent is in the room.
func (s *Server) sendAgent(ctx context.Context, in *sendAgentInput) (*sentAgent, error) {
	if err := checkRoom("path.room", in.Room); err != nil {
		return nil, err
	}
	b := in.Body
	if len(b.Parameters) > maxParameters {
		return nil, invalid("body.parameters", "expected at most %d parameters", maxParameters)
	}
	for name, value := range b.Parameters {
		if !parameterPattern.MatchString(name) || len(value) > maxParameter {
			return nil, invalid("body.parameters", "expected names of 1 to 64 letters, digits, _, . and -, and values of at most %d bytes", maxParameter)
		}
	}
	rec, err := s.exchange.SendAgent(ctx, bridge.AgentSpec{Agent: b.Agent, Room: in.Room, HeardBy: b.HeardBy, Parameters: b.Parameters})
	if err != nil {
		return nil, s.fromBridge(ctx, err)
	}
	return &sentAgent{Location: "/v1/rooms/" + in.Room + "/agents/" + rec.ID, Body: rec}, nil
}

func (s *Server) removeAgent(ctx context.Context, in *removeAgentInput) (*none, error) {
	if err := s.exchange.RemoveAgent(in.Room, in.ID); err != nil {
		return nil, s.fromBridge(ctx, err)
	}
	return nil, nil
}
