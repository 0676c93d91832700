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

// transferInput is POST /v1/calls/{id}/transfer.
type transferInput struct {
	Named
	Body struct {
		To    string `json:"to,omitempty" maxLength:"256" doc:"a number or SIP URI"`
		Room  string `json:"room,omitempty" maxLength:"64"`
		Agent string `json:"agent,omitempty" maxLength:"63" doc:"not available yet"`
		Queue string `json:"queue,omitempty" maxLength:"63" doc:"not available yet"`
		Mode  string `json:"mode,omitempty" enum:"blind,refer,warm" doc:"blind (default): we dial and stay in the call; refer: the peer is asked to call in our stead and takes the call back; warm is not available yet"`
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
	huma.Register(a, operation("transfer-call", http.MethodPost, "/v1/calls/{id}/transfer", "Move the phone to another room or number, or hand the call back to the peer", 0), s.transfer)
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

func (s *Server) transfer(ctx context.Context, in *transferInput) (*one[bridge.CallRecord], error) {
	b := in.Body
	switch {
	case b.Agent != "":
		return nil, notYet("body.agent", "transfer to an agent")
	case b.Queue != "":
		return nil, notYet("body.queue", "transfer to a queue")
	case b.Mode == "warm":
		return nil, notYet("body.mode", "warm transfer")
	case b.Mode == "refer" && (b.To == "" || b.Room != ""):
		return nil, problem(http.StatusUnprocessableEntity, "mode refer hands the call back to the peer, who knows numbers but none of our rooms: it needs to, and no room",
			at("body.to", "expected a number or SIP URI"))
	case (b.To == "") == (b.Room == ""):
		return nil, problem(http.StatusUnprocessableEntity, "a transfer needs one target: to or room",
			at("body.to", "expected either to or room"), at("body.room", "expected either to or room"))
	}
	if b.Room != "" {
		if err := checkRoom("body.room", b.Room); err != nil {
			return nil, err
		}
	}
	if strings.ContainsFunc(b.To, isControl) {
		return nil, invalid("body.to", "control characters are not allowed")
	}
	return s.act(ctx, in.ID, func(ctx context.Context, c LiveCall) error {
		return c.Transfer(ctx, bridge.TransferRequest{To: b.To, Room: b.Room, Refer: b.Mode == "refer"})
	})
}
