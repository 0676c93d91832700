package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/roomline/roomline/dialplan"
	"github.com/roomline/roomline/media/speech"
)

func TestItsDialPlanIsGood(t *testing.T) {
	text, err := os.ReadFile("roomline.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p, err := dialplan.Parse(text, os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	if problems := p.Check(); len(problems) > 0 {
		t.Fatal(problems)
	}
}

// caller is the gateway's side of one call.
type caller struct {
	t *testing.T
	c *websocket.Conn
	v *voices
}

func call(t *testing.T, o options) *caller {
	t.Helper()
	v, err := prepare(t.Context())
	if err != nil {
		if os.Getenv("CI") == "" {
			t.Skip(err)
		}
		t.Fatal(err)
	}
	t.Cleanup(v.close)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := websocket.Accept(w, r, nil); err == nil {
			newSession(c, v, o).run(r.Context())
			c.CloseNow()
		}
	}))
	t.Cleanup(server.Close)
	c, _, err := websocket.Dial(t.Context(), strings.Replace(server.URL, "http", "ws", 1), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseNow() })
	c.SetReadLimit(1 << 20)
	p := &caller{t, c, v}
	p.send(map[string]any{"event": "start", "streamSid": "MZ1", "start": map[string]any{"callSid": "CA1", "accountSid": "AC1"}})
	return p
}

func (p *caller) send(m any) {
	p.t.Helper()
	text, _ := json.Marshal(m)
	if err := p.c.Write(p.t.Context(), websocket.MessageText, text); err != nil {
		p.t.Fatal(err)
	}
}

// next waits for a message of a kind and returns what it holds.
func (p *caller) next(event string) (sound []byte, mark string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 20*time.Second)
	defer cancel()
	for {
		_, text, err := p.c.Read(ctx)
		if err != nil {
			p.t.Fatalf("waiting for %s: %v", event, err)
		}
		var m message
		if err := json.Unmarshal(text, &m); err != nil {
			p.t.Fatal(err)
		}
		if m.Event == event {
			return m.Media.Payload, m.Mark.Name
		}
	}
}

// hears expects a sentence, and lets it be heard to its end.
func (p *caller) hears(text string) {
	p.t.Helper()
	sound, _ := p.next("media")
	if string(sound) != string(p.v.said[text]) {
		p.t.Fatalf("did not say %q", text)
	}
	_, mark := p.next("mark")
	p.send(map[string]any{"event": "mark", "mark": map[string]any{"name": mark}})
}

// says sends a phrase as a telephone would, though faster, with quiet around it.
func (p *caller) says(text string) {
	p.t.Helper()
	pcm, err := speech.Synthesize(p.t.Context(), text, speech.Voice{Name: "flite:rms"})
	if err != nil {
		p.t.Fatal(err)
	}
	sound := muLaw(append(append(make([]int16, 4000), pcm...), make([]int16, 8000)...))
	for ; len(sound) >= 160; sound = sound[160:] {
		p.send(map[string]any{"event": "media", "media": map[string]any{"payload": sound[:160]}})
	}
}

func TestACallerIsUnderstoodAndAnswered(t *testing.T) {
	p := call(t, options{})
	p.hears(welcome)
	p.says("book an appointment")
	p.hears(whichDay)
	p.says("wednesday")
	p.hears(onWednes)
	p.send(map[string]any{"event": "dtmf", "dtmf": map[string]any{"digit": "2"}})
	p.hears(whichDay)
	p.says("friday")
	p.hears(onFriday)
	p.says("yes")
	p.hears(booked)
	if _, _, err := p.c.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusNormalClosure {
		t.Error(err)
	}
}

func TestWhoBeginsToSpeakInterruptsIt(t *testing.T) {
	p := call(t, options{})
	p.next("mark")
	p.says("opening hours")
	p.next("clear")
	if sound, _ := p.next("media"); len(sound) == 0 {
		t.Error("nothing was said afterwards")
	}
}

func TestADeafAgentAnswersNothing(t *testing.T) {
	p := call(t, options{fault: "deaf"})
	p.next("mark")
	p.says("opening hours")
	p.send(map[string]any{"event": "stop"})
	for {
		_, text, err := p.c.Read(t.Context())
		if err != nil {
			return
		}
		t.Errorf("got %.80s", text)
	}
}
