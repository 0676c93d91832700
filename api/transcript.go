package api

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/store"
)

// transcriptOperations registers what shows the words of a call.
func (s *Server) transcriptOperations(a huma.API) {
	huma.Register(a, operation("get-call-transcript", http.MethodGet, "/v1/calls/{id}/transcript",
		"What was said on a call, in words, as agents have told it", 0), s.transcript)
}

// transcript answers with the words of a live call, or of an ended one as long as
// its events are kept.
func (s *Server) transcript(ctx context.Context, in *Named) (*listOutput[bridge.Utterance], error) {
	if c, ok := s.exchange.Live(in.ID); ok {
		return listed(c.Transcript(), ""), nil
	}
	if _, err := s.ended(ctx, in.ID); err != nil {
		return nil, err
	}
	said := []bridge.Utterance{}
	for cursor := ""; ; {
		events, next, err := s.store.CallEvents(ctx, in.ID, store.Page{Limit: eventPage, Cursor: cursor})
		if err != nil {
			return nil, s.storeAway(ctx, err)
		}
		for _, e := range events {
			if u, ok := utteranceOf(e); ok {
				said = append(said, u)
			}
		}
		if cursor = next; next == "" {
			return listed(said, ""), nil
		}
	}
}

// utteranceOf reads what a stored event tells; false for other events.
func utteranceOf(e bridge.Event) (u bridge.Utterance, ok bool) {
	if e.Type != "transcript.final" {
		return u, false
	}
	text, err := json.Marshal(e.Data["utterance"])
	return u, err == nil && json.Unmarshal(text, &u) == nil
}
