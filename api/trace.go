package api

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/sip/trace"
	"github.com/roomline/roomline/store"
)

// TraceFormat is how SIP messages are handed out. It is exported for the same reason as
// [Paging].
type TraceFormat struct {
	Format string `query:"format" enum:"json,text,pcap" default:"json" doc:"text draws a ladder; pcap is a capture file for Wireshark"`
}

// callTraceInput is GET /v1/calls/{id}/trace.
type callTraceInput struct {
	Named
	TraceFormat
}

// traceInput is GET /v1/trace.
type traceInput struct {
	TraceFormat
	SIPCallID string    `query:"sip_call_id" required:"true" minLength:"1" maxLength:"256" doc:"the Call-ID, as calls and refused INVITEs name it"`
	Since     time.Time `query:"since" doc:"default: a day ago"`
	Until     time.Time `query:"until" doc:"default: now"`
}

// Trace is the SIP messages of a call and of the calls that it led to, as a ladder.
type Trace struct {
	Calls []string    `json:"calls" nullable:"false" doc:"ids of the calls that it shows"`
	Peers []string    `json:"peers" nullable:"false" doc:"who spoke with the gateway, in the order of their first message"`
	Items []TraceStep `json:"items" nullable:"false"`
}

// TraceStep is one message.
type TraceStep struct {
	Time      time.Time `json:"time"`
	After     float64   `json:"after" doc:"seconds since the first message"`
	Sent      bool      `json:"sent" doc:"by the gateway; else received"`
	Peer      int       `json:"peer" doc:"index in peers"`
	Transport string    `json:"transport"`
	Local     string    `json:"local"`
	Remote    string    `json:"remote"`
	Label     string    `json:"label" doc:"what stands on the arrow"`
	Again     bool      `json:"again,omitempty" doc:"a retransmission"`
	Message   string    `json:"message" doc:"the whole message, secrets masked"`
}

// traceOutput has a body of any kind.
type traceOutput struct {
	ContentType string `header:"Content-Type"`
	Disposition string `header:"Content-Disposition"`
	Body        any
}

// traceOperations registers what shows SIP messages.
func (s *Server) traceOperations(a huma.API) {
	huma.Register(a, operation("trace-call", http.MethodGet, "/v1/calls/{id}/trace", "The SIP messages of a call and of those that it led to, secrets masked", 0), s.traceCall)
	huma.Register(a, operation("trace", http.MethodGet, "/v1/trace", "The SIP messages of any Call-ID, such as a refused INVITE's", 0), s.traceByID)
}

func (s *Server) traceCall(ctx context.Context, in *callTraceInput) (*traceOutput, error) {
	call, err := s.call(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	family, err := s.family(ctx, call)
	if err != nil {
		return nil, err
	}
	from, until := time.Now(), time.Time{}
	var ids, sipIDs []string
	for _, c := range family {
		if c.CreatedAt.Before(from) {
			from = c.CreatedAt
		}
		if end := endOf(c); end.After(until) {
			until = end
		}
		ids = append(ids, c.ID)
		if c.SIPCallID != "" {
			sipIDs = append(sipIDs, c.SIPCallID)
		}
	}
	return s.trace(ctx, in.Format, ids, sipIDs, from, until)
}

// endOf is when a call has ended; a live one ends now.
func endOf(c bridge.CallRecord) time.Time {
	if c.EndedAt != nil {
		return *c.EndedAt
	}
	return time.Now()
}

// family is a call, the one that it was placed for, and those placed for it.
func (s *Server) family(ctx context.Context, call bridge.CallRecord) ([]bridge.CallRecord, error) {
	list := []bridge.CallRecord{call}
	if call.ParentID != "" {
		if parent, err := s.call(ctx, call.ParentID); err == nil {
			list = append([]bridge.CallRecord{parent}, list...)
		}
	}
	for _, c := range s.callsInMemory() {
		if c.ParentID == call.ID {
			list = append(list, c)
		}
	}
	ended, _, err := s.store.CDRs(ctx, store.CDRFilter{ParentID: call.ID}, store.Page{Limit: 20})
	if err != nil && len(list) == 1 && call.State == bridge.StateEnded {
		return nil, s.storeAway(ctx, err)
	}
	for _, c := range ended {
		if !slices.ContainsFunc(list, func(known bridge.CallRecord) bool { return known.ID == c.ID }) {
			list = append(list, c.CallRecord)
		}
	}
	return list, nil
}

func (s *Server) traceByID(ctx context.Context, in *traceInput) (*traceOutput, error) {
	if in.Until.IsZero() {
		in.Until = time.Now()
	}
	if in.Since.IsZero() {
		in.Since = in.Until.Add(-24 * time.Hour)
	}
	return s.trace(ctx, in.Format, nil, []string{in.SIPCallID}, in.Since, in.Until)
}

// trace finds messages and puts them into their form.
func (s *Server) trace(ctx context.Context, format string, calls, sipIDs []string, from, until time.Time) (*traceOutput, error) {
	if s.traces == nil {
		return nil, problem(http.StatusNotFound, "this gateway keeps no SIP messages; --trace 24h makes it keep them")
	}
	messages, err := s.traces.Find(ctx, from, until, sipIDs...)
	if err != nil {
		s.log.ErrorContext(ctx, "SIP messages cannot be read", "error", err)
		return nil, problem(http.StatusInternalServerError, "the kept SIP messages cannot be read; the gateway's log says why")
	}
	var b bytes.Buffer
	switch format {
	case "text":
		trace.Ladder(&b, messages)
		return &traceOutput{ContentType: "text/plain; charset=utf-8", Body: b.Bytes()}, nil
	case "pcap":
		trace.WritePCAP(&b, messages)
		return &traceOutput{ContentType: "application/vnd.tcpdump.pcap", Disposition: `attachment; filename="sip.pcap"`, Body: b.Bytes()}, nil
	}
	return &traceOutput{ContentType: "application/json", Body: drawn(calls, messages)}, nil
}

func drawn(calls []string, messages []trace.Message) Trace {
	steps, peers := trace.Steps(messages)
	t := Trace{Calls: append([]string{}, calls...), Peers: []string{}, Items: []TraceStep{}}
	for _, p := range peers {
		t.Peers = append(t.Peers, p.String())
	}
	for _, m := range steps {
		t.Items = append(t.Items, TraceStep{
			Time: m.Time, After: m.After, Sent: m.Sent, Peer: m.Peer, Transport: m.Transport,
			Local: m.Local.String(), Remote: m.Remote.String(), Label: m.Label, Again: m.Again, Message: m.Text(),
		})
	}
	return t
}
