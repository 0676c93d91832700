package api

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/roomline/roomline/bridge"
)

// digitsInput is POST /v1/calls/{id}/dtmf.
type digitsInput struct {
	Named
	Body struct {
		Digits string `json:"digits" pattern:"^[0-9A-Da-d*#]{1,64}$" patternDescription:"1 to 64 of 0-9 A-D * #"`
	}
}

// actionOperations registers what can be done with a live call. Each answers
// with the call as it is afterwards.
func (s *Server) actionOperations(a huma.API) {
	register := func(name, summary string, do func(context.Context, LiveCall) error) {
		huma.Register(a, operation(name+"-call", http.MethodPost, "/v1/calls/{id}/"+name, summary, 0),
			func(ctx context.Context, in *Named) (*one[bridge.CallRecord], error) { return s.act(ctx, in.ID, do) })
	}
	register("hold", "Put the phone on hold", func(ctx context.Context, c LiveCall) error { return c.Hold(ctx, true) })
	register("unhold", "Take the phone back from hold", func(ctx context.Context, c LiveCall) error { return c.Hold(ctx, false) })
	register("mute", "Silence the phone in its room", func(_ context.Context, c LiveCall) error { return c.Mute(true) })
	register("unmute", "Let the phone be heard again", func(_ context.Context, c LiveCall) error { return c.Mute(false) })
	register("escalate", "Take the call to video by a texted link; not available yet", func(context.Context, LiveCall) error {
		return notYet("path.id", "escalation to video by a texted link")
	})
	huma.Register(a, operation("send-digits", http.MethodPost, "/v1/calls/{id}/dtmf", "Send digits to the phone", 0), s.sendDigits)
	s.transferOperations(a)
}

// act does something with a live call.
func (s *Server) act(ctx context.Context, id string, do func(context.Context, LiveCall) error) (*one[bridge.CallRecord], error) {
	call, err := s.live(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := do(ctx, call); err != nil {
		var ours huma.StatusError
		if errors.As(err, &ours) {
			return nil, err
		}
		if call.Record().State == bridge.StateEnded {
			return nil, hasEnded()
		}
		return nil, s.fromBridge(ctx, err)
	}
	return &one[bridge.CallRecord]{Body: call.Record()}, nil
}

func (s *Server) sendDigits(ctx context.Context, in *digitsInput) (*one[bridge.CallRecord], error) {
	return s.act(ctx, in.ID, func(ctx context.Context, c LiveCall) error {
		return c.SendDigits(ctx, strings.ToUpper(in.Body.Digits))
	})
}
