package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/roomline/roomline/agent/realtimetest"
	"github.com/roomline/roomline/web/chromium"
)

// The packages of OpenAI's Agents SDK, as they come from npm, hold a call through
// the gateway, against a model server of the test.

// receptionist runs the example of examples/openai-agents for the house. It
// returns its WebSocket.
func (h *house) receptionist(model, key string) (url string) {
	h.t.Helper()
	const example = "../../examples/openai-agents"
	dir := h.t.TempDir()
	text, err := os.ReadFile(filepath.Join(example, "index.mjs"))
	if err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "index.mjs"), text, 0o644); err != nil {
		h.t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(chromium.Packages(h.t, example), "node_modules"), filepath.Join(dir, "node_modules")); err != nil {
		h.t.Fatal(err)
	}
	c := exec.Command(tool(h.t, "node"), "index.mjs")
	c.Dir = dir
	c.Env = append(os.Environ(), "PORT=0", "OPENAI_API_KEY=sk-test", "MODEL_URL="+model+"?model=gpt-realtime-2.1",
		"ROOMLINE_URL="+h.url(), "ROOMLINE_AGENT_KEY="+key, "OPENAI_AGENTS_DISABLE_TRACING=1")
	p := startCommand(h.t, c)
	listening := regexp.MustCompile(`listening on (ws://\S+)`)
	eventually(h.t, "the agent listens", 30*time.Second, func() bool {
		if found := listening.FindStringSubmatch(p.out.all()); found != nil {
			url = found[1]
		}
		return url != ""
	})
	return url
}

func TestOpenAIAgentsSDKHoldsACall(t *testing.T) { agentsSDKHoldsACall(t, 2) }

// agentsSDKHoldsACall holds a call of so many turns with the SDK's agent; then the
// caller presses a key, and the agent says goodbye and hangs up by Twilio's REST route.
func agentsSDKHoldsACall(t *testing.T, turns int) {
	v, bye := newModel(t)
	h := startHouse(t, "")
	a := h.attends(v, map[string]any{"url": h.receptionist(v.URL, "secret"), "key": "secret"})
	last := a.converse(turns)
	bye.Store(1)
	a.presses("5")
	a.goesBy(last + 1)
}

// The gateway speaks to the model itself.
func TestOpenAIRealtimeHoldsACall(t *testing.T) {
	v, bye := newModel(t)
	h := startHouse(t, "")
	a := h.attends(v, map[string]any{"url": v.URL, "key": "sk-test", "protocol": "openai-realtime"})
	last := a.converse(2)
	bye.Store(1)
	a.presses("5")
	a.goesBy(last + 1)
	a.transcribed()
}

// A session that breaks is followed by another one that knows what was said; when
// there is no server any more the caller goes to people.
func TestOpenAIRealtimeModelDies(t *testing.T) {
	v, _ := newModel(t)
	h := startHouse(t, "")
	a := h.attends(v, map[string]any{
		"url": v.URL, "key": "sk-test", "protocol": "openai-realtime", "fallback": map[string]any{"room": "people"},
	})
	a.hears(0, answerLength, 0)
	a.model.Await(within(t, 10*time.Second), "response.done", 0)
	a.says(1, askLength)
	a.hears(1, answerLength, 500*time.Millisecond)
	a.model.Kill()
	next := v.Session(within(t, 10*time.Second))
	told, _ := json.Marshal(next.Await(within(t, 10*time.Second), "conversation.item.create", 0).Body)
	for _, want := range []string{"what the caller said", "an answer to the"} {
		if !strings.Contains(string(told), want) {
			t.Errorf("the next session was not told %q: %s", want, told)
		}
	}
	next.Await(within(t, 10*time.Second), "response.output_audio.delta", 0)
	v.Close()
	a.isIn("people")
}

// What the model asks for is done, and it hears how it went.
func TestOpenAIRealtimeActsOnTheCall(t *testing.T) {
	v := realtimetest.New(t)
	call := func(name, arguments string) realtimetest.Reply {
		return realtimetest.Reply{Say: 300 * time.Millisecond, Calls: []realtimetest.FunctionCall{{Name: name, Arguments: arguments}}}
	}
	v.Reply = func(_ *realtimetest.Session, n int) realtimetest.Reply {
		switch n {
		case 0:
			return call("send_digits", `{"digits":"12#"}`)
		case 1:
			return call("transfer_call", `{"queue":"nowhere","summary":"wants shoes"}`)
		default:
			return call("transfer_call", `{"room":"people","summary":"wants shoes"}`)
		}
	}
	h := startHouse(t, "")
	a := h.attends(v, map[string]any{"url": v.URL, "key": "sk-test", "protocol": "openai-realtime"})
	for _, want := range "12#" {
		select {
		case got := <-a.call.Digits():
			if got != want {
				t.Errorf("the phone got key %c, want %c", got, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("key %c does not come", want)
		}
	}
	for n, want := range []string{`"ok":true`, "nowhere"} {
		if result := a.model.Await(within(t, 10*time.Second), "conversation.item.create", n); !strings.Contains(result.Str("item", "output"), want) {
			t.Errorf("function %d was answered with %v, want %s", n, result.Body, want)
		}
	}
	a.isIn("people")
	<-a.model.Done()
}
