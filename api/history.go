package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/store"
)

// listCDRsInput is GET /v1/cdrs.
type listCDRsInput struct {
	Paging
	Room      string    `query:"room" maxLength:"64"`
	Trunk     string    `query:"trunk" maxLength:"63"`
	From      string    `query:"from" maxLength:"256"`
	To        string    `query:"to" maxLength:"256"`
	Direction string    `query:"direction" enum:"inbound,outbound"`
	Cause     string    `query:"cause" maxLength:"64"`
	ParentID  string    `query:"parent_id" maxLength:"64"`
	Since     time.Time `query:"since" doc:"created at or after this time"`
	Until     time.Time `query:"until" doc:"created before this time"`
}

// listRefusedInput is GET /v1/refused.
type listRefusedInput struct {
	Paging
	From  string    `query:"from" maxLength:"256"`
	To    string    `query:"to" maxLength:"256"`
	Cause string    `query:"cause" maxLength:"64"`
	Since time.Time `query:"since" doc:"at or after this time"`
	Until time.Time `query:"until" doc:"before this time"`
}

// historyOperations registers what can only be read. There is nothing yet that
// could stand in /v1/escalations and /v1/recordings, so these do not exist: an
// empty list would say that no call was escalated or recorded, which is true,
// and that one could be, which is not.
func (s *Server) historyOperations(a huma.API) {
	huma.Register(a, operation("list-cdrs", http.MethodGet, "/v1/cdrs", "Call records, newest first", 0), s.listCDRs)
	huma.Register(a, operation("list-refused", http.MethodGet, "/v1/refused", "Refused INVITEs and why, newest first", 0), s.listRefused)
}

func (s *Server) listCDRs(ctx context.Context, in *listCDRsInput) (*listOutput[bridge.CDR], error) {
	items, next, err := s.store.CDRs(ctx, store.CDRFilter{
		Room: in.Room, Trunk: in.Trunk, From: in.From, To: in.To, Direction: in.Direction,
		Cause: in.Cause, ParentID: in.ParentID, Since: in.Since, Until: in.Until,
	}, store.Page{Limit: in.Limit, Cursor: in.Cursor})
	if err != nil {
		return nil, s.storeAway(ctx, err)
	}
	return listed(items, next), nil
}

func (s *Server) listRefused(ctx context.Context, in *listRefusedInput) (*listOutput[bridge.Refusal], error) {
	items, next, err := s.store.Refusals(ctx, store.RefusalFilter{
		From: in.From, To: in.To, Cause: in.Cause, Since: in.Since, Until: in.Until,
	}, store.Page{Limit: in.Limit, Cursor: in.Cursor})
	if err != nil {
		return nil, s.storeAway(ctx, err)
	}
	return listed(items, next), nil
}
