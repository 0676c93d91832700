package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/roomline/roomline/web/chromium"
)

// line is the queue desk, as the API has it.
type line struct {
	mu       sync.Mutex
	calls    []message
	watchers map[chan struct{}]string
	said     []string // what people did
}

func (g *gateway) serveQueue() *line {
	q := &line{watchers: map[chan struct{}]string{}}
	keyed := func(pattern string, h http.HandlerFunc) {
		g.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer secret" {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			h(w, r)
		})
	}
	keyed("GET /v1/queues/desk/calls", func(w http.ResponseWriter, _ *http.Request) {
		q.mu.Lock()
		defer q.mu.Unlock()
		json.NewEncoder(w).Encode(message{"items": append([]message{}, q.calls...)})
	})
	keyed("GET /v1/queues/desk/events", q.watch)
	keyed("POST /v1/queues/desk/calls/{id}/{answer}", func(w http.ResponseWriter, r *http.Request) {
		var m message
		json.NewDecoder(r.Body).Decode(&m)
		q.mu.Lock()
		defer q.mu.Unlock()
		q.said = append(q.said, fmt.Sprintf("%s %s %s", m["identity"], r.PathValue("answer"), r.PathValue("id")))
		switch {
		case r.PathValue("id") == "call_lost":
			w.WriteHeader(http.StatusConflict)
			json.NewEncoder(w).Encode(message{"detail": "Bob has accepted call call_lost"})
		case r.PathValue("answer") == "accept":
			json.NewEncoder(w).Encode(message{"call_id": r.PathValue("id"), "room": "lobby", "token": ticket("dispatcher", time.Now().Add(time.Hour))})
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	})
	return q
}

func (q *line) watch(w http.ResponseWriter, r *http.Request) {
	changed := make(chan struct{}, 16)
	q.mu.Lock()
	q.watchers[changed] = r.URL.RawQuery
	q.mu.Unlock()
	defer func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		delete(q.watchers, changed)
	}()
	for {
		fmt.Fprint(w, "event: changed\ndata: {}\n\n")
		http.NewResponseController(w).Flush()
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		}
	}
}

// holds says who waits now.
func (q *line) holds(calls ...message) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.calls = calls
	for ch := range q.watchers {
		ch <- struct{}{}
	}
}

func (q *line) watched() (by []string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, query := range q.watchers {
		by = append(by, query)
	}
	return by
}

func (q *line) did() string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return strings.Join(q.said, ", ")
}

func waits(id, from string, more message) message {
	m := message{"call": message{"id": id, "direction": "inbound", "from": from, "to": "112"}, "position": 1, "waited_ms": 65000, "room": "lobby"}
	for k, v := range more {
		m[k] = v
	}
	return m
}

func TestTheQueuePage(t *testing.T) {
	g, p := newGateway(t), chromium.Start(t, chromium.FakeMicrophone())
	q := g.serveQueue()
	p.Open(t, g.URL+"/queues/desk#wrong")
	p.Do(t, chromedp.SetValue(chromium.At("who"), "Ann"))
	p.Click(t, "open")
	p.Sees(t, "problem", "does not know this key")
	p.Open(t, g.URL+"/queues/desk#secret")
	p.Do(t, chromedp.SetValue(chromium.At("who"), "Ann"))
	p.Click(t, "open")
	p.Sees(t, "standing", "Callers can reach you")
	p.Sees(t, "waiting", "Nobody waits")
	if by := q.watched(); len(by) != 1 || by[0] != "identity=Ann&available=true" {
		t.Errorf("looked at by %q", by)
	}
	p.Click(t, "alert")
	summary := message{"by": "triage", "summary": "Smoke in the kitchen, two people inside."}
	said := []message{{"identity": "+15551230001", "text": "There is smoke in the kitchen."}, {"identity": "triage", "text": "Is anybody hurt?"}}
	sos := waits("call_sos", "+15551230001", message{"priority": "emergency", "handover": summary, "transcript": said})
	q.holds(sos, waits("call_lost", "+15551230002", nil), waits("call_3", "", message{"accepted_by": "Bob"}))
	p.Sees(t, "waiting", "2 callers wait")
	p.Sees(t, "priority", "emergency")
	p.Sees(t, "summary", "Smoke in the kitchen")
	p.Wait(t, `/^1:0[5-9]$/.test(document.querySelector('[data-test="age"]').textContent)`)
	p.Wait(t, `document.querySelectorAll('[data-test="queued"]')[2].textContent.includes("Bob takes this call")`)

	p.Run(t, `document.querySelectorAll('[data-test="accept"]')[1].click()`)
	p.Sees(t, "problem", "Bob has accepted call call_lost")
	q.holds(sos, waits("call_4", "+15551230004", nil))
	p.Wait(t, `document.querySelectorAll('[data-test="queued"]')[1]?.textContent.includes("+15551230004")`)
	p.Run(t, `document.querySelectorAll('[data-test="decline"]')[1].click()`)
	p.Wait(t, `document.querySelectorAll('[data-test="queued"]')[1].textContent.includes("You declined")`)

	p.Click(t, "available")
	p.Sees(t, "standing", "You only look")
	if by := q.watched(); len(by) == 0 || by[len(by)-1] != "identity=Ann&available=false" && by[0] != "identity=Ann&available=false" {
		t.Errorf("looked at by %q", by)
	}
	p.Run(t, `document.activeElement.blur()`)
	p.Do(t, chromedp.KeyEvent("\r")) // the first
	s := g.seated(t)                 // without another click
	if join := s.expect(t, "join"); !strings.HasPrefix(join["token"].(string), "e30.") {
		t.Errorf("joined as %v", join)
	}
	if did := q.did(); did != "Ann accept call_lost, Ann decline call_4, Ann accept call_sos" {
		t.Errorf("people did: %s", did)
	}
}

func TestTheQueuePageIsAccessible(t *testing.T) {
	g, p := newGateway(t), chromium.Start(t)
	tools(t)
	q := g.serveQueue()
	chromium.Call(t, p, cdppage.SetBypassCSP, cdppage.SetBypassCSPParams{Enabled: true}) // axe makes markup of strings
	p.Open(t, g.URL+"/queues/desk#secret")
	judge(t, p, "queue-locked")
	p.Do(t, chromedp.SetValue(chromium.At("who"), "Ann"))
	p.Click(t, "open")
	p.Sees(t, "standing", "Callers can reach you")
	q.holds(
		waits("call_sos", "+15551230001", message{"priority": "emergency", "handover": message{"summary": "Smoke in the kitchen.", "by": "triage"},
			"transcript": []message{{"identity": "+15551230001", "text": "There is smoke in the kitchen."}}}),
		waits("call_2", "+15551230002", nil), waits("call_3", "", message{"accepted_by": "Bob"}))
	p.Sees(t, "waiting", "2 callers wait")
	p.Run(t, `document.querySelector("details").open = true; document.querySelectorAll('[data-test="decline"]')[1].click()`)
	p.Wait(t, `document.querySelectorAll('[data-test="queued"]')[1].textContent.includes("You declined")`)
	judge(t, p, "queue")
}
