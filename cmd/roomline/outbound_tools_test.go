package main

import (
	"context"
	"math"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/roomline/roomline/api/client"
	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/webrtc/whip"
	"github.com/roomline/roomline/phone"
)

// within bounds everything one test does with the network.
func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// news is the house's event stream, as a client of the API reads it.
type news struct {
	mu   sync.Mutex
	list []bridge.Event
}

// follow reads GET /v1/events for the length of the test; it returns once the
// stream is open.
func (h *house) follow() *news {
	h.t.Helper()
	n := &news{}
	cl, err := client.New(h.url(), h.adminKey)
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		cl.Events(ctx, "0000000000000000", func(e bridge.Event) error {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.list = append(n.list, e)
			return nil
		})
	}()
	h.t.Cleanup(func() { cancel(); <-done })
	return n
}

// of returns the types of the events of one call, in order.
func (n *news) of(call string) (types []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, e := range n.list {
		if e.CallID == call {
			types = append(types, e.Type)
		}
	}
	return types
}

// last returns the newest event of one call and type.
func (n *news) last(call, kind string) (bridge.Event, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, e := range slices.Backward(n.list) {
		if e.CallID == call && e.Type == kind {
			return e, true
		}
	}
	return bridge.Event{}, false
}

// dial asks the API for a call and expects it to be taken.
func (h *house) dial(body map[string]any, headers ...string) bridge.CallRecord {
	h.t.Helper()
	var rec bridge.CallRecord
	if status := h.ask("POST", "/v1/calls", body, &rec, headers...); status != http.StatusCreated {
		h.t.Fatalf("POST /v1/calls %v: status %d", body, status)
	}
	return rec
}

// call reads a call by the API.
func (h *house) call(id string) (rec bridge.CallRecord) {
	h.t.Helper()
	if status := h.ask("GET", "/v1/calls/"+id, nil, &rec); status != http.StatusOK {
		h.t.Fatalf("GET /v1/calls/%s: status %d", id, status)
	}
	return rec
}

// awaitState waits until a call is in a state.
func (h *house) awaitState(id string, want bridge.State) (rec bridge.CallRecord) {
	h.t.Helper()
	h.until("call "+id+" is "+string(want), func() bool {
		rec = h.call(id)
		return rec.State == want || rec.State == bridge.StateEnded
	})
	if rec.State != want {
		h.t.Fatalf("call %s is %s (%s %s), want %s", id, rec.State, rec.Cause, rec.Reason, want)
	}
	return rec
}

// cdr waits for the one CDR of a call in the database.
func (h *house) cdr(id string) (found bridge.CDR) {
	h.t.Helper()
	h.until("the CDR of "+id+" is written", func() bool {
		n := 0
		for cursor := ""; ; {
			var page struct {
				Items []bridge.CDR
				Next  string
			}
			h.ask("GET", "/v1/cdrs?limit=500"+cursor, nil, &page)
			for _, c := range page.Items {
				if c.ID == id {
					found, n = c, n+1
				}
			}
			if page.Next == "" {
				break
			}
			cursor = "&cursor=" + page.Next
		}
		if n > 1 {
			h.t.Fatalf("%d CDRs of call %s", n, id)
		}
		return n == 1
	})
	return found
}

// guestIn is somebody in a room by WHIP and WHEP, as one Person.
type guestIn struct {
	*phone.Ear
	*phone.Mouth
	heard, said *whip.Client
}

// enter lets a guest into a room for the length of the test.
func (h *house) enter(room, identity string) *guestIn {
	h.t.Helper()
	token, _ := h.token(room, identity, bridge.RoleGuest)
	base := h.url() + "/v1/rooms/" + room
	ctx := within(h.t, 20*time.Second)
	g := &guestIn{Ear: phone.NewEar(5 * time.Minute)}
	var err error
	if g.heard, err = whip.Listen(ctx, base+"/whep", token, g.Ear.Packet); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { g.heard.Close(); g.Ear.Close() })
	if g.said, err = whip.Publish(ctx, base+"/whip", token); err != nil {
		h.t.Fatal(err)
	}
	g.Mouth = phone.NewMouth(phone.Track(g.said, media.Opus))
	quiet, done := make(chan struct{}), make(chan struct{})
	go func() { defer close(done); g.Mouth.Run(quiet) }()
	h.t.Cleanup(func() { close(quiet); <-done; g.said.Close() })
	return g
}

// softphone opens a phone for the length of the test.
func softphone(t *testing.T, c phone.Config) *phone.Phone {
	t.Helper()
	p, err := phone.Open(within(t, 10*time.Second), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// calls has a phone call a room of the house and be answered.
func (h *house) calls(p *phone.Phone, room string, o phone.DialOptions) *phone.Call {
	h.t.Helper()
	c, err := p.Dial(within(h.t, 20*time.Second), "sip:"+room+"@"+h.ua.Addr().String(), o)
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

// hears waits until the newest half second of what pcm returns is the tone, at
// its level within 1 dB.
func hears(t *testing.T, who string, pcm func() []int16, freqHz, levelDB float64) {
	t.Helper()
	var freq, level float64
	var ok bool
	defer func() {
		if t.Failed() {
			t.Logf("%s: last heard %.0f Hz at %.1f dBov (a tone: %v)", who, freq, level, ok)
		}
	}()
	eventually(t, who+" hears the tone", 20*time.Second, func() bool {
		heard := pcm()
		if len(heard) < 4000 {
			return false
		}
		freq, level, ok = phone.FindTone(heard[len(heard)-4000:])
		return ok && math.Abs(freq-freqHz) <= 2 && math.Abs(level-levelDB) <= 1
	})
}
