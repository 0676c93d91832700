package agent

import (
	"bytes"
	"log/slog"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
	"github.com/roomline/roomline/media"
)

// FuzzOpenAI gives the leg one message of a server after the other: none may make
// it panic, or keep without bound what it was told.
func FuzzOpenAI(f *testing.F) {
	for _, seed := range []string{
		`{"type":"session.created","session":{"expires_at":1}}`,
		`{"type":"session.updated"}` + "\n" + `{"type":"response.created","response":{"id":"r"}}` + "\n" +
			`{"type":"response.output_audio_transcript.delta","response_id":"r","item_id":"i","delta":"hello there"}` + "\n" +
			`{"type":"response.output_audio.delta","response_id":"r","item_id":"i","delta":"////"}` + "\n" +
			`{"type":"input_audio_buffer.speech_started","item_id":"u","audio_start_ms":20}` + "\n" +
			`{"type":"response.done","response":{"id":"r","status":"cancelled"}}` + "\n" +
			`{"type":"input_audio_buffer.speech_stopped","item_id":"u","audio_end_ms":60}` + "\n" +
			`{"type":"conversation.item.input_audio_transcription.completed","item_id":"u","transcript":"no"}`,
		`{"type":"response.output_item.done","item":{"type":"function_call","name":"transfer_call","call_id":"c","arguments":"{\"queue\":\"desk\"}"}}`,
		`{"type":"response.output_item.done","item":{"type":"function_call","name":"hang_up","call_id":"c","arguments":"[]"}}`,
		`{"type":"response.done","response":{"status":"failed","status_details":{"error":{"code":"x"}}}}`,
		`{"type":"error","error":{"code":"session_expired"}}`,
		"", "{", "[]", "null", `{"type":{}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, messages []byte) {
		x := &bridge.Exchange{}
		h := &House{Exchange: x, Plan: func() *dialplan.Plan { return &dialplan.Plan{} }, Log: slog.New(slog.DiscardHandler)}
		l := &leg{
			house: h, id: "agent_1", url: "ws://127.0.0.1/v1/realtime", spec: bridge.AgentSpec{Room: testRoom, CallID: "call_1"},
			agent: dialplan.Agent{Name: "bot"}, log: h.Log, cancel: func() {}, patience: newPatience("off", nil),
			events: make(chan bridge.AgentEvent, 64), inbox: inbox{wake: make(chan struct{}, 1)}, asked: time.Now(),
		}
		o, err := newOpenAI(l)
		if err != nil {
			t.Fatal(err)
		}
		l.protocol = o
		defer h.running.Wait()
		defer l.leave()
		frame := bytes.Repeat([]byte{silence}, media.FrameSamples)
		for n, message := range bytes.Split(messages, []byte("\n")) {
			if l.message(true, message) != nil {
				return
			}
			l.mu.Lock()
			err := o.hear(frame, int64(n))
			if len(o.voiced.items) > mostItems || len(o.tools) > mostTools || len(o.turns.speech) > keptSpeech {
				t.Errorf("%d items, %d functions, %d turns are kept", len(o.voiced.items), len(o.tools), len(o.turns.speech))
			}
			_, marks := l.inbox.fetchKeys()
			for _, mark := range marks {
				_ = o.played(mark)
			}
			l.out = l.out.emptied()
			l.mu.Unlock()
			if err != nil {
				return
			}
		}
	})
}
