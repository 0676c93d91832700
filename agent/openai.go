package agent

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/roomline/roomline/bridge"
)

// defaultModel is asked for where neither the agent nor its URL names one.
const defaultModel = "gpt-realtime-2.1"

// openai speaks OpenAI's Realtime protocol: JSON in text messages, sound as base64
// of µ-law at 8 kHz both ways. The server hears where the caller's turns begin and
// end, and answers them; it is told what was truly heard of what it said.
//
//	begin                session.update, and conversation.item.create of a handover
//	session.updated      the agent takes its seat and, unless it waits for the caller, speaks
//	speech_started       openaicut.go: what waits is dropped, its items are truncated
//	output_item.done     openaitools.go: functions that it calls
type openai struct {
	leg  *leg
	buf  []byte
	sent int64 // frames: the server's clock

	briefing string // the session's instructions
	turns    turns
	voiced   voiced
	pressed  pressed
	tools    map[string]waitingTool // by mark
	expires  time.Time              // of the session; zero: unknown
	spare    time.Duration          // before that a quiet moment is used to begin anew
}

func newOpenAI(l *leg) (*openai, error) {
	u, err := url.Parse(l.url)
	if err != nil {
		return nil, faulty(bridge.FaultRefused, "its URL cannot be read")
	}
	if q := u.Query(); !q.Has("model") && !q.Has("call_id") {
		q.Set("model", cmp.Or(l.agent.Model, defaultModel))
		u.RawQuery = q.Encode()
		l.url = u.String()
	}
	return &openai{leg: l, tools: map[string]waitingTool{}}, nil
}

func (o *openai) handshake(_ string, header http.Header) ([]string, error) {
	if o.leg.agent.Key != "" {
		header.Set("Authorization", "Bearer "+o.leg.agent.Key)
	}
	return nil, nil
}

func (o *openai) begin() error {
	told := o.leg.parameters()
	o.briefing = instructions(o.leg.agent.Prompt, told)
	if err := o.send(map[string]any{"type": "session.update", "session": o.session(told)}); err != nil {
		return err
	}
	if h := o.leg.spec.Handover; h != nil {
		return o.message("system", takeover(h))
	}
	return nil
}

// updated is told once the session is as it was asked to be.
func (o *openai) updated() error {
	if o.leg.told.Load() {
		return nil
	}
	if err := o.leg.ready(); err != nil {
		return err
	}
	switch greeting := o.leg.parameters()[greetingParameter]; {
	case greeting == "off" || o.leg.probes():
		return nil
	case o.leg.spec.Handover != nil:
		return o.respond("")
	default:
		return o.respond(greeting)
	}
}

func (o *openai) hear(sound []byte, _ int64) error {
	o.sent++
	o.buf = append(o.buf[:0], `{"type":"input_audio_buffer.append","audio":"`...)
	o.buf = base64.StdEncoding.AppendEncode(o.buf, sound)
	if err := o.leg.send(true, append(o.buf, `"}`...)); err != nil {
		return err
	}
	if err := o.tellKeysAfter(keysPause); err != nil {
		return err
	}
	return o.renew()
}

// message adds one to the conversation.
func (o *openai) message(role, text string) error {
	return o.send(map[string]any{"type": "conversation.item.create", "item": map[string]any{
		"type": "message", "role": role, "content": []any{map[string]string{"type": "input_text", "text": text}},
	}})
}

// inform adds what has happened to the conversation; the model speaks of it when
// it is its turn.
func (o *openai) inform(words string) error { return o.message("system", words) }

// renew ends a session that is about to end anyhow at a moment when nobody speaks:
// whoever comes next knows what was said.
func (o *openai) renew() error {
	if o.expires.IsZero() || o.turns.speaking || o.turns.active || len(o.voiced.items)+len(o.tools) > 0 || time.Until(o.expires) > o.spare {
		return nil
	}
	return faulty(bridge.FaultGone, "the session with the model has come near its longest duration")
}

// end says nothing: the protocol has no goodbye.
func (o *openai) end(string) error { return nil }

func (o *openai) send(event map[string]any) error {
	text, err := json.Marshal(event)
	if err != nil {
		return err
	}
	return o.leg.send(true, text)
}

// mediaTime is the call's.
func (o *openai) mediaTime() time.Duration {
	c, err := o.leg.call()
	if err != nil {
		return 0
	}
	return c.MediaTime()
}
