package agent

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/roomline/roomline/bridge"
)

// realtimeEvent is what the server sends, as far as it is needed.
type realtimeEvent struct {
	ItemID       string `json:"item_id"`
	ResponseID   string `json:"response_id"`
	ContentIndex int    `json:"content_index"`
	Delta        string `json:"delta"`
	Transcript   string `json:"transcript"`
	AudioStartMS int64  `json:"audio_start_ms"`
	AudioEndMS   int64  `json:"audio_end_ms"`
	Session      struct {
		ExpiresAt int64 `json:"expires_at"`
	} `json:"session"`
	Item struct {
		Type      string `json:"type"`
		Status    string `json:"status"`
		Name      string `json:"name"`
		CallID    string `json:"call_id"`
		Arguments string `json:"arguments"`
	} `json:"item"`
	Response struct {
		ID      string `json:"id"`
		Status  string `json:"status"`
		Details struct {
			Error realtimeError `json:"error"`
		} `json:"status_details"`
	} `json:"response"`
	Error realtimeError `json:"error"`
}

type realtimeError struct {
	Type string `json:"type"`
	Code string `json:"code"`
}

// realtimeEvents are those that are looked at; all others are ignored, as the
// protocol asks for.
var realtimeEvents = map[string]func(*openai, *realtimeEvent) error{
	"session.created":                                       (*openai).created,
	"session.updated":                                       func(o *openai, _ *realtimeEvent) error { return o.updated() },
	"input_audio_buffer.speech_started":                     (*openai).speechStarted,
	"input_audio_buffer.speech_stopped":                     (*openai).speechStopped,
	"response.created":                                      (*openai).responseCreated,
	"response.done":                                         (*openai).responseDone,
	"response.output_audio.delta":                           (*openai).audioDelta,
	"response.output_audio.done":                            (*openai).audioDone,
	"response.output_audio_transcript.delta":                (*openai).wordsDelta,
	"response.output_audio_transcript.done":                 (*openai).wordsDone,
	"response.output_item.done":                             (*openai).itemDone,
	"conversation.item.input_audio_transcription.delta":     (*openai).callerSays,
	"conversation.item.input_audio_transcription.completed": (*openai).callerSaid,
	"error": func(o *openai, e *realtimeEvent) error { return o.refused(e.Error) },
}

func (o *openai) read(text bool, message []byte) error {
	if !text {
		return errors.New("a binary message came: the Realtime protocol is JSON in text messages")
	}
	var kind struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(message, &kind); err != nil {
		return garbled(err)
	}
	do, known := realtimeEvents[kind.Type]
	if !known {
		return nil
	}
	var e realtimeEvent
	if err := json.Unmarshal(message, &e); err != nil {
		return garbled(err)
	}
	return do(o, &e)
}

// created tells until when the session lasts at most.
func (o *openai) created(e *realtimeEvent) error {
	if e.Session.ExpiresAt <= 0 {
		return nil
	}
	o.expires = time.Unix(e.Session.ExpiresAt, 0)
	o.spare = max(0, time.Until(o.expires)/30)
	return nil
}

// refused makes a fault of an error that ends what the agent is good for. Others
// are ours to bear: what they refuse was late, or is not there any more.
func (o *openai) refused(e realtimeError) error {
	switch {
	case e.Code == "session_expired":
		return faulty(bridge.FaultGone, "the session with the model has reached its longest duration")
	case e.Code == "invalid_api_key", e.Type == "authentication_error", e.Code == "missing_model", e.Code == "model_not_found":
		return faulty(bridge.FaultRefused, "the model's server refuses the key or the model: %s", clean(e))
	case limited(e):
		return faulty(bridge.FaultRefused, "the model's server refuses for its limits: %s", clean(e))
	case !o.leg.told.Load():
		return faulty(bridge.FaultRefused, "the model's server refuses the session: %s", clean(e))
	case e.Code == "conversation_already_has_active_response":
		o.turns.asked, o.turns.wanted = false, true
	}
	o.leg.log.Debug("the model's server refused an event", "error", clean(e))
	return nil
}

// limited reports whether the account may not ask for more.
func limited(e realtimeError) bool {
	return e.Code == "rate_limit_exceeded" || e.Code == "insufficient_quota" || e.Type == "rate_limit_error" || e.Type == "insufficient_quota"
}

// clean is the error's code: its message may quote what was said.
func clean(e realtimeError) string {
	for _, name := range []string{e.Code, e.Type} {
		if name != "" && len(name) <= 64 {
			return name
		}
	}
	return "no reason is given"
}
