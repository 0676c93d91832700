package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomline/roomline/bridge"
)

// theEvent is the nth event; ids sort by n.
func theEvent(n int) bridge.Event {
	return bridge.Event{ID: fmt.Sprintf("%016x", n), Type: "call.created", Time: time.Unix(int64(n), 0).UTC()}
}

func theEvents(from, to int) (out []bridge.Event) {
	for n := from; n <= to; n++ {
		out = append(out, theEvent(n))
	}
	return out
}

// fakeHub is a ring of the newest events with one subscriber channel each.
type fakeHub struct {
	mu       sync.Mutex
	ring     []bridge.Event
	complete bool
	arrived  chan chan bridge.Event
	closed   int
}

func (f *fakeHub) subscribe(after string) Subscription {
	f.mu.Lock()
	defer f.mu.Unlock()
	ch := make(chan bridge.Event, 16)
	f.arrived <- ch
	var backlog []bridge.Event
	for _, e := range f.ring {
		if after != "" && e.ID > after {
			backlog = append(backlog, e)
		}
	}
	return Subscription{Events: ch, Backlog: backlog, Complete: f.complete || after == "",
		Close: func() { f.mu.Lock(); f.closed++; f.mu.Unlock() }}
}

// subscribed waits for the next stream.
func (f *fakeHub) subscribed(t *testing.T) chan bridge.Event {
	t.Helper()
	select {
	case ch := <-f.arrived:
		return ch
	case <-time.After(10 * time.Second):
		t.Fatal("nobody subscribed")
		return nil
	}
}

// listen serves a house on loopback until the test ends.
func (h *house) listen(t *testing.T) (url string, stop func()) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := Serve(ctx, ln, nil, h.Handler(), debugLog(h.logged)); err != nil {
			t.Error(err)
		}
	})
	stop = sync.OnceFunc(func() { cancel(); wg.Wait(); http.DefaultClient.CloseIdleConnections() })
	t.Cleanup(stop)
	return "http://" + ln.Addr().String(), stop
}

// message is one server-sent event.
type message struct{ name, id, data string }

// tail opens the stream and returns a reader of its messages.
func tail(t *testing.T, url, after string) (next func() (message, bool), closeIt func()) {
	t.Helper()
	req, _ := http.NewRequest("GET", url+"/v1/events", nil)
	req.Header.Set("Authorization", "Bearer "+adminKey)
	if after != "" {
		req.Header.Set("Last-Event-ID", after)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("status %d, %s", resp.StatusCode, resp.Header.Get("Content-Type"))
	}
	lines := bufio.NewScanner(resp.Body)
	return func() (m message, ok bool) {
		for lines.Scan() {
			field, value, _ := strings.Cut(lines.Text(), ": ")
			switch field {
			case "id":
				m.id = value
			case "event":
				m.name = value
			case "data":
				m.data = value
			case "":
				if m.data != "" {
					return m, true
				}
			}
		}
		return m, false
	}, func() { resp.Body.Close() }
}

func TestEventsResumeWithoutLoss(t *testing.T) {
	for name, tt := range map[string]struct {
		after, stored, ringFrom, ringTo int
		complete                        bool
	}{
		"all in memory":                       {after: 10, stored: 5, ringFrom: 1, ringTo: 20, complete: true},
		"older in the store":                  {after: 10, stored: 1500, ringFrom: 1400, ringTo: 1600},
		"a full page ends at the ring":        {after: 0x10, stored: 0x10 + eventPage, ringFrom: 0x10 + eventPage, ringTo: 0x10 + eventPage + 3},
		"memory is empty after a restart":     {after: 10, stored: 40, ringFrom: 1, ringTo: 0},
		"nothing was missed after a restart":  {after: 40, stored: 40, ringFrom: 1, ringTo: 0},
		"the store has all that is in memory": {after: 10, stored: 60, ringFrom: 50, ringTo: 60},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			hub := &fakeHub{arrived: make(chan chan bridge.Event, 10), ring: theEvents(tt.ringFrom, tt.ringTo), complete: tt.complete}
			h.exchange.subs = hub.subscribe
			h.store.addEvents(theEvents(1, tt.stored)...)
			url, _ := h.listen(t)
			next, closeIt := tail(t, url, theEvent(tt.after).ID)
			defer closeIt()
			live := hub.subscribed(t)
			newest := max(tt.stored, tt.ringTo)
			go func() { // two more happen live, and reach the store only later
				live <- theEvent(newest + 1)
				live <- theEvent(newest + 2)
				h.store.addEvents(theEvents(newest+1, newest+2)...)
			}()
			for n := tt.after + 1; n <= newest+2; n++ {
				m, ok := next()
				if !ok || m.id != theEvent(n).ID || m.name != "" {
					t.Fatalf("event %x: got %+v (%t)", n, m, ok)
				}
				var e bridge.Event
				if err := json.Unmarshal([]byte(m.data), &e); err != nil || e.ID != m.id || e.Type != "call.created" {
					t.Fatalf("data %q: %v", m.data, err)
				}
			}
		})
	}
}

// Events that wait on disk while the client comes back are waited for.
func TestEventsWaitForAStoreThatIsBehind(t *testing.T) {
	h := newHouse(t)
	hub := &fakeHub{arrived: make(chan chan bridge.Event, 10), ring: theEvents(50, 60)}
	h.exchange.subs = hub.subscribe
	h.store.addEvents(theEvents(1, 20)...)
	url, _ := h.listen(t)
	next, closeIt := tail(t, url, theEvent(10).ID)
	defer closeIt()
	for n := 11; n <= 60; n++ {
		if n == 21 { // the client has all that the store had; now the rest arrives
			h.store.addEvents(theEvents(21, 55)...)
		}
		if m, ok := next(); !ok || m.id != theEvent(n).ID {
			t.Fatalf("event %d: got %+v (%t)", n, m, ok)
		}
	}
}

func TestEventsTellAGapWhenTheStoreStaysAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		hub := &fakeHub{arrived: make(chan chan bridge.Event, 10), ring: theEvents(50, 51)}
		h.exchange.subs = hub.subscribe
		h.store.setAway(errAway)
		ctx, cancel := context.WithTimeout(t.Context(), catchUpMost+heartbeat+time.Second)
		defer cancel()
		r := httptest.NewRequestWithContext(ctx, "GET", "/v1/events", nil)
		r.Header.Set("Authorization", "Bearer "+adminKey)
		r.Header.Set("Last-Event-ID", theEvent(10).ID)
		w := httptest.NewRecorder()
		h.Handler().ServeHTTP(w, r)
		want := []string{"retry: 1000", "event: gap", theEvent(10).ID, theEvent(50).ID, "id: " + theEvent(50).ID, "id: " + theEvent(51).ID, ": still here"}
		body := w.Body.String()
		for _, words := range want {
			i := strings.Index(body, words)
			if i < 0 {
				t.Fatalf("expected %q next in %q of %q", words, body, w.Body.String())
			}
			body = body[i:]
		}
	})
}

func TestSlowReaderIsToldAndResumes(t *testing.T) {
	h := newHouse(t)
	hub := &fakeHub{arrived: make(chan chan bridge.Event, 10)}
	h.exchange.subs = hub.subscribe
	url, _ := h.listen(t)
	next, closeIt := tail(t, url, "")
	defer closeIt()
	live := hub.subscribed(t)
	live <- theEvent(1)
	close(live) // the hub gave up on this reader
	if m, _ := next(); m.id != theEvent(1).ID {
		t.Fatalf("got %+v", m)
	}
	m, ok := next()
	if !ok || m.name != "end" || !strings.Contains(m.data, "too slow") || !strings.Contains(m.data, "Last-Event-ID") {
		t.Fatalf("got %+v", m)
	}
	if m, ok := next(); ok {
		t.Fatalf("the stream went on: %+v", m)
	}
}

func TestStreamsEndWhenTheGatewayStops(t *testing.T) {
	h := newHouse(t)
	hub := &fakeHub{arrived: make(chan chan bridge.Event, 10)}
	h.exchange.subs = hub.subscribe
	url, stop := h.listen(t)
	next, closeIt := tail(t, url, "")
	defer closeIt()
	hub.subscribed(t)
	start := time.Now()
	stop()
	if m, _ := next(); m.name != "end" || !strings.Contains(m.data, "stopping") {
		t.Fatalf("got %+v", m)
	}
	if took := time.Since(start); took > drainTime {
		t.Fatalf("stopping took %s", took)
	}
	if hub.closed != 1 {
		t.Fatal("the subscription stayed open")
	}
}

func TestEventsRefuseWrongIDs(t *testing.T) {
	h := newHouse(t)
	for _, id := range []string{"1", "xyz", strings.Repeat("f", 17), "000000000000000G"} {
		h.ask(t, "GET", "/v1/events", "", "Last-Event-ID: "+id).is(422).says("header.Last-Event-ID", "id of an event")
	}
	h.ask(t, "GET", "/v1/events?token=x", "").is(422).says("query.token", "not a parameter")
}

func TestEventsFromTheRealHub(t *testing.T) {
	x := &bridge.Exchange{}
	real := Bridge(x)
	h := newHouse(t)
	h.exchange.subs = real.Subscribe
	url, _ := h.listen(t)
	next, closeIt := tail(t, url, "")
	defer closeIt()
	room, err := x.OpenRoom("lobby")
	if err != nil {
		t.Fatal(err)
	}
	var joined []*bridge.Participant
	for i := range 3 {
		p, err := room.Join(bridge.JoinSpec{Identity: fmt.Sprint("p", i), Kind: "browser", Role: bridge.RoleGuest})
		if err != nil {
			t.Fatal(err)
		}
		joined = append(joined, p)
	}
	var types []string
	var first string
	for range 4 {
		m, _ := next()
		var e bridge.Event
		json.Unmarshal([]byte(m.data), &e)
		types = append(types, e.Type)
		if first == "" {
			first = e.ID
		}
	}
	if want := []string{"room.opened", "participant.joined", "participant.joined", "participant.joined"}; !slices.Equal(types, want) {
		t.Fatalf("saw %v", types)
	}
	again, closeAgain := tail(t, url, first)
	defer closeAgain()
	for range 3 {
		if m, ok := again(); !ok || m.id <= first {
			t.Fatalf("resumed with %+v", m)
		}
	}
	for _, p := range joined {
		p.Leave()
	}
}
