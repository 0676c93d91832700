package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/store"
)

// Bounds of what is remembered in this process beside the store.
const (
	duplicateWait = 20 * time.Second // a duplicate waits this long for the first one's answer
	keptRequests  = 10_000           // answers kept while the store is away
	storePatience = 3 * time.Second  // a store that takes longer counts as away
	requestStuck  = time.Minute      // a claim older than this belongs to a gateway that died
)

// requests are those in progress in this process, and those answered while the
// store was away. Duplicates wait here for the first one's answer; the store
// guards restarts and other gateways.
type requests struct {
	mu      sync.Mutex
	pending map[requestID]*request
}

// requestID is one idempotency key of one API key.
type requestID struct{ scope, key string }

// request is one that carried a key. record and err are set before done closes.
type request struct {
	hash    string
	done    chan struct{}
	record  bridge.CallRecord
	err     error
	expires time.Time // of one that is kept
}

// join finds the request that carries the key, or makes it the caller's own.
func (q *requests) join(id requestID, hash string, now time.Time) (r *request, mine bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if r := q.pending[id]; r != nil && (r.expires.IsZero() || now.Before(r.expires)) {
		return r, false
	}
	if q.pending == nil {
		q.pending = map[requestID]*request{}
	}
	r = &request{hash: hash, done: make(chan struct{})}
	q.pending[id] = r
	return r, true
}

// leave publishes the answer. It is kept for the time that keys are remembered
// when the store could not take it.
func (q *requests) leave(id requestID, r *request, keep bool, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	close(r.done)
	if !keep {
		delete(q.pending, id)
		return
	}
	r.expires = now.Add(store.RequestTTL)
	if len(q.pending) > keptRequests {
		q.sweepLocked(now)
	}
}

// sweepLocked drops what has expired.
func (q *requests) sweepLocked(now time.Time) {
	for id, r := range q.pending {
		if !r.expires.IsZero() && now.After(r.expires) {
			delete(q.pending, id)
		}
	}
}

// once runs do for the first request with a key, and gives its answer to all
// others. An error means that nothing was done, and a later retry may try anew.
func (s *Server) once(ctx context.Context, key, hash string, do func(context.Context) (bridge.CallRecord, error)) (bridge.CallRecord, bool, error) {
	id := requestID{scope: callerOf(ctx).id, key: key}
	r, mine := s.requests.join(id, hash, time.Now())
	if !mine {
		record, err := r.answer(hash)
		return record, true, err
	}
	keep := false
	// A panic must not leave duplicates waiting; they are told to ask again.
	r.err = inProgress()
	defer func() { s.requests.leave(id, r, keep && r.err == nil, time.Now()) }()
	var replayed bool
	r.record, replayed, keep, r.err = s.claimed(ctx, id, hash, do)
	return r.record, replayed, r.err
}

// answer waits for the first request with the same key.
func (r *request) answer(hash string) (bridge.CallRecord, error) {
	if r.hash != hash {
		return bridge.CallRecord{}, otherBody()
	}
	timeout := time.NewTimer(duplicateWait)
	defer timeout.Stop()
	select {
	case <-r.done:
		return r.record, r.err
	case <-timeout.C:
		return bridge.CallRecord{}, inProgress()
	}
}

// claimed does the work under a claim in the store. keep says that the store
// does not know the answer, so that this process must remember it.
func (s *Server) claimed(ctx context.Context, id requestID, hash string, do func(context.Context) (bridge.CallRecord, error)) (record bridge.CallRecord, replayed, keep bool, err error) {
	asking, cancel := context.WithTimeout(ctx, storePatience)
	before, first, err := s.store.ClaimRequest(asking, id.scope, id.key, hash, time.Now())
	cancel()
	switch {
	case errors.Is(err, store.ErrConflict):
		return record, false, false, otherBody()
	case err != nil: // calls do not wait for the database: this process guards the key
		s.log.Warn("api: the store is away; an idempotency key is kept in memory", "error", err)
		record, err = do(ctx)
		return record, false, true, err
	case !first && before.Done:
		err = json.Unmarshal(before.Body, &record)
		return record, true, false, err
	case !first:
		return record, false, false, unfinished(before, time.Now())
	}
	record, err = do(ctx)
	if err != nil {
		if e := s.store.ReleaseRequest(ctx, id.scope, id.key); e != nil {
			s.log.Warn("api: an idempotency key could not be released", "error", e)
		}
		return record, false, false, err
	}
	text, _ := json.Marshal(record)
	if e := s.store.FinishRequest(ctx, id.scope, id.key, http.StatusCreated, text); e != nil {
		s.log.Warn("api: the answer to an idempotency key is kept in memory", "call", record.ID, "error", e)
		keep = true
	}
	return record, false, keep, nil
}

// otherBody is the answer to a key that was used for something else.
func otherBody() error {
	return problem(http.StatusUnprocessableEntity, "this Idempotency-Key was used for a different request; use a new key for a new call",
		at("header.Idempotency-Key", "was used with a different body"))
}

// inProgress is the answer to a duplicate that would have to wait too long.
func inProgress() error {
	return later(problem(http.StatusConflict, "a request with this Idempotency-Key is in progress; ask again to get its answer"), time.Second)
}

// unfinished is the answer to a claim that another gateway holds, or that one
// left behind when it died: then nobody can say whether it had dialled.
func unfinished(r store.Request, now time.Time) error {
	if now.Sub(r.StartedAt) < requestStuck {
		return inProgress()
	}
	return problem(http.StatusConflict, "the gateway stopped while it worked on this Idempotency-Key, at "+
		r.StartedAt.UTC().Format(time.RFC3339)+"; look for the call in GET /v1/calls, and use a new key if it is not there",
		at("header.Idempotency-Key", "its outcome is not known"))
}
