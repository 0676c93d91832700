package api

import (
	"bufio"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
)

// fakeQueues is one queue, desk, in which the calls wait that a test puts there.
type fakeQueues struct {
	mu       sync.Mutex
	waiting  []bridge.QueuedCall
	declined []string
	watching int
	changed  chan struct{}
}

func (q *fakeQueues) known(queue string) error {
	if queue != "desk" {
		return &bridge.Error{Code: bridge.NotFound, Message: "there is no such queue"}
	}
	return nil
}

func (q *fakeQueues) QueueCalls(queue string) ([]bridge.QueuedCall, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.waiting, q.known(queue)
}

func (q *fakeQueues) AcceptQueued(queue, id, identity, _ string) (bridge.QueuedCall, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.known(queue); err != nil {
		return bridge.QueuedCall{}, err
	}
	for i, c := range q.waiting {
		switch {
		case id != "" && c.Call.ID != id || id == "" && c.AcceptedBy != "":
		case c.AcceptedBy != "":
			return bridge.QueuedCall{}, &bridge.Error{Code: bridge.Conflict, Message: c.AcceptedBy + " was faster"}
		default:
			q.waiting[i].AcceptedBy = identity
			return q.waiting[i], nil
		}
	}
	return bridge.QueuedCall{}, &bridge.Error{Code: bridge.NotFound, Message: "nobody waits"}
}

func (q *fakeQueues) DeclineQueued(queue, id, identity string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.declined = append(q.declined, id+" "+identity)
	return q.known(queue)
}

func (q *fakeQueues) WatchQueue(queue, _ string, available bool) (QueueWatch, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if available {
		q.watching++
	}
	return QueueWatch{Changed: q.changed, Close: func() { q.mu.Lock(); defer q.mu.Unlock(); q.watching-- }}, q.known(queue)
}

func (q *fakeQueues) Queues() []bridge.QueueRecord {
	return []bridge.QueueRecord{{Name: "desk", Waiting: 2, LongestMS: 1500, Left: map[string]uint64{"accepted": 3}}}
}

func (q *fakeQueues) line(ids ...string) {
	for i, id := range ids {
		q.waiting = append(q.waiting, bridge.QueuedCall{Call: bridge.CallRecord{ID: id}, Position: i + 1, Room: "call-" + id})
	}
}

func TestWhoAcceptsIsLetIntoTheRoom(t *testing.T) {
	h := newHouse(t)
	h.exchange.line("a", "b", "c")
	if got := into[list[bridge.QueuedCall]](h.ask(t, "GET", "/v1/queues/desk/calls", "").is(200)); len(got.Items) != 3 {
		t.Errorf("%+v", got)
	}
	got := into[acceptAnswer](h.ask(t, "POST", "/v1/queues/desk/calls/b/accept", `{"identity":"ann"}`).is(200))
	if got.CallID != "b" || got.Room != "call-b" || got.Token == "" || !strings.Contains(got.URL, "/rooms/call-b#"+got.Token) || got.Call.AcceptedBy != "ann" {
		t.Errorf("%+v", got)
	}
	if next := into[acceptAnswer](h.ask(t, "POST", "/v1/queues/desk/accept", `{"identity":"bob","name":"Bob"}`).is(200)); next.CallID != "a" {
		t.Errorf("%+v", next)
	}
	if a := h.ask(t, "POST", "/v1/queues/desk/calls/b/accept", `{"identity":"bob"}`).is(409); !strings.Contains(a.body, "ann was faster") {
		t.Errorf("%s", a.body)
	}
	h.ask(t, "POST", "/v1/queues/desk/calls/z/accept", `{"identity":"bob"}`).is(404)
	h.ask(t, "POST", "/v1/queues/desk/calls/c/accept", `{}`).is(422)
	h.ask(t, "GET", "/v1/queues/nowhere/calls", "").is(404)
	h.ask(t, "POST", "/v1/queues/desk/calls/c/decline", `{"identity":"bob"}`).is(204)
	if d := h.exchange.declined; len(d) != 1 || d[0] != "c bob" {
		t.Errorf("declined %q", d)
	}
}

func TestLookingAtAQueue(t *testing.T) {
	h := newHouse(t)
	h.exchange.changed = make(chan struct{}, 1)
	h.ask(t, "GET", "/v1/queues/desk/events?who=ann", "").is(422)
	h.ask(t, "GET", "/v1/queues/desk/events?available=perhaps", "").is(422)
	h.ask(t, "GET", "/v1/queues/nowhere/events", "").is(404)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	server := httptest.NewServer(h.Handler())
	defer server.Close()
	req, err := http.NewRequestWithContext(ctx, "GET", server.URL+"/v1/queues/desk/events?identity=ann", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+adminKey)
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	h.exchange.changed <- struct{}{}
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		if lines.Text() == `data: {"calls":0}` {
			cancel()
			return
		}
	}
	t.Error("the stream ended without a word of the change")
}

func TestQueueMetrics(t *testing.T) {
	w := httptest.NewRecorder()
	newHouse(t).MetricsHandler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, line := range []string{
		`roomline_queue_waiting{queue="desk"} 2`, `roomline_queue_longest_wait_seconds{queue="desk"} 1.5`,
		`roomline_queue_calls_total{outcome="accepted",queue="desk"} 3`,
	} {
		if !strings.Contains(w.Body.String(), line) {
			t.Errorf("no %s", line)
		}
	}
}
