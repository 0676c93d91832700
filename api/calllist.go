package api

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/store"
)

// recentMost bounds the ended calls that are kept until the store has them.
const recentMost = 10_000

// recentLeast is how long an ended call is kept whatever the spool says: its CDR
// may be on its way there.
const recentLeast = 10 * time.Second

// recent holds calls that have ended and whose CDR may not be in the store yet,
// so that no call is invisible between its end and its row.
type recent struct {
	mu    sync.Mutex
	calls []recentCall // oldest first
}

// recentCall is a call that ended at a time.
type recentCall struct {
	bridge.CDR
	at time.Time
}

func (r *recent) add(c bridge.CDR, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.calls) >= recentMost {
		r.calls = slices.Delete(r.calls, 0, recentMost/10)
	}
	r.calls = append(r.calls, recentCall{c, now})
}

// all returns them, newest last, after forgetting what the store has: when
// nothing waits to be written, everything but the newest.
func (r *recent) all(waiting Backlog, now time.Time) []recentCall {
	r.mu.Lock()
	defer r.mu.Unlock()
	if waiting == nil || waiting.Backlog() == 0 {
		r.calls = slices.DeleteFunc(r.calls, func(c recentCall) bool { return now.Sub(c.at) > recentLeast })
	}
	return slices.Clone(r.calls)
}

// listCallsInput is GET /v1/calls.
type listCallsInput struct {
	Paging
	State string `query:"state" enum:"queued,dialing,ringing,early,active,held,ended"`
	Room  string `query:"room" maxLength:"64"`
	From  string `query:"from" maxLength:"256" doc:"who called, exactly"`
	To    string `query:"to" maxLength:"256" doc:"who was called, exactly"`
}

// wants reports whether a record passes the filters.
func (in *listCallsInput) wants(c bridge.CallRecord) bool {
	return (in.State == "" || in.State == string(c.State)) && (in.Room == "" || in.Room == c.Room) &&
		(in.From == "" || in.From == c.From) && (in.To == "" || in.To == c.To)
}

// Cursors name the part of the list that goes on: calls in memory after an id,
// or the store's own cursor.
const (
	memoryCursor = "live:"
	storeCursor  = "ended:"
)

// listCalls merges calls in memory with ended ones. A call that ends between
// two pages moves to the second part, so none is missed; nor is one shown twice
// on one page.
func (s *Server) listCalls(ctx context.Context, in *listCallsInput) (*listOutput[bridge.CallRecord], error) {
	memory := s.callsInMemory()
	if rest, ok := strings.CutPrefix(in.Cursor, storeCursor); ok {
		items, next, err := s.endedCalls(ctx, in, memory, rest, in.Limit)
		if err != nil {
			return nil, err
		}
		return listed(items, next), nil
	}
	after, ok := strings.CutPrefix(in.Cursor, memoryCursor)
	if !ok && in.Cursor != "" {
		return nil, invalid("query.cursor", "expected the next of a page before")
	}
	var items []bridge.CallRecord
	for _, c := range memory {
		if !in.wants(c) || (after != "" && c.ID >= after) {
			continue
		}
		if len(items) == in.Limit {
			return listed(items, memoryCursor+items[len(items)-1].ID), nil
		}
		items = append(items, c)
	}
	ended, next, err := s.endedCalls(ctx, in, memory, "", in.Limit-len(items))
	if err != nil && len(items) == 0 {
		return nil, err
	}
	if err != nil { // live calls are shown without the store; the next page says what is missing
		next = storeCursor
	}
	return listed(append(items, ended...), next), nil
}

// callsInMemory are live calls and those that have just ended, newest first.
func (s *Server) callsInMemory() []bridge.CallRecord {
	calls := s.exchange.Calls()
	live := make(map[string]bool, len(calls))
	for _, c := range calls {
		live[c.ID] = true
	}
	for _, c := range s.recent.all(s.backlog, time.Now()) {
		if !live[c.ID] {
			c.Hearing = nil
			calls = append(calls, c.CallRecord)
		}
	}
	slices.SortFunc(calls, func(a, b bridge.CallRecord) int { return cmp.Compare(b.ID, a.ID) })
	return calls
}

// endedCalls is the part of the list that the store knows, without what is in memory.
func (s *Server) endedCalls(ctx context.Context, in *listCallsInput, memory []bridge.CallRecord, cursor string, limit int) ([]bridge.CallRecord, string, error) {
	if in.State != "" && in.State != string(bridge.StateEnded) {
		return nil, "", nil
	}
	if limit == 0 {
		return nil, storeCursor + cursor, nil
	}
	filter := store.CDRFilter{Room: in.Room, From: in.From, To: in.To}
	cdrs, next, err := s.store.CDRs(ctx, filter, store.Page{Limit: limit, Cursor: cursor})
	if err != nil {
		return nil, "", s.storeAway(ctx, err)
	}
	if next != "" {
		next = storeCursor + next
	}
	var items []bridge.CallRecord
	for _, c := range cdrs {
		if !slices.ContainsFunc(memory, func(m bridge.CallRecord) bool { return m.ID == c.ID }) {
			c.Hearing = nil
			items = append(items, c.CallRecord)
		}
	}
	return items, next, nil
}

// call finds a record: live, just ended, or in the store.
func (s *Server) call(ctx context.Context, id string) (bridge.CallRecord, error) {
	if c, ok := s.exchange.Live(id); ok {
		return c.Record(), nil
	}
	cdr, err := s.ended(ctx, id)
	if err != nil {
		return bridge.CallRecord{}, err
	}
	return cdr.CallRecord, nil
}

// live finds a call that can still be steered: 409 when it has ended.
func (s *Server) live(ctx context.Context, id string) (LiveCall, error) {
	if c, ok := s.exchange.Live(id); ok {
		return c, nil
	}
	if _, err := s.call(ctx, id); err != nil {
		return nil, err
	}
	return nil, hasEnded()
}

// hasEnded is the answer to whoever steers a call too late.
func hasEnded() error { return problem(http.StatusConflict, "this call has ended") }
