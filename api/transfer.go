package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/roomline/roomline/bridge"
)

// transferInput is POST /v1/calls/{id}/transfer.
type transferInput struct {
	Named
	Body transferBody
}

type transferBody struct {
	To           string         `json:"to,omitempty" maxLength:"256" doc:"a number or SIP URI"`
	Room         string         `json:"room,omitempty" maxLength:"64"`
	Agent        string         `json:"agent,omitempty" maxLength:"63" doc:"an agent of the dial plan"`
	Queue        string         `json:"queue,omitempty" maxLength:"63" doc:"a queue of the dial plan"`
	Participant  string         `json:"participant,omitempty" maxLength:"128" doc:"warm: identity or id of somebody in a browser, who is offered the call"`
	Mode         string         `json:"mode,omitempty" enum:"blind,refer,warm" doc:"blind (default): we dial and stay in the call; refer: the peer is asked to call in our stead and takes the call back; warm: the caller hears the hold sound until somebody has accepted, and is back where they were if nobody does"`
	By           string         `json:"by,omitempty" maxLength:"128" doc:"warm: who hands over, beside the agent; an identity or participant's id in the caller's room"`
	CoPilot      bool           `json:"copilot,omitempty" doc:"warm: the agent stays, heard by dispatchers and supervisors alone"`
	RingTimeout  int            `json:"ring_timeout,omitempty" minimum:"0" maximum:"600" doc:"warm: seconds until nobody has answered; 30 when absent"`
	BriefTimeout int            `json:"brief_timeout,omitempty" minimum:"0" maximum:"600" doc:"warm: seconds that somebody may be briefed; 60 when absent"`
	Reason       string         `json:"reason,omitempty" maxLength:"500" doc:"why, in words; told to who takes the call"`
	Summary      string         `json:"summary,omitempty" maxLength:"4000" doc:"what was said so far, in words; told to who takes the call"`
	Context      map[string]any `json:"context,omitempty" doc:"anything else, at most 16 KB; told to who takes the call"`
}

// transferOperations registers transfers and the answers of those who are offered a call.
func (s *Server) transferOperations(a huma.API) {
	huma.Register(a, operation("transfer-call", http.MethodPost, "/v1/calls/{id}/transfer", "Move the phone to another room, number, agent or queue, at once or warmly, or hand the call back to the peer", 0), s.transfer)
	for verb, summary := range map[string]string{
		bridge.AnswerAccept: "Take a call that is transferred warmly", bridge.AnswerDecline: "Decline a call that is transferred warmly",
		bridge.AnswerBrief: "Talk to who hands a call over before it is taken",
	} {
		op := operation(verb+"-transfer", http.MethodPost, "/v1/calls/{id}/transfer/"+verb, summary, 0)
		op.Description = "With a room token, in the name of its identity; with a key, in that of participant, an identity or id, or of whomever the call is offered to."
		op.Security = []map[string][]string{{"key": {}}, {"roomToken": {}}}
		huma.Register(a, op, func(ctx context.Context, in *answerInput) (*one[bridge.CallRecord], error) {
			return s.answerTransfer(ctx, in, verb)
		})
	}
}

func (s *Server) transfer(ctx context.Context, in *transferInput) (*one[bridge.CallRecord], error) {
	req, err := in.Body.request()
	if err != nil {
		return nil, err
	}
	return s.act(ctx, in.ID, func(ctx context.Context, c LiveCall) error { return c.Transfer(ctx, req) })
}

// request checks what the schema cannot say.
func (b *transferBody) request() (bridge.TransferRequest, error) {
	var none bridge.TransferRequest
	warm := b.Mode == "warm"
	switch {
	case b.Mode == "refer" && (b.To == "" || b.targets() > 1):
		return none, problem(http.StatusUnprocessableEntity, "mode refer hands the call back to the peer, who knows numbers but none of our rooms: it needs to, and no room",
			at("body.to", "expected a number or SIP URI"))
	case b.targets() != 1:
		return none, problem(http.StatusUnprocessableEntity, "a transfer needs one target: to or room, agent, queue or participant",
			at("body.to", "expected either to or room"), at("body.room", "expected either to or room"))
	case b.Participant != "" && !warm:
		return none, invalid("body.participant", "a call is offered to a participant with mode warm alone")
	case strings.ContainsFunc(b.To, isControl):
		return none, invalid("body.to", "control characters are not allowed")
	}
	if b.Room != "" {
		if err := checkRoom("body.room", b.Room); err != nil {
			return none, err
		}
	}
	return bridge.TransferRequest{
		To: b.To, Room: b.Room, Agent: b.Agent, Queue: b.Queue, Participant: b.Participant, By: b.By, CoPilot: b.CoPilot,
		Refer: b.Mode == "refer", Warm: warm, Handover: b.handover(),
		RingTime: time.Duration(b.RingTimeout) * time.Second, BriefTime: time.Duration(b.BriefTimeout) * time.Second,
	}, nil
}

func (b *transferBody) targets() (n int) {
	for _, s := range []string{b.To, b.Room, b.Agent, b.Queue, b.Participant} {
		if s != "" {
			n++
		}
	}
	return n
}

// handover is nil where nothing is passed on but what was said.
func (b *transferBody) handover() *bridge.Handover {
	if b.Summary == "" && b.Reason == "" && len(b.Context) == 0 {
		return nil
	}
	h := &bridge.Handover{By: b.By, Reason: b.Reason, Summary: b.Summary}
	if len(b.Context) > 0 {
		h.Data, _ = json.Marshal(b.Context) // it was JSON: cannot fail
	}
	return h
}

// answerInput is POST /v1/calls/{id}/transfer/accept and its like.
type answerInput struct {
	Named
	Body *struct {
		Participant string `json:"participant,omitempty" maxLength:"128" doc:"identity or id of who answers"`
	}
}

func (s *Server) answerTransfer(ctx context.Context, in *answerInput, verb string) (*one[bridge.CallRecord], error) {
	who := callerOf(ctx).identity
	if in.Body != nil && in.Body.Participant != "" {
		if who != "" && who != in.Body.Participant {
			return nil, problem(http.StatusForbidden, "a room token answers for its own identity alone")
		}
		who = in.Body.Participant
	}
	return s.act(ctx, in.ID, func(ctx context.Context, c LiveCall) error { return c.AnswerTransfer(ctx, who, verb) })
}
