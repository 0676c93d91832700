package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/store"
)

// callQuality is how a call's sound has travelled over time.
type callQuality struct {
	CallID  string               `json:"call_id"`
	Quality *media.Quality       `json:"quality,omitempty" doc:"of the whole call"`
	Items   []media.QualityPoint `json:"items" nullable:"false" doc:"oldest first: of a live call every five seconds of the last 20 minutes; of an ended one at most 60 of equal times, the worst of each, without what CDRs do not keep"`
}

// qualityOperations registers what shows quality over time.
func (s *Server) qualityOperations(a huma.API) {
	huma.Register(a, operation("get-call-quality", http.MethodGet, "/v1/calls/{id}/quality", "How a call's sound travels, over time", 0), s.callQuality)
	huma.Register(a, operation("get-room-quality", http.MethodGet, "/v1/rooms/{room}/quality", "How the sound of everybody in an open room travels, over time", 0), s.roomQuality)
}

func (s *Server) callQuality(ctx context.Context, in *Named) (*one[callQuality], error) {
	if c, ok := s.exchange.Live(in.ID); ok {
		return qualityOf(c.Record(), c.QualityHistory()), nil
	}
	cdr, err := s.ended(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	var points []media.QualityPoint
	if cdr.Trend != nil {
		points = cdr.Trend.Points()
	}
	return qualityOf(cdr.CallRecord, points), nil
}

// qualityOf is the answer; items is never null.
func qualityOf(c bridge.CallRecord, points []media.QualityPoint) *one[callQuality] {
	if points == nil {
		points = []media.QualityPoint{}
	}
	return &one[callQuality]{Body: callQuality{c.ID, c.Quality, points}}
}

// ended finds the CDR of a call that has just ended, or in the store.
func (s *Server) ended(ctx context.Context, id string) (bridge.CDR, error) {
	for _, c := range s.recent.all(s.backlog, time.Now()) {
		if c.ID == id {
			return c.CDR, nil
		}
	}
	cdr, err := s.store.CDR(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return bridge.CDR{}, notFound("call", id)
	}
	if err != nil {
		return bridge.CDR{}, s.storeAway(ctx, err)
	}
	return cdr, nil
}

func (s *Server) roomQuality(_ context.Context, in *RoomInput) (*listOutput[bridge.ParticipantQuality], error) {
	items, ok := s.exchange.RoomQuality(in.Room)
	if !ok {
		return nil, notFound("open room", in.Room)
	}
	return listed(items, ""), nil
}
