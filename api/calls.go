package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/roomline/roomline/bridge"
)

// callBody is what POST /v1/calls asks for.
type callBody struct {
	To          string            `json:"to" minLength:"1" maxLength:"256" doc:"E.164 number, or a SIP URI within a trunk's servers" example:"+15551234567"`
	From        string            `json:"from,omitempty" maxLength:"256" doc:"caller id; a number of ours"`
	Trunk       string            `json:"trunk,omitempty" maxLength:"63" doc:"the trunk to leave by; the routes choose when it is empty"`
	Room        string            `json:"room,omitempty" maxLength:"64" doc:"where the answered phone is brought; absent: a room of its own"`
	Agent       string            `json:"agent,omitempty" maxLength:"63" doc:"in place of room: an agent of the dial plan, which talks to the phone once that has answered"`
	Queue       string            `json:"queue,omitempty" maxLength:"63" doc:"in place of room: a queue of the dial plan, where the phone waits once it has answered"`
	RingTimeout int               `json:"ring_timeout,omitempty" minimum:"0" maximum:"600" doc:"seconds to let it ring; 0 is the gateway's default"`
	Headers     map[string]string `json:"headers,omitempty" doc:"X- headers for the INVITE"`
	Machine     string            `json:"machine,omitempty" enum:"continue,hangup,wait_beep" doc:"finds out who answers, and what becomes of a call that a machine takes: continue as with a person, hang up, or wait for its beep; an agent is told answered_by"`
	Detection   *detection        `json:"machine_detection,omitempty" doc:"finds out who answers, told as the event call.machine and as answered_by: true, or an object with settings"`
	Record      bool              `json:"record,omitempty" doc:"not available yet"`
}

// roomPattern is what a room may be called.
var roomPattern = regexp.MustCompile(`^[A-Za-z0-9._+-]{1,64}$`)

// headerPattern is which headers may be added to an INVITE.
var headerPattern = regexp.MustCompile(`^[Xx]-[A-Za-z0-9-]{1,60}$`)

// maxHeaders bounds the headers of one call, maxHeaderValue the bytes of each.
const maxHeaders, maxHeaderValue = 20, 256

// request checks what the schema cannot say.
func (b *callBody) request() (bridge.DialRequest, error) {
	switch {
	case b.Agent != "" && b.Room+b.Queue != "":
		return bridge.DialRequest{}, invalid("body.agent", "expected one of room, agent and queue")
	case b.Queue != "" && b.Room != "":
		return bridge.DialRequest{}, invalid("body.queue", "expected one of room, agent and queue")
	case b.Machine != "" && b.Detection != nil && !b.Detection.On:
		return bridge.DialRequest{}, invalid("body.machine", "machine_detection is false; leave it out, or machine")
	case b.Record:
		return bridge.DialRequest{}, notYet("body.record", "recording")
	}
	if b.Room != "" {
		if err := checkRoom("body.room", b.Room); err != nil {
			return bridge.DialRequest{}, err
		}
	}
	if err := checkHeaders(b.Headers); err != nil {
		return bridge.DialRequest{}, err
	}
	if strings.ContainsFunc(b.To+b.From, isControl) {
		return bridge.DialRequest{}, invalid("body.to", "control characters are not allowed in to and from")
	}
	return bridge.DialRequest{
		To: b.To, From: b.From, Trunk: b.Trunk, Room: b.Room, Agent: b.Agent, Queue: b.Queue, Headers: b.Headers,
		RingTimeout: time.Duration(b.RingTimeout) * time.Second, Machine: b.machine(),
	}, nil
}

// checkRoom says what a room may be called.
func checkRoom(location, room string) error {
	if !roomPattern.MatchString(room) {
		return invalid(location, "expected 1 to 64 letters, digits, dots, underscores, plus or minus signs")
	}
	return nil
}

// checkHeaders lets only X- headers with plain values through.
func checkHeaders(headers map[string]string) error {
	if len(headers) > maxHeaders {
		return invalid("body.headers", "expected at most %d headers", maxHeaders)
	}
	for name, value := range headers {
		if !headerPattern.MatchString(name) {
			return invalid("body.headers", "expected names like X-Customer, of letters, digits and dashes")
		}
		if len(value) > maxHeaderValue || strings.ContainsFunc(value, isControl) {
			return invalid("body.headers."+name, "expected at most %d bytes without control characters", maxHeaderValue)
		}
	}
	return nil
}

// isControl reports whether a character could end a header line.
func isControl(r rune) bool { return r < ' ' || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029 }

// hash tells two requests apart that carry the same key; spelling and order of
// the JSON do not matter.
func (b *callBody) hash() string {
	text, _ := json.Marshal(b) // strings and numbers only: cannot fail
	sum := sha256.Sum256(append([]byte("POST /v1/calls "), text...))
	return hex.EncodeToString(sum[:])
}

// createCallInput is POST /v1/calls.
type createCallInput struct {
	Key  string `header:"Idempotency-Key" maxLength:"255" doc:"a retried request with the same key dials once; remembered for 24 hours"`
	Body callBody
}

// createdCall is its answer.
type createdCall struct {
	Location string `header:"Location"`
	Replayed string `header:"Idempotency-Replayed" doc:"true when an earlier request with this key had dialled"`
	Body     bridge.CallRecord
}

// callOperations registers making, reading and ending calls.
func (s *Server) callOperations(a huma.API) {
	huma.Register(a, operation("create-call", http.MethodPost, "/v1/calls", "Place a call and bring it into a room", 201), s.createCall)
	huma.Register(a, operation("list-calls", http.MethodGet, "/v1/calls", "List calls: live ones first, then ended ones, each newest first", 0), s.listCalls)
	huma.Register(a, operation("get-call", http.MethodGet, "/v1/calls/{id}", "Read a call, live or ended", 0), s.getCall)
	huma.Register(a, operation("delete-call", http.MethodDelete, "/v1/calls/{id}", "Hang up; harmless when the call has ended", 204), s.hangUp)
}

// createCall dials, once per idempotency key.
func (s *Server) createCall(ctx context.Context, in *createCallInput) (*createdCall, error) {
	req, err := in.Body.request()
	if err != nil {
		return nil, err
	}
	dial := func(ctx context.Context) (bridge.CallRecord, error) {
		if s.draining != nil && s.draining() {
			return bridge.CallRecord{}, later(problem(http.StatusServiceUnavailable,
				"this gateway is stopping and takes no new calls; nothing was dialled"), 5*time.Second)
		}
		record, err := s.exchange.Dial(ctx, req)
		if err != nil {
			return bridge.CallRecord{}, s.fromBridge(ctx, err)
		}
		return record, nil
	}
	// A client that goes away does not undo what it asked for.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	if in.Key == "" {
		record, err := dial(ctx)
		return created(record, false, err)
	}
	record, replayed, err := s.once(ctx, in.Key, in.Body.hash(), dial)
	return created(record, replayed, err)
}

// created makes the answer.
func created(record bridge.CallRecord, replayed bool, err error) (*createdCall, error) {
	if err != nil {
		return nil, err
	}
	out := &createdCall{Location: "/v1/calls/" + record.ID, Body: record}
	if replayed {
		out.Replayed = "true"
	}
	return out, nil
}

// getCall finds a call wherever it is now.
func (s *Server) getCall(ctx context.Context, in *Named) (*one[bridge.CallRecord], error) {
	record, err := s.call(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if live, ok := s.exchange.Live(in.ID); ok {
		record.Hearing = live.Heard()
	}
	return &one[bridge.CallRecord]{Body: record}, nil
}

// hangUp ends a live call; one that has ended stays so.
func (s *Server) hangUp(ctx context.Context, in *Named) (*none, error) {
	if call, ok := s.exchange.Live(in.ID); ok {
		call.Hangup(bridge.CauseNone, "hung up through the API")
		return nil, nil
	}
	_, err := s.call(ctx, in.ID)
	return nil, err
}
