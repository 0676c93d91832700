package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomline/roomline/agent/realtimetest"
	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/phone"
)

// attended is a call that an agent attends to: a phone on one side, a model on the other.
type attended struct {
	*house
	server *realtimetest.Server
	model  *realtimetest.Session
	call   *phone.Call
}

// newModel starts a model server. Once bye is 1 the next answer is the last one:
// it hangs up.
func newModel(t *testing.T) (v *realtimetest.Server, bye *atomic.Int32) {
	v, bye = realtimetest.New(t), new(atomic.Int32)
	v.Key = "sk-test"
	v.Heard = func(int) string { return "what the caller said" }
	v.Reply = func(*realtimetest.Session, int) realtimetest.Reply {
		r := realtimetest.Reply{Say: answerLength, Words: "an answer to the caller"}
		switch bye.Load() {
		case 1:
			bye.Store(2)
			r.Calls = []realtimetest.FunctionCall{{Name: "hang_up", Arguments: `{"reason":"all is said"}`}}
		case 2:
			r.Say = 0
		}
		return r
	}
	return v, bye
}

// attends has a new call to the agent's number.
func (h *house) attends(v *realtimetest.Server, agent map[string]any) *attended {
	h.t.Helper()
	agent["name"], agent["probe"] = "receptionist", "off"
	for path, body := range map[string]map[string]any{
		"/v1/agents": agent,
		"/v1/trunks": {"name": "local", "addresses": []string{"127.0.0.1"}},
	} {
		if status := h.ask("POST", path, body, nil); status != http.StatusCreated {
			h.t.Fatalf("%s: status %d", path, status)
		}
	}
	if status := h.ask("POST", "/v1/routes", map[string]any{"name": "clinic", "to": "clinic", "agent": "receptionist"}, nil); status != http.StatusCreated {
		h.t.Fatalf("a route: status %d", status)
	}
	a := &attended{house: h, server: v}
	a.call = h.calls(softphone(h.t, phone.Config{}), "clinic", phone.DialOptions{From: "+15551230000"})
	a.model = v.Session(within(h.t, 20*time.Second))
	return a
}

// heard is what of the model's n-th response has been heard, byte by byte.
func (a *attended) heard(n int, length time.Duration) (from, to, total time.Duration) {
	return realtimetest.HeardOf(realtimetest.Voice(n, length), realtimetest.MuLaw(a.call.Heard()))
}

// hears waits until so much of the model's n-th response has been heard.
func (a *attended) hears(n int, length, much time.Duration) {
	a.t.Helper()
	if much == 0 {
		much = length - 40*time.Millisecond // the end is faded out
	}
	eventually(a.t, "the caller hears the model", length+15*time.Second, func() bool {
		time.Sleep(20 * time.Millisecond) // looking costs more than waiting
		_, to, _ := a.heard(n, length)
		return to >= much
	})
}

// says has the caller say a voice of their own, and waits until it is said.
func (a *attended) says(n int, length time.Duration) {
	a.t.Helper()
	if err := a.call.Play(within(a.t, 15*time.Second), phone.Recording(realtimetest.Linear(realtimetest.Voice(callers+n, length)), false)); err != nil {
		a.t.Fatal(err)
	}
}

// callers is the number of the caller's first voice.
const callers = 1000

// How long the model and the caller speak.
const (
	answerLength = 2 * time.Second
	askLength    = 600 * time.Millisecond
)

// truncatedWithin is how far from the true position an answer may be truncated.
const truncatedWithin = 40 * time.Millisecond

// converse holds a conversation of so many turns: every other answer of the model
// is interrupted. It returns the number of the last answer.
func (a *attended) converse(turns int) (last int) {
	t := a.t
	t.Helper()
	a.hears(0, answerLength, 0)
	n, again := 1, 2
	for ; n <= turns; n++ {
		a.says(n, askLength)
		if n%2 == 1 {
			a.hears(n, answerLength, 0)
			if from, to, total := a.heard(n, answerLength); from > 100*time.Millisecond || total < (to-from)*9/10 {
				t.Errorf("of answer %d the caller has heard %s between %s and %s", n, total, from, to)
			}
			continue
		}
		a.hears(n, answerLength, 900*time.Millisecond)
		began := time.Now()
		a.says(callers, askLength)
		cut := a.truncated(n)
		a.hears(n+1, answerLength, 500*time.Millisecond) // what waited for the old one is gone by now
		_, to, total := a.heard(n, answerLength)
		off := time.Duration(cut.Num("audio_end_ms"))*time.Millisecond - to
		t.Logf("answer %d: heard to %s, truncated %s from there, %s after the caller began", n, to, off, cut.At.Sub(began).Round(time.Millisecond))
		switch {
		case total < to*9/10:
			t.Errorf("of answer %d the caller has heard %s of the first %s", n, total, to)
		case off.Abs() > truncatedWithin && again > 0: // a machine that stalls is not at fault twice
			again, turns = again-1, turns+2
		case off.Abs() > truncatedWithin:
			t.Errorf("answer %d was truncated %s from %s, where it was heard to", n, off, to)
		}
		n++ // the answer to the interruption
		a.hears(n, answerLength, 0)
	}
	a.understood(turns)
	if wrong := a.model.Events("error"); len(wrong) > 0 {
		t.Errorf("the model's server refused %v", wrong[0].Body)
	}
	return n - 1
}

// truncated waits until the model's n-th answer is truncated.
func (a *attended) truncated(n int) (cut realtimetest.Event) {
	a.t.Helper()
	answer := a.model.Await(within(a.t, 10*time.Second), "response.created", n).Str("response", "id")
	eventually(a.t, "an answer is truncated", 10*time.Second, func() bool {
		item := ""
		for _, e := range a.model.Events("response.output_item.added") {
			if e.Str("response_id") == answer {
				item = e.Str("item", "id")
			}
		}
		for _, e := range a.model.Events("conversation.item.truncate") {
			if e.Str("item_id") == item {
				cut = e
			}
		}
		return cut.Type != ""
	})
	return cut
}

// understood checks what the model has heard of the caller.
func (a *attended) understood(turns int) {
	a.t.Helper()
	for n := 1; n <= min(turns, 2); n++ {
		if _, _, total := realtimetest.HeardOf(realtimetest.Voice(callers+n, askLength), a.model.Sound()); total < askLength*8/10 {
			a.t.Errorf("the model has heard %s of the caller's %s", total, askLength)
		}
	}
	if frames := len(a.model.Sound()) / media.FrameSamples; frames < int(time.Since(a.call.HeardSince())/media.FrameDuration)*9/10 {
		a.t.Errorf("the model was sent %d frames in %s", frames, time.Since(a.call.HeardSince()))
	}
}

// presses has the caller press a key, and looks for it at the model.
func (a *attended) presses(key string) {
	a.t.Helper()
	before := len(a.model.Events("conversation.item.create"))
	if err := a.call.SendDigits(within(a.t, 10*time.Second), key); err != nil {
		a.t.Fatal(err)
	}
	item := a.model.Await(within(a.t, 10*time.Second), "conversation.item.create", before)
	text, _ := json.Marshal(item.Body)
	if !strings.Contains(string(text), "pressed "+key) {
		a.t.Errorf("the model was told %s", text)
	}
}

// goesBy waits for the end, after a goodbye that was heard to its end.
func (a *attended) goesBy(n int) {
	a.t.Helper()
	select {
	case <-a.call.Ended():
	case <-time.After(20 * time.Second):
		a.t.Fatal("the agent does not hang up")
	}
	if _, to, _ := a.heard(n, answerLength); to < answerLength-60*time.Millisecond {
		a.t.Errorf("the call ended when %s of the goodbye were heard", to)
	}
	select {
	case <-a.model.Done():
	case <-time.After(10 * time.Second):
		a.t.Error("the model's session goes on after the call")
	}
}

// transcribed checks that both sides of the conversation were written down, in
// order and on the media clock, and what was interrupted is cut.
func (a *attended) transcribed() {
	t := a.t
	t.Helper()
	var said struct{ Items []bridge.Utterance }
	if status := a.ask("GET", "/v1/calls/"+a.cdrs(1)[0].ID+"/transcript", nil, &said); status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	cut, before := 0, int64(0)
	for _, u := range said.Items {
		length := time.Duration(u.EndMS-u.StartMS) * time.Millisecond
		switch {
		case u.EndMS < before:
			t.Errorf("%+v was told too late", u)
		case u.Kind == bridge.KindPhone && (u.Text != "what the caller said" || length < askLength):
			t.Errorf("the caller said %+v", u)
		case u.Kind == bridge.KindAgent && u.Cut:
			cut++
		case u.Kind == bridge.KindAgent && (length-answerLength).Abs() > 100*time.Millisecond:
			t.Errorf("the agent said %+v", u)
		}
		before = u.EndMS
	}
	if len(said.Items) != 8 || cut != 1 {
		t.Errorf("%d utterances, %d of them cut: %+v", len(said.Items), cut, said.Items)
	}
}

// isIn waits until the call is in a room.
func (a *attended) isIn(room string) {
	a.t.Helper()
	a.until("the caller is in room "+room, func() bool {
		var live struct{ Items []bridge.CallRecord }
		a.ask("GET", "/v1/calls", nil, &live)
		return len(live.Items) == 1 && live.Items[0].Room == room
	})
}
