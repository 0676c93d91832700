package agent

import (
	"bytes"
	"encoding/base64"
	"log/slog"
	"strings"
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
		o := bareOpenAI(t)
		l := o.leg
		defer l.house.running.Wait()
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

// bareOpenAI is a leg without a connection.
func bareOpenAI(tb testing.TB) *openai {
	h := &House{Exchange: &bridge.Exchange{}, Plan: func() *dialplan.Plan { return &dialplan.Plan{} }, Log: slog.New(slog.DiscardHandler)}
	l := &leg{
		house: h, id: "agent_1", url: "ws://127.0.0.1/v1/realtime", spec: bridge.AgentSpec{Room: testRoom, CallID: "call_1"},
		agent: dialplan.Agent{Name: "bot"}, log: h.Log, cancel: func() {}, patience: newPatience("off", nil),
		events: make(chan bridge.AgentEvent, 64), inbox: inbox{wake: make(chan struct{}, 1)}, asked: time.Now(),
	}
	o, err := newOpenAI(l)
	if err != nil {
		tb.Fatal(err)
	}
	l.protocol = o
	return o
}

// More sound than may wait is a flood.
func TestOpenAIFloods(t *testing.T) {
	o := bareOpenAI(t)
	defer o.leg.leave()
	err := o.leg.message(true, []byte(`{"type":"session.updated"}`))
	delta := []byte(`{"type":"response.output_audio.delta","item_id":"i","delta":"` + strings.Repeat("////", 64<<10) + `"}`) // 24 s
	for range 30 {
		if err == nil {
			err = o.leg.message(true, delta)
		}
	}
	if err == nil || faultOf(err).kind != bridge.FaultFlood {
		t.Errorf("12 minutes of sound were answered with %v", err)
	}
}

// BenchmarkOpenAISecond is a second of a call: 50 frames to the model, and a
// second of its voice in pieces of 50 ms, with their words.
func BenchmarkOpenAISecond(b *testing.B) {
	o := bareOpenAI(b)
	defer o.leg.leave()
	if err := o.leg.message(true, []byte(`{"type":"session.updated"}`)); err != nil {
		b.Fatal(err)
	}
	frame := bytes.Repeat([]byte{silence}, media.FrameSamples)
	sound := []byte(`{"type":"response.output_audio.delta","event_id":"event_1","response_id":"r","item_id":"i","output_index":0,"content_index":0,"delta":"` +
		base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{silence}, 400)) + `"}`)
	b.ReportAllocs()
	for b.Loop() {
		for range 50 {
			if err := o.hear(frame, 0); err != nil {
				b.Fatal(err)
			}
		}
		for range 20 {
			if err := o.leg.message(true, sound); err != nil {
				b.Fatal(err)
			}
		}
		o.leg.out = o.leg.out.emptied()
		o.leg.clear()
	}
}

// What the caller says allocates nothing on its way to the model.
func TestOpenAIHearAllocatesNothing(t *testing.T) {
	o := bareOpenAI(t)
	frame := bytes.Repeat([]byte{silence}, media.FrameSamples)
	if n := testing.AllocsPerRun(1000, func() {
		if err := o.hear(frame, 0); err != nil {
			t.Fatal(err)
		}
		o.leg.out = o.leg.out.emptied()
	}); n > 0 {
		t.Errorf("%v allocations per frame", n)
	}
}
