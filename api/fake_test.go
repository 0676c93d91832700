package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/room"
	"github.com/roomline/roomline/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const adminKey = "test-admin-key"

// fakeExchange counts what is asked of it.
type fakeExchange struct {
	fakeQueues
	mu      sync.Mutex // of what follows
	dials   []bridge.DialRequest
	dial    func(bridge.DialRequest) (bridge.CallRecord, error)
	calls   map[string]*fakeCall
	rooms   []bridge.RoomRecord
	quality map[string][]bridge.ParticipantQuality
	subs    func(after string) Subscription
	nextID  int
	agents  []bridge.AgentSpec // that were sent into rooms
	removed []string           // from rooms, as room/participant
	err     error              // of the two
}

func (x *fakeExchange) Dial(_ context.Context, r bridge.DialRequest) (bridge.CallRecord, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.dials = append(x.dials, r)
	if x.dial != nil {
		return x.dial(r)
	}
	x.nextID++
	c := &fakeCall{record: bridge.CallRecord{ID: fmt.Sprintf("call_%04d", x.nextID), State: bridge.StateQueued,
		Direction: bridge.Outbound, To: r.To, From: r.From, Room: r.Room, CreatedAt: time.Now().UTC()}}
	x.putLocked(c)
	return c.record, nil
}

func (x *fakeExchange) putLocked(c *fakeCall) {
	if x.calls == nil {
		x.calls = map[string]*fakeCall{}
	}
	x.calls[c.record.ID] = c
}

func (x *fakeExchange) put(c *fakeCall) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.putLocked(c)
}

func (x *fakeExchange) dialled() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.dials)
}

func (x *fakeExchange) Live(id string) (LiveCall, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	c, ok := x.calls[id]
	return c, ok
}

func (x *fakeExchange) Calls() []bridge.CallRecord {
	x.mu.Lock()
	defer x.mu.Unlock()
	var out []bridge.CallRecord
	for _, c := range x.calls {
		out = append(out, c.Record())
	}
	return out
}

func (x *fakeExchange) Rooms() []bridge.RoomRecord { return x.rooms }

func (x *fakeExchange) RoomRecord(name string) (bridge.RoomRecord, bool) {
	i := slices.IndexFunc(x.rooms, func(r bridge.RoomRecord) bool { return r.Name == name })
	if i < 0 {
		return bridge.RoomRecord{}, false
	}
	return x.rooms[i], true
}

func (x *fakeExchange) RoomQuality(name string) ([]bridge.ParticipantQuality, bool) {
	q, ok := x.quality[name]
	return q, ok
}

func (x *fakeExchange) SendAgent(_ context.Context, spec bridge.AgentSpec) (bridge.ParticipantRecord, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.agents = append(x.agents, spec)
	return bridge.ParticipantRecord{ID: "p_1", Identity: spec.Agent, Kind: bridge.KindAgent}, x.err
}

func (x *fakeExchange) ChangeSeat(room, id string, c bridge.SeatChange) (bridge.ParticipantRecord, error) {
	if id != "p_1" {
		return bridge.ParticipantRecord{}, &bridge.Error{Code: bridge.NotFound, Message: "nobody has that id"}
	}
	rec := bridge.ParticipantRecord{ID: id, HeardBy: "all"}
	if c.HeardBy != nil {
		rec.HeardBy = *c.HeardBy
	}
	rec.Muted = c.Muted != nil && *c.Muted
	return rec, nil
}

func (x *fakeExchange) RemoveAgent(room, participant string) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.removed = append(x.removed, room+"/"+participant)
	return x.err
}

func (x *fakeExchange) Subscribe(after string) Subscription { return x.subs(after) }

// fakeCall remembers what was done to it.
type fakeCall struct {
	mu     sync.Mutex
	record bridge.CallRecord
	points []media.QualityPoint
	said   []bridge.Utterance
	done   []string
	err    error
}

func (c *fakeCall) note(format string, args ...any) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done = append(c.done, fmt.Sprintf(format, args...))
	return c.err
}

func (c *fakeCall) Record() bridge.CallRecord {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.record
}
func (c *fakeCall) QualityHistory() []media.QualityPoint { return c.points }
func (c *fakeCall) Done() <-chan struct{}                { return nil }
func (c *fakeCall) Heard() []bridge.HeardSpan            { return nil }
func (c *fakeCall) Transcript() []bridge.Utterance       { return c.said }
func (c *fakeCall) Hangup(cause bridge.Cause, _ string)  { c.note("hangup %s", cause) }
func (c *fakeCall) SendDigits(_ context.Context, digits string) error {
	return c.note("digits %s", digits)
}
func (c *fakeCall) Hold(_ context.Context, on bool) error { return c.note("hold %t", on) }
func (c *fakeCall) AnswerTransfer(_ context.Context, who, answer string) error {
	return c.note("%s by=%s", answer, who)
}
func (c *fakeCall) Mute(on bool) error { return c.note("mute %t", on) }
func (c *fakeCall) Transfer(_ context.Context, r bridge.TransferRequest) error {
	more := ""
	if r.Agent != "" {
		more += " agent=" + r.Agent
	}
	if r.Queue != "" {
		more += " queue=" + r.Queue
	}
	if r.Handover != nil && r.Handover.Data != nil {
		more += " data=" + string(r.Handover.Data)
	}
	return c.note("%s to=%s room=%s%s", map[bool]string{false: "transfer", true: "refer"}[r.Refer], r.To, r.Room, more)
}

// fakeStore keeps everything in memory; away makes every call fail.
type fakeStore struct {
	mu       sync.Mutex
	away     error
	cdrs     []bridge.CDR // newest first
	refusals []bridge.Refusal
	events   []bridge.Event
	plan     dialplan.Plan
	keys     map[string]store.Key // by secret
	hooks    map[string]store.Webhook
	requests map[string]store.Request
	lookups  int
	changes  int

	claims func(limit int) []store.Delivery
	dones  chan store.Delivery
	fails  chan failedDelivery
}

type failedDelivery struct {
	store.Delivery
	retryAt time.Time
	most    int
	reason  string
}

var errAway = errors.New("connection refused")

func (f *fakeStore) setAway(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.away = err
}

func (f *fakeStore) lock() error { f.mu.Lock(); return f.away }

func (f *fakeStore) Ping(context.Context) error { defer f.mu.Unlock(); return f.lock() }

func (f *fakeStore) CDR(_ context.Context, id string) (bridge.CDR, error) {
	defer f.mu.Unlock()
	if err := f.lock(); err != nil {
		return bridge.CDR{}, err
	}
	for _, c := range f.cdrs {
		if c.ID == id {
			return c, nil
		}
	}
	return bridge.CDR{}, store.ErrNotFound
}

func (f *fakeStore) CDRs(_ context.Context, flt store.CDRFilter, page store.Page) ([]bridge.CDR, string, error) {
	defer f.mu.Unlock()
	if err := f.lock(); err != nil {
		return nil, "", err
	}
	var out []bridge.CDR
	for _, c := range f.cdrs {
		if (page.Cursor != "" && c.ID >= page.Cursor) || (flt.Room != "" && c.Room != flt.Room) ||
			(flt.From != "" && c.From != flt.From) || (flt.To != "" && c.To != flt.To) {
			continue
		}
		if len(out) == page.Limit {
			return out, out[len(out)-1].ID, nil
		}
		out = append(out, c)
	}
	return out, "", nil
}

func (f *fakeStore) Refusals(context.Context, store.RefusalFilter, store.Page) ([]bridge.Refusal, string, error) {
	defer f.mu.Unlock()
	return f.refusals, "", f.lock()
}

func (f *fakeStore) Events(_ context.Context, after string, limit int) ([]bridge.Event, error) {
	defer f.mu.Unlock()
	if err := f.lock(); err != nil {
		return nil, err
	}
	var out []bridge.Event
	for _, e := range f.events {
		if e.ID > after && len(out) < limit {
			out = append(out, e)
		}
	}
	return out, nil
}

func (f *fakeStore) CallEvents(_ context.Context, callID string, _ store.Page) (out []bridge.Event, _ string, _ error) {
	defer f.mu.Unlock()
	if err := f.lock(); err != nil {
		return nil, "", err
	}
	for _, e := range f.events {
		if e.CallID == callID {
			out = append(out, e)
		}
	}
	return out, "", nil
}

func (f *fakeStore) addEvents(events ...bridge.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = append(f.events, events...)
}

func (f *fakeStore) LoadPlan(context.Context) (*dialplan.Plan, error) {
	defer f.mu.Unlock()
	if err := f.lock(); err != nil {
		return nil, err
	}
	p := clonePlan(f.plan)
	return &p, nil
}

func clonePlan(p dialplan.Plan) dialplan.Plan {
	text, _ := json.Marshal(p)
	var out dialplan.Plan
	json.Unmarshal(text, &out)
	return out
}

func (f *fakeStore) ChangePlan(_ context.Context, change func(*dialplan.Plan) error) error {
	defer f.mu.Unlock()
	if err := f.lock(); err != nil {
		return err
	}
	p := clonePlan(f.plan)
	if err := change(&p); err != nil {
		return err
	}
	if problems := p.Check(); len(problems) > 0 {
		return dialplan.Problems(problems)
	}
	f.plan = p
	f.changes++
	return nil
}

func (f *fakeStore) KeyOf(_ context.Context, secret string) (store.Key, error) {
	defer f.mu.Unlock()
	if err := f.lock(); err != nil {
		return store.Key{}, err
	}
	f.lookups++
	if k, ok := f.keys[secret]; ok && k.RevokedAt == nil {
		return k, nil
	}
	return store.Key{}, store.ErrNotFound
}

func (f *fakeStore) CreateKey(_ context.Context, name string, admin bool) (store.Key, string, error) {
	defer f.mu.Unlock()
	if err := f.lock(); err != nil {
		return store.Key{}, "", err
	}
	k := store.Key{ID: bridge.NewID("key"), Name: name, Admin: admin, CreatedAt: time.Now().UTC()}
	secret := "rl_" + k.ID
	if f.keys == nil {
		f.keys = map[string]store.Key{}
	}
	f.keys[secret] = k
	return k, secret, nil
}

func (f *fakeStore) Key(_ context.Context, id string) (store.Key, error) {
	defer f.mu.Unlock()
	if err := f.lock(); err != nil {
		return store.Key{}, err
	}
	for _, k := range f.keys {
		if k.ID == id {
			return k, nil
		}
	}
	return store.Key{}, store.ErrNotFound
}

func (f *fakeStore) Keys(context.Context, store.Page) ([]store.Key, string, error) {
	defer f.mu.Unlock()
	return slices.Collect(maps.Values(f.keys)), "", f.lock()
}

func (f *fakeStore) RevokeKey(_ context.Context, id string) error {
	defer f.mu.Unlock()
	if err := f.lock(); err != nil {
		return err
	}
	for secret, k := range f.keys {
		if k.ID == id {
			now := time.Now()
			k.RevokedAt = &now
			f.keys[secret] = k
			return nil
		}
	}
	return store.ErrNotFound
}

func (f *fakeStore) PutWebhook(_ context.Context, w store.Webhook) (store.Webhook, error) {
	defer f.mu.Unlock()
	if err := f.lock(); err != nil {
		return w, err
	}
	if w.ID == "" {
		w.ID = bridge.NewID("wh")
	}
	if f.hooks == nil {
		f.hooks = map[string]store.Webhook{}
	}
	f.hooks[w.ID] = w
	return w, nil
}

func (f *fakeStore) Webhook(_ context.Context, id string) (store.Webhook, error) {
	defer f.mu.Unlock()
	if err := f.lock(); err != nil {
		return store.Webhook{}, err
	}
	if w, ok := f.hooks[id]; ok {
		return w, nil
	}
	return store.Webhook{}, store.ErrNotFound
}

func (f *fakeStore) Webhooks(context.Context, store.Page) ([]store.Webhook, string, error) {
	defer f.mu.Unlock()
	return slices.Collect(maps.Values(f.hooks)), "", f.lock()
}

func (f *fakeStore) DeleteWebhook(_ context.Context, id string) error {
	defer f.mu.Unlock()
	if err := f.lock(); err != nil {
		return err
	}
	if _, ok := f.hooks[id]; !ok {
		return store.ErrNotFound
	}
	delete(f.hooks, id)
	return nil
}

func (f *fakeStore) Deliveries(context.Context, string, string, store.Page) ([]store.Delivery, string, error) {
	return nil, "", nil
}

func (f *fakeStore) ClaimDeliveries(_ context.Context, _ time.Time, _ time.Duration, limit int) ([]store.Delivery, error) {
	if f.claims == nil {
		return nil, nil
	}
	return f.claims(limit), nil
}

func (f *fakeStore) DeliveryDone(_ context.Context, d store.Delivery) error { f.dones <- d; return nil }

func (f *fakeStore) DeliveryFailed(_ context.Context, d store.Delivery, retryAt time.Time, most int, reason string) (bool, error) {
	f.fails <- failedDelivery{d, retryAt, most, reason}
	return most == 1, nil
}

func (f *fakeStore) ClaimRequest(_ context.Context, scope, key, hash string, now time.Time) (store.Request, bool, error) {
	defer f.mu.Unlock()
	if err := f.lock(); err != nil {
		return store.Request{}, false, err
	}
	if f.requests == nil {
		f.requests = map[string]store.Request{}
	}
	if r, ok := f.requests[scope+"/"+key]; ok {
		if r.Hash != hash {
			return r, false, store.ErrConflict
		}
		return r, false, nil
	}
	r := store.Request{Scope: scope, Key: key, Hash: hash, StartedAt: now}
	f.requests[scope+"/"+key] = r
	return r, true, nil
}

func (f *fakeStore) FinishRequest(_ context.Context, scope, key string, status int, body []byte) error {
	defer f.mu.Unlock()
	if err := f.lock(); err != nil {
		return err
	}
	r := f.requests[scope+"/"+key]
	r.Done, r.Status, r.Body = true, status, slices.Clone(body)
	f.requests[scope+"/"+key] = r
	return nil
}

func (f *fakeStore) ReleaseRequest(_ context.Context, scope, key string) error {
	defer f.mu.Unlock()
	if err := f.lock(); err != nil {
		return err
	}
	delete(f.requests, scope+"/"+key)
	return nil
}

// house is an API with fakes around it.
type house struct {
	*Server
	exchange *fakeExchange
	store    *fakeStore
	logged   *lockedBuffer
	tokens   *room.Keys
	changed  []*dialplan.Plan
}

// lockedBuffer takes log lines from many goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}
func (l *lockedBuffer) String() string { l.mu.Lock(); defer l.mu.Unlock(); return l.b.String() }

func newHouse(t testing.TB, adjust ...func(*Config)) *house {
	t.Helper()
	tokens, err := room.NewKeys(room.Key{ID: "test", Secret: bytes.Repeat([]byte{7}, 32)})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{tokens: tokens, exchange: &fakeExchange{}, store: &fakeStore{dones: make(chan store.Delivery, 100), fails: make(chan failedDelivery, 100)}, logged: &lockedBuffer{}}
	c := Config{
		Exchange: h.exchange, Store: h.store, AdminKey: adminKey,
		Plan:        func() *dialplan.Plan { p := clonePlan(h.store.plan); return &p },
		PlanChanged: func(p *dialplan.Plan) { h.changed = append(h.changed, p) },
		Tokens:      tokens,
		Version:     "test", Log: debugLog(h.logged),
	}
	for _, f := range adjust {
		f(&c)
	}
	h.Server = New(c)
	return h
}

// answer is what came back.
type answer struct {
	t      testing.TB
	status int
	header http.Header
	body   string
}

// ask makes a request with the admin key; headers are "Name: value".
func (h *house) ask(t testing.TB, method, path, body string, headers ...string) answer {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+adminKey)
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
		if value == "" {
			r.Header.Del(name)
		}
	}
	w := httptest.NewRecorder()
	h.Handler().ServeHTTP(w, r)
	text, _ := io.ReadAll(w.Body)
	return answer{t, w.Code, w.Header(), string(text)}
}

// is fails unless the status is as expected.
func (a answer) is(status int) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("status %d, expected %d; body %s", a.status, status, a.body)
	}
	return a
}

// says fails unless the answer is a problem located there with these words.
func (a answer) says(location, words string) answer {
	a.t.Helper()
	if ct := a.header.Get("Content-Type"); ct != "application/problem+json" {
		a.t.Fatalf("content type %q, expected a problem; body %s", ct, a.body)
	}
	var p struct {
		Status int
		Title  string
		Detail string
		Errors []struct{ Location, Message string }
	}
	if err := json.Unmarshal([]byte(a.body), &p); err != nil {
		a.t.Fatal(err)
	}
	if p.Status != a.status || p.Title == "" || p.Detail == "" {
		a.t.Fatalf("a problem needs status, title and detail: %s", a.body)
	}
	if !strings.Contains(a.body, words) {
		a.t.Fatalf("expected %q in %s", words, a.body)
	}
	for _, e := range p.Errors {
		if e.Location == location {
			return a
		}
	}
	if location != "" {
		a.t.Fatalf("expected an error at %q in %s", location, a.body)
	}
	return a
}

// into reads the JSON body.
func into[T any](a answer) (out T) {
	a.t.Helper()
	if err := json.Unmarshal([]byte(a.body), &out); err != nil {
		a.t.Fatalf("%v in %s", err, a.body)
	}
	return out
}
