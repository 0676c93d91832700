package realtimetest

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"github.com/roomline/roomline/media"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// client is the simplest one there can be.
type client struct {
	t    *testing.T
	conn *websocket.Conn
	seen []body
}

func connect(t *testing.T, v *Server, query, key string) *client {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), v.URL+query, &websocket.DialOptions{
		HTTPHeader: http.Header{"Authorization": {"Bearer " + key}},
	})
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadLimit(-1)
	t.Cleanup(func() { _ = conn.CloseNow() })
	return &client{t: t, conn: conn}
}

func (c *client) send(event string) {
	c.t.Helper()
	if err := c.conn.Write(c.t.Context(), websocket.MessageText, []byte(event)); err != nil {
		c.t.Fatal(err)
	}
}

// until reads on to the next event of a kind.
func (c *client) until(kind string) body {
	c.t.Helper()
	for {
		_, message, err := c.conn.Read(c.t.Context())
		if err != nil {
			c.t.Fatalf("waiting for %s: %v", kind, err)
		}
		var b body
		if err := json.Unmarshal(message, &b); err != nil {
			c.t.Fatal(err)
		}
		c.seen = append(c.seen, b)
		if b["type"] == kind {
			return b
		}
	}
}

func (c *client) refused(event, code string) {
	c.t.Helper()
	c.send(event)
	if got := c.until("error")["error"].(body); got["code"] != code {
		c.t.Errorf("%s was refused with %v, want code %s", event, got, code)
	}
}

// say sends sound in pieces of 20 ms.
func (c *client) say(sound []byte) {
	for chunk := range slices.Chunk(sound, media.FrameSamples) {
		c.send(`{"type":"input_audio_buffer.append","audio":"` + base64.StdEncoding.EncodeToString(chunk) + `"}`)
	}
}

func silence(length time.Duration) []byte {
	return slices.Repeat([]byte{0xff}, int(length.Milliseconds())*8)
}

const useMuLaw = `{"type":"session.update","session":{"type":"realtime","audio":{
	"input":{"format":{"type":"audio/pcmu"},"turn_detection":{"type":"server_vad"},"transcription":{"model":"gpt-4o-mini-transcribe"}},
	"output":{"format":{"type":"audio/pcmu"},"voice":"marin"}}}}`

func TestServerRefusesWhatTheRealOneRefuses(t *testing.T) {
	c := connect(t, New(t), "?model=gpt-realtime", "k")
	c.until("session.created")
	for event, code := range map[string]string{
		`{"type":"session.update","session":{"voice":"marin","type":"realtime"}}`:                                                "unknown_parameter",
		`{"type":"session.update","session":{}}`:                                                                                 "missing_required_parameter",
		`{"type":"session.update","session":{"type":"realtime","audio":{"input":{"format":"g711_ulaw"}}}}`:                       "invalid_type",
		`{"type":"session.update","session":{"type":"realtime","audio":{"input":{"format":{"type":"audio/pcmu","rate":8000}}}}}`: "unknown_parameter",
		`{"type":"session.update","session":{"type":"realtime","audio":{"output":{"voice":"nobody"}}}}`:                          "invalid_value",
		`{"type":"session.update","session":{"type":"realtime","tools":[{"type":"function","function":{"name":"x"}}]}}`:          "missing_required_parameter",
		`{"type":"response.cancel"}`:           "response_cancel_not_active",
		`{"type":"input_audio_buffer.commit"}`: "input_audio_buffer_commit_empty",
		`{"type":"conversation.item.truncate","item_id":"nobody","content_index":0,"audio_end_ms":0}`:               "item_not_found",
		`{"type":"conversation.item.create","item":{"type":"function_call_output","call_id":"x","output":"{}"}}`:    "invalid_tool_call_id",
		`{"type":"conversation.item.create","item":{"type":"message","role":"system","content":[{"type":"text"}]}}`: "invalid_value",
		`{"type":"response.audio"}`: "invalid_value",
		`{`:                         "invalid_json",
	} {
		c.refused(event, code)
	}
	c.send(useMuLaw)
	c.until("session.updated")
}

func TestServerHearsATurnAnswersAndIsInterrupted(t *testing.T) {
	v := New(t)
	v.Reply = func(*Session, int) Reply { return Reply{Say: time.Minute, Words: "a long story"} }
	v.Heard = func(int) string { return "tell me a story" }
	c := connect(t, v, "?model=gpt-realtime", "k")
	s := v.Session(t.Context())
	c.send(useMuLaw)
	c.say(slices.Concat(silence(time.Second), Voice(3, time.Second), silence(600*time.Millisecond)))
	if got := c.until("input_audio_buffer.speech_started")["audio_start_ms"].(float64); got != 700 {
		t.Errorf("speech started at %v ms, want 700: 300 before it did", got)
	}
	if got := c.until("input_audio_buffer.speech_stopped")["audio_end_ms"].(float64); got != 2500 {
		t.Errorf("speech stopped at %v ms, want 2500: 500 after it did", got)
	}
	if got := c.until("conversation.item.input_audio_transcription.completed")["transcript"]; got != "tell me a story" {
		t.Errorf("heard %q", got)
	}
	item := c.until("response.output_audio.delta")["item_id"].(string)
	c.say(Voice(4, time.Second))
	c.until("input_audio_buffer.speech_started")
	if got := c.until("response.done")["response"].(body)["status"]; got != "cancelled" {
		t.Errorf("the response is %v after an interruption", got)
	}
	c.refused(`{"type":"conversation.item.truncate","item_id":"`+item+`","content_index":0,"audio_end_ms":70000}`, "invalid_value")
	c.send(`{"type":"conversation.item.truncate","item_id":"` + item + `","content_index":0,"audio_end_ms":40}`)
	c.until("conversation.item.truncated")
	if got := s.Await(t.Context(), "conversation.item.truncate", 1).Num("audio_end_ms"); got != 40 {
		t.Errorf("noted %v", got)
	}
	from, to, total := HeardOf(Voice(3, time.Second), s.Sound())
	if from != 0 || to != time.Second || total != time.Second {
		t.Errorf("the server has heard %s to %s, %s of it", from, to, total)
	}
}

func TestServerCallsFunctions(t *testing.T) {
	v := New(t)
	v.Reply = func(_ *Session, n int) Reply {
		return Reply{Calls: []FunctionCall{{"hang_up", `{"reason":"done"}`}}}
	}
	c := connect(t, v, "?model=gpt-realtime", "k")
	c.send(`{"type":"response.create"}`)
	call := c.until("response.function_call_arguments.done")
	if call["name"] != "hang_up" || call["arguments"] != `{"reason":"done"}` {
		t.Errorf("called %v", call)
	}
	c.until("response.done")
	c.send(`{"type":"conversation.item.create","item":{"type":"function_call_output","call_id":"` + call["call_id"].(string) + `","output":"{}"}}`)
	c.until("conversation.item.done")
}

func TestServerTurnsStrangersAway(t *testing.T) {
	v := New(t)
	v.Key, v.Longest = "right", 50*time.Millisecond
	for query, want := range map[string]struct {
		key, code string
		status    websocket.StatusCode
	}{
		"?model=gpt-realtime":     {"wrong", "invalid_api_key", 3000},
		"":                        {"right", "missing_model", 4000},
		"?model=gpt-realtime&x=1": {"right", "session_expired", websocket.StatusGoingAway},
	} {
		c := connect(t, v, query, want.key)
		if got := c.until("error")["error"].(body)["code"]; got != want.code {
			t.Errorf("%s: %v, want %s", query, got, want.code)
		}
		if _, _, err := c.conn.Read(t.Context()); websocket.CloseStatus(err) != want.status {
			t.Errorf("%s: closed with %v, want %d", query, err, want.status)
		}
	}
	if _, r, err := websocket.Dial(t.Context(), v.URL, nil); err == nil || r.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a key: %v", err)
	}
}

// A session that was never told of its formats speaks 16 bits at 24 kHz.
func TestServerSpeaksWhatTheSessionSays(t *testing.T) {
	v := New(t)
	v.Reply = func(*Session, int) Reply { return Reply{Say: 100 * time.Millisecond} }
	c := connect(t, v, "?model=gpt-realtime", "k")
	for _, want := range []int{6 * 400, 400} {
		c.send(`{"type":"response.create"}`)
		sound, _ := base64.StdEncoding.DecodeString(c.until("response.output_audio.delta")["delta"].(string))
		if len(sound) != want {
			t.Errorf("50 ms are %d bytes, want %d", len(sound), want)
		}
		c.until("response.done")
		c.send(strings.Replace(useMuLaw, `,"voice":"marin"`, "", 1))
	}
	c.refused(useMuLaw, "cannot_update_voice")
}

func TestVoicesAreLikeNoOther(t *testing.T) {
	long := Voice(0, time.Minute)
	if _, _, total := HeardOf(Voice(1, 10*time.Second), long); total != 0 {
		t.Errorf("%s of another voice were taken for it", total)
	}
	from, to, total := HeardOf(long, slices.Concat(silence(time.Second), long[8000:24000], silence(time.Second)))
	if from != time.Second || to != 3*time.Second || total != 2*time.Second {
		t.Errorf("found %s to %s, %s of it", from, to, total)
	}
}
