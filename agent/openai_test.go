package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roomline/roomline/agent/realtimetest"
	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/rtp"
)

// soon bounds everything that a test of this file waits for.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// model is a Realtime server and an agent that speaks to it.
func model(t *testing.T) (*realtimetest.Server, dialplan.Agent) {
	v := realtimetest.New(t)
	v.Key = "sk-secret"
	return v, dialplan.Agent{
		Name: "bot", URL: v.URL, Key: "sk-secret", Protocol: dialplan.OpenAIRealtime,
		Voice: "marin", Language: "en", Prompt: "You sell shoes.", Parameters: map[string]string{"shop": "north"},
	}
}

// talk is a stage whose caller speaks, and remembers how much.
type talk struct {
	*stage
	packets int
}

// says pushes sound of the caller, 20 ms at a time, as fast as it can be pushed.
func (s *talk) says(sound []byte) {
	for chunk := range slices.Chunk(sound, media.FrameSamples) {
		s.packets++
		s.voice.Push(&media.Packet{
			Codec: media.PCMU, SequenceNumber: uint16(s.packets), Timestamp: uint32(s.packets * media.FrameSamples), Payload: chunk, Arrived: time.Now(),
		})
	}
}

// hears waits until the caller has heard so much of a voice.
func (s *talk) hears(voice []byte, length time.Duration) {
	s.Helper()
	for late := time.After(20 * time.Second); ; {
		if _, to, _ := realtimetest.HeardOf(voice, s.ear.all()); to >= length {
			return
		}
		select {
		case <-late:
			s.Fatalf("the caller has not heard %s of the voice", length)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (e *ear) all() []byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	return bytes.Clone(e.heard)
}

func quiet(length time.Duration) []byte {
	return slices.Repeat([]byte{silence}, int(length.Milliseconds())*8)
}

func TestOpenAISessionIsToldEverything(t *testing.T) {
	v, a := model(t)
	v.Reply = func(*realtimetest.Session, int) realtimetest.Reply { return realtimetest.Reply{} }
	s := &talk{stage: newStage(t, a)}
	leg, err := s.house.Send(bridge.AgentSpec{
		Agent: "bot", Room: testRoom, From: "+15551230000", To: "+15559990000", CallID: "call_gone",
		Handover: &bridge.Handover{By: "ivr", Summary: "wants red shoes", Transcript: []bridge.Utterance{{Kind: bridge.KindPhone, Text: "hello there"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	await(t, leg, bridge.AgentReady)
	server := v.Session(soon(t))
	if server.Model != defaultModel {
		t.Errorf("the model is %q", server.Model)
	}
	server.Await(soon(t), "response.done", 0)
	var told struct {
		Instructions string
		Tools        []struct{ Name string }
		Audio        struct {
			Input struct {
				Format, Transcription map[string]any
				TurnDetection         map[string]any `json:"turn_detection"`
			}
			Output struct {
				Format map[string]any
				Voice  string
			}
		}
	}
	if err := json.Unmarshal([]byte(server.Config()), &told); err != nil {
		t.Fatal(err)
	}
	if in := told.Audio.Input; in.Format["type"] != "audio/pcmu" || told.Audio.Output.Format["type"] != "audio/pcmu" ||
		in.TurnDetection["type"] != "server_vad" || in.Transcription["language"] != "en" || told.Audio.Output.Voice != "marin" {
		t.Errorf("the session is %s", server.Config())
	}
	for _, want := range []string{"You sell shoes.", "+15551230000", "+15559990000", "north"} {
		if !strings.Contains(told.Instructions, want) {
			t.Errorf("%q is not in the instructions: %s", want, told.Instructions)
		}
	}
	if len(told.Tools) != 3 {
		t.Errorf("the tools are %v", told.Tools)
	}
	before, _ := json.Marshal(server.Await(soon(t), "conversation.item.create", 0).Body)
	for _, want := range []string{"wants red shoes", "hello there", "ivr"} {
		if !strings.Contains(string(before), want) {
			t.Errorf("%q is not told of what was before: %s", want, before)
		}
	}
	if wrong := server.Events("error"); len(wrong) > 0 {
		t.Errorf("the server refused %v", wrong[0].Body)
	}
	leg.End("enough")
	await(t, leg, bridge.AgentEnded)
}

func TestOpenAIHearsIsHeardAndInterrupted(t *testing.T) {
	v, a := model(t)
	v.Reply = func(_ *realtimetest.Session, n int) realtimetest.Reply {
		return realtimetest.Reply{Say: []time.Duration{5 * time.Second, time.Second}[n%2], Words: "hello dear caller what may I do for you today"}
	}
	v.Heard = func(int) string { return "red ones please" }
	s := &talk{stage: newStage(t, a)}
	leg := s.send("bot")
	await(t, leg, bridge.AgentReady)
	server := v.Session(soon(t))
	greeting, answer, question := realtimetest.Voice(0, 5*time.Second), realtimetest.Voice(1, time.Second), realtimetest.Voice(9, 600*time.Millisecond)
	s.hears(greeting, 700*time.Millisecond)
	s.says(question)
	cut := server.Await(soon(t), "conversation.item.truncate", 0)
	s.says(quiet(700 * time.Millisecond))
	s.hears(answer, time.Second)
	_, to, _ := realtimetest.HeardOf(greeting, s.ear.all())
	if off := time.Duration(cut.Num("audio_end_ms"))*time.Millisecond - to; off.Abs() > 40*time.Millisecond {
		t.Errorf("truncated %s from what was heard, %s", off, to)
	} else {
		t.Logf("truncated %s from what was heard, %s", off, to)
	}
	if cut.Str("item_id") != server.Await(soon(t), "response.output_audio.delta", 0).Str("item_id") {
		t.Error("another item was truncated")
	}
	if _, _, total := realtimetest.HeardOf(question, server.Sound()); total < 580*time.Millisecond { // a stream that begins is faded in
		t.Errorf("the server has heard %s of the question, byte by byte", total)
	}
	if wrong := server.Events("error"); len(wrong) > 0 {
		t.Errorf("the server refused %v", wrong[0].Body)
	}
	leg.End("enough")
	await(t, leg, bridge.AgentEnded)
}

func TestOpenAIIsToldOfKeysTogether(t *testing.T) {
	v, a := model(t)
	a.Parameters = map[string]string{greetingParameter: "off"}
	s := &talk{stage: newStage(t, a)}
	leg := openedLeg(s, a)
	await(t, leg, bridge.AgentReady)
	server := v.Session(soon(t))
	for _, k := range "12#" {
		leg.keyPressed(s.caller, rtp.Digit{Key: k})
	}
	if item, _ := json.Marshal(server.Await(soon(t), "conversation.item.create", 0).Body); !strings.Contains(string(item), "12#") {
		t.Errorf("told %s", item)
	}
	server.Await(soon(t), "response.done", 0)
	if n := len(server.Events("response.create")); n != 1 {
		t.Errorf("%d responses were asked for", n)
	}
	leg.End("enough")
	await(t, leg, bridge.AgentEnded)
}

// A caller who interrupts the goodbye has more to say.
func TestOpenAIDoesNotHangUpOnWhoInterrupts(t *testing.T) {
	v, a := model(t)
	v.Reply = func(_ *realtimetest.Session, n int) realtimetest.Reply {
		if n > 0 {
			return realtimetest.Reply{}
		}
		return realtimetest.Reply{Say: 5 * time.Second, Calls: []realtimetest.FunctionCall{{Name: "hang_up", Arguments: `{"reason":"done"}`}}}
	}
	s := &talk{stage: newStage(t, a)}
	leg := s.send("bot")
	await(t, leg, bridge.AgentReady)
	server := v.Session(soon(t))
	server.Await(soon(t), "response.done", 0)
	s.hears(realtimetest.Voice(0, 5*time.Second), 300*time.Millisecond)
	s.says(realtimetest.Voice(9, 300*time.Millisecond))
	if result := server.Await(soon(t), "conversation.item.create", 0); !strings.Contains(result.Str("item", "output"), "interrupted") {
		t.Errorf("the model was told %v", result.Body)
	}
	if n := len(server.Events("response.create")); n != 1 {
		t.Errorf("%d responses were asked for: the server answers turns by itself", n)
	}
	leg.End("enough")
	await(t, leg, bridge.AgentEnded)
}

// A probe costs no words: it hears nothing, and is not greeted.
func TestOpenAIProbeSaysNothing(t *testing.T) {
	v, a := model(t)
	s := newStage(t, a)
	leg := s.house.openLeg(a.URL, a, bridge.AgentSpec{Agent: a.Name})
	await(t, leg, bridge.AgentReady)
	server := v.Session(soon(t))
	server.Await(soon(t), "input_audio_buffer.append", 10)
	if asked := server.Events("response.create"); len(asked) > 0 {
		t.Errorf("the model was asked for %v", asked[0].Body)
	}
	leg.End("enough")
	await(t, leg, bridge.AgentEnded)
}

// A server that takes the connection and never says a word is given up.
func TestOpenAIServerIsMute(t *testing.T) {
	v, a := model(t)
	v.Mute = true
	s := newStage(t, a)
	leg := s.send("bot")
	if e := ended(t, leg); e.Fault != bridge.FaultTimeout {
		t.Errorf("ended by %q: %s", e.Fault, e.Reason)
	}
}

// What a server may do wrong, and what it is called.
func TestOpenAIFaults(t *testing.T) {
	delta := func(id string) map[string]any {
		return map[string]any{"type": "response.output_audio.delta", "response_id": "r", "item_id": id, "content_index": 0, "delta": "////"}
	}
	for name, c := range map[string]struct {
		server func(*realtimetest.Server)
		do     func(*realtimetest.Session)
		want   bridge.Fault
	}{
		"wrong key":    {server: func(v *realtimetest.Server) { v.Key = "sk-other" }, want: bridge.FaultRefused},
		"401":          {server: func(v *realtimetest.Server) { v.Refuse = 401 }, want: bridge.FaultRefused},
		"503":          {server: func(v *realtimetest.Server) { v.Refuse = 503 }, want: bridge.FaultRefused},
		"killed":       {do: func(s *realtimetest.Session) { s.Kill() }, want: bridge.FaultGone},
		"no JSON":      {do: func(s *realtimetest.Session) { _ = s.Write(true, []byte("{")) }, want: bridge.FaultGarbage},
		"binary":       {do: func(s *realtimetest.Session) { _ = s.Write(false, []byte("{}")) }, want: bridge.FaultGarbage},
		"no base64":    {do: func(s *realtimetest.Session) { e := delta("i"); e["delta"] = "*"; s.Send(e) }, want: bridge.FaultGarbage},
		"wrong kind":   {do: func(s *realtimetest.Session) { e := delta("i"); e["item_id"] = 7; s.Send(e) }, want: bridge.FaultGarbage},
		"huge message": {do: func(s *realtimetest.Session) { _ = s.Write(true, make([]byte, 9<<20)) }, want: bridge.FaultTooLarge},
		"too many items": {do: func(s *realtimetest.Session) {
			for n := range mostItems + 1 {
				s.Send(delta(string(rune('a' + n))))
			}
		}, want: bridge.FaultFlood},
		"rate limit": {server: func(v *realtimetest.Server) {
			v.Reply = func(*realtimetest.Session, int) realtimetest.Reply {
				return realtimetest.Reply{Fail: &realtimetest.RateLimited}
			}
		}, want: bridge.FaultRefused},
		"model fails twice": {server: func(v *realtimetest.Server) {
			v.Reply = func(*realtimetest.Session, int) realtimetest.Reply {
				return realtimetest.Reply{Fail: &realtimetest.Failure{Type: "server_error", Message: "The server had an error."}}
			}
		}, want: bridge.FaultGone},
		"session expired": {do: func(s *realtimetest.Session) {
			s.Fail("invalid_request_error", "session_expired", "Your session hit the maximum duration of 60 minutes.")
		}, want: bridge.FaultGone},
		"quota": {do: func(s *realtimetest.Session) {
			s.Fail("insufficient_quota", "insufficient_quota", "You exceeded your quota.")
		}, want: bridge.FaultRefused},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, a := model(t)
			if c.server != nil {
				c.server(v)
			}
			s := &talk{stage: newStage(t, a)}
			l := openedLeg(s, a)
			if c.do != nil {
				await(t, l, bridge.AgentReady)
				server := v.Session(soon(t))
				server.Await(soon(t), "response.done", 0)
				c.do(server)
			}
			e := ended(t, l)
			if e.Fault != c.want {
				t.Errorf("ended by %q: %s, want %q", e.Fault, e.Reason, c.want)
			}
			if strings.Contains(e.Reason, "sk-") {
				t.Errorf("the reason names the key: %s", e.Reason)
			}
		})
	}
}

// What a server may do that harms nothing: the session goes on.
func TestOpenAIBearsWhatIsNew(t *testing.T) {
	v, a := model(t)
	s := &talk{stage: newStage(t, a)}
	leg := s.send("bot")
	await(t, leg, bridge.AgentReady)
	server := v.Session(soon(t))
	server.Await(soon(t), "response.done", 0)
	for _, event := range []map[string]any{
		{"type": "response.output_dance.delta", "delta": 7, "item_id": []int{1}},
		{"type": "response.output_audio.done", "response_id": "r", "item_id": "nobody", "content_index": 3},
		{"type": "response.output_audio_transcript.done", "item_id": "nobody", "transcript": "x"},
		{"type": "conversation.item.input_audio_transcription.completed", "item_id": "nobody", "transcript": "x"},
		{"type": "input_audio_buffer.speech_stopped", "item_id": "nobody", "audio_end_ms": -5},
		{"type": "input_audio_buffer.speech_started", "item_id": "nobody", "audio_start_ms": 1 << 60},
		{"type": "response.done", "response": map[string]any{"id": "nobody", "status": "dancing"}},
		{"type": "response.output_item.done", "item": map[string]any{"type": "function_call", "name": "sing", "call_id": "c", "arguments": "{}"}},
		{"type": "error", "error": map[string]any{"code": "item_not_found"}},
		{"type": "session.updated", "session": map[string]any{}},
	} {
		server.Send(event)
	}
	if result := server.Await(soon(t), "conversation.item.create", 0); !strings.Contains(result.Str("item", "output"), "no function of this name") {
		t.Errorf("an unknown function was answered with %v", result.Body)
	}
	server.Await(soon(t), "response.create", 1)
	leg.End("enough")
	if e := await(t, leg, bridge.AgentEnded); e.Fault != bridge.FaultNone {
		t.Errorf("ended by %q: %s", e.Fault, e.Reason)
	}
}

// A session that is about to end is given up while nobody speaks.
func TestOpenAIBeginsAnewBeforeTheSessionEnds(t *testing.T) {
	v, a := model(t)
	v.Longest = 3 * time.Second
	s := &talk{stage: newStage(t, a)}
	l := openedLeg(s, a)
	s.says(quiet(100 * time.Millisecond))
	began := time.Now()
	if e := ended(t, l); e.Fault != bridge.FaultGone || !strings.Contains(e.Reason, "near") {
		t.Errorf("ended after %s by %q: %s", time.Since(began), e.Fault, e.Reason)
	}
}

func TestWordsAreCutWhereTheSoundWas(t *testing.T) {
	for share, want := range map[float64]string{
		0: "", 0.1: "", 0.15: "one", 0.5: "one two", 0.9: "one two three", 0.99: "one two three four", 1: "one two three four", 2: "one two three four",
	} {
		if got := upTo("one two three four", share); got != want {
			t.Errorf("%v of it is %q, want %q", share, got, want)
		}
	}
}

// openedLeg opens a leg without a pool, which would lease another one.
func openedLeg(s *talk, a dialplan.Agent) *leg {
	return s.house.openLeg(a.URL, a, bridge.AgentSpec{Agent: a.Name, Room: testRoom})
}

func ended(t *testing.T, l bridge.AgentLeg) (last bridge.AgentEvent) {
	t.Helper()
	late := time.After(20 * time.Second)
	for {
		select {
		case e, more := <-l.Events():
			if !more {
				return last
			}
			last = e
		case <-late:
			t.Fatal("the leg goes on")
		}
	}
}
