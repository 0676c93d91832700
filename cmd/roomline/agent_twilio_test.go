package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/roomline/roomline/agent"
	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/phone"
)

// mediaStream is one call, as an agent that was written for Twilio sees it.
type mediaStream struct {
	t      *testing.T
	ws     *websocket.Conn
	header http.Header
	start  struct{ AccountSID, CallSID string }
	told   chan map[string]any // what came but media
}

// say sends an event.
func (m *mediaStream) say(text string) {
	m.t.Helper()
	if err := m.ws.Write(context.Background(), websocket.MessageText, []byte(text)); err != nil {
		m.t.Fatal(err)
	}
}

// next waits for an event of a kind.
func (m *mediaStream) next(kind string) map[string]any {
	m.t.Helper()
	late := time.After(20 * time.Second)
	for {
		select {
		case e, open := <-m.told:
			if !open {
				m.t.Fatalf("the stream ended before %s", kind)
			}
			if e["event"] == kind {
				return e
			}
		case <-late:
			m.t.Fatalf("no %s came", kind)
		}
	}
}

// mediaStreams is the agent's server.
func mediaStreams(t *testing.T) (address string, calls <-chan *mediaStream) {
	t.Helper()
	out := make(chan *mediaStream, 10)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer ws.CloseNow()
		m := &mediaStream{t: t, ws: ws, header: r.Header, told: make(chan map[string]any, 1000)}
		defer close(m.told)
		for {
			_, text, err := ws.Read(context.Background())
			var e struct {
				Event string
				Start struct{ AccountSID, CallSID string }
			}
			all := map[string]any{}
			if err != nil || json.Unmarshal(text, &e) != nil || json.Unmarshal(text, &all) != nil {
				return
			}
			switch e.Event {
			case "media":
				continue
			case "start":
				m.start = e.Start
				out <- m
			}
			m.told <- all
		}
	}))
	t.Cleanup(srv.Close)
	return "ws" + strings.TrimPrefix(srv.URL, "http") + "/media", out
}

const mediaStreamPlan = `
trunks:
  - {name: local, addresses: [127.0.0.1]}
agents:
  - {name: bot, url: "URL", key: "agent-key", probe: off, parameters: {case: "{{call.to}}"}}
routes:
  - {name: in, to: clinic, agent: bot}
`

// asTwilio posts a form to the REST route as the agent's program does.
func (h *house) asTwilio(m *mediaStream, form url.Values) (int, map[string]any) {
	h.t.Helper()
	address := h.url() + "/2010-04-01/Accounts/" + m.start.AccountSID + "/Calls/" + m.start.CallSID + ".json"
	req, err := http.NewRequest("POST", address, strings.NewReader(form.Encode()))
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(m.start.AccountSID, "agent-key")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	out := map[string]any{}
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		h.t.Fatal(err)
	}
	return resp.StatusCode, out
}

// hasSeats waits until phone and agent are in the call's room: the agent may be
// there first.
func (h *house) hasSeats(m *mediaStream) {
	h.t.Helper()
	id, _ := agent.CallID(m.start.CallSID)
	h.until("both are in the room", func() bool {
		call, live := h.exchange.Call(id)
		room, open := h.exchange.Room("call-" + id)
		return live && open && call.Record().State == bridge.StateActive && len(room.Record().Participants) == 2
	})
}

// An agent that was written for Twilio serves a call from a phone: keys both ways,
// a transcript, an answer to what cannot be done, and the end by the REST route.
func TestTwilioAgentServesAPhone(t *testing.T) {
	address, calls := mediaStreams(t)
	h := startHouse(t, strings.Replace(mediaStreamPlan, "URL", address, 1))
	call := h.calls(softphone(t, phone.Config{}), "clinic", phone.DialOptions{From: "+15551230000"})
	m := <-calls
	id, ok := agent.CallID(m.start.CallSID)
	if _, live := h.exchange.Call(id); !ok || !live {
		t.Fatalf("%s is no live call", m.start.CallSID)
	}
	if want := agent.Signature("agent-key", address); m.header.Get("X-Twilio-Signature") != want {
		t.Errorf("signed %q", m.header.Get("X-Twilio-Signature"))
	}
	start := m.next("start")["start"].(map[string]any)["customParameters"].(map[string]any)
	if start["from_number"] != "+15551230000" || start["case"] != "clinic" {
		t.Errorf("told %v", start)
	}
	h.hasSeats(m)
	if err := call.SendDigits(within(t, 10*time.Second), "5"); err != nil {
		t.Fatal(err)
	}
	if e := m.next("dtmf")["dtmf"].(map[string]any); e["digit"] != "5" {
		t.Errorf("the key is %v", e)
	}
	m.say(`{"event":"dtmf","dtmf":{"digits":"7#"}}`)
	if a, b := <-call.Digits(), <-call.Digits(); string([]rune{a, b}) != "7#" {
		t.Errorf("the phone got %c%c", a, b)
	}
	m.say(`{"event":"transfer","transfer":{"to":"+15550000000"}}`)
	if e := m.next("error")["error"].(map[string]any); e["event"] != "transfer" || e["message"] == "" {
		t.Errorf("refused by %v", e)
	}
	m.say(`{"event":"transcript","transcript":{"text":"how can I help","speaker":"agent"}}`)
	m.say(`{"event":"transcript","transcript":{"text":"my tooth hurts"}}`)
	var said struct{ Items []bridge.Utterance }
	h.until("the transcript is there", func() bool {
		h.ask("GET", "/v1/calls/"+id+"/transcript", nil, &said)
		return len(said.Items) == 2
	})
	if a, b := said.Items[0], said.Items[1]; a.Identity != "bot" || a.Kind != bridge.KindAgent || b.Text != "my tooth hurts" || b.Kind != bridge.KindPhone {
		t.Errorf("said %+v", said.Items)
	}
	if status, out := h.asTwilio(m, url.Values{"Status": {"completed"}}); status != 200 || out["sid"] != m.start.CallSID {
		t.Errorf("%d %v", status, out)
	}
	m.next("stop")
	<-call.Ended()
	if cdr := h.cdrs(1)[0]; cdr.ID != id || cdr.Cause != bridge.CauseNormal {
		t.Errorf("ended by %s", cdr.Cause)
	}
	if status, out := h.asTwilio(m, url.Values{"Status": {"completed"}}); status != 404 || out["code"] != 20404.0 {
		t.Errorf("a call that is over: %d %v", status, out)
	}
}

// A redirect takes the caller out of the agent's hands.
func TestTwilioAgentRedirectsItsCall(t *testing.T) {
	address, calls := mediaStreams(t)
	h := startHouse(t, strings.Replace(mediaStreamPlan, "URL", address, 1))
	call := h.calls(softphone(t, phone.Config{}), "clinic", phone.DialOptions{From: "+15551230000"})
	m := <-calls
	h.hasSeats(m)
	if status, out := h.asTwilio(m, url.Values{"Twiml": {"<Response><Dial><Conference>front-desk</Conference></Dial></Response>"}}); status != 200 {
		t.Fatalf("%d %v", status, out)
	}
	m.next("stop")
	room, open := h.exchange.Room("front-desk")
	if !open || !slices.ContainsFunc(room.Record().Participants, func(p bridge.ParticipantRecord) bool { return p.Kind == bridge.KindPhone }) {
		t.Error("the caller is not in the room")
	}
	call.Hangup()
	<-call.Ended()
}

// A hang-up that an agent asks for waits until its last word has been heard.
func TestTwilioAgentHangsUpAfterItsLastWord(t *testing.T) {
	address, calls := mediaStreams(t)
	h := startHouse(t, strings.Replace(mediaStreamPlan, "URL", address, 1))
	call := h.calls(softphone(t, phone.Config{}), "clinic", phone.DialOptions{From: "+15551230000"})
	m := <-calls
	h.hasSeats(m)
	loud := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0x80, 0x00}, media.NarrowbandHz/2))
	m.say(`{"event":"media","media":{"payload":"` + loud + `"}}`)
	m.say(`{"event":"hangup"}`)
	<-call.Ended()
	n := 0
	for _, v := range call.Heard() {
		if v > 10000 || v < -10000 {
			n++
		}
	}
	if n < media.NarrowbandHz*9/10 {
		t.Errorf("the caller heard %d of %d samples", n, media.NarrowbandHz)
	}
}
