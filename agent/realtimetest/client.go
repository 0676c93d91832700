package realtimetest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
)

// take does what one message of the client asks for.
func (s *Session) take(message []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var event body
	if err := json.Unmarshal(message, &event); err != nil {
		s.refuseLocked("", "invalid_request_error", "invalid_json", "", "We could not parse the JSON body of your request.")
		return
	}
	kind, _ := event["type"].(string)
	cause, _ := event["event_id"].(string)
	s.noteLocked(true, kind, event)
	do, known := clientEvents[kind]
	if !known {
		s.refuseLocked(cause, "invalid_request_error", "invalid_value", "type", fmt.Sprintf("Invalid value: '%s'.", kind))
		return
	}
	if wrong := do(s, event); wrong != nil {
		s.refuseLocked(cause, "invalid_request_error", wrong.code, wrong.param, wrong.message)
	}
}

// wrong is what a client is told of an event that cannot be.
type wrong struct{ code, param, message string }

var clientEvents = map[string]func(*Session, body) *wrong{
	"session.update":             (*Session).update,
	"input_audio_buffer.append":  (*Session).append,
	"input_audio_buffer.commit":  (*Session).commit,
	"input_audio_buffer.clear":   (*Session).clear,
	"conversation.item.create":   (*Session).createItem,
	"conversation.item.delete":   (*Session).deleteItem,
	"conversation.item.retrieve": (*Session).retrieveItem,
	"conversation.item.truncate": (*Session).truncateItem,
	"response.create":            (*Session).createResponse,
	"response.cancel":            (*Session).cancelResponse,
}

func missing(param string) *wrong {
	return &wrong{"missing_required_parameter", param, fmt.Sprintf("Missing required parameter: '%s'.", param)}
}

func (s *Session) append(event body) *wrong {
	text, is := event["audio"].(string)
	if !is {
		return missing("audio")
	}
	sound, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return &wrong{"invalid_value", "audio", "Invalid 'audio'. Expected base64-encoded audio bytes."}
	}
	if len(sound) > 15<<20 {
		return &wrong{"invalid_value", "audio", "Audio is too large: at most 15 MiB may be appended at once."}
	}
	s.input.take(s, s.fromWire(sound))
	return nil
}

func (s *Session) commit(body) *wrong {
	if len(s.input.sound)-s.input.committed < 800 {
		return &wrong{"input_audio_buffer_commit_empty", "", "Error committing input audio buffer: buffer too small. Expected at least 100ms of audio."}
	}
	s.commitLocked(s.id("item"))
	return nil
}

func (s *Session) clear(body) *wrong {
	s.input.committed, s.input.speaking = len(s.input.sound), false
	s.sendLocked("input_audio_buffer.cleared", body{})
	return nil
}

func (s *Session) createResponse(event body) *wrong {
	if s.current != nil {
		return &wrong{"conversation_already_has_active_response", "", fmt.Sprintf(
			"Conversation already has an active response in progress: %s. Wait until the response is finished before creating a new one.", s.current.id)}
	}
	s.respondLocked()
	return nil
}

func (s *Session) cancelResponse(body) *wrong {
	if s.current == nil {
		return &wrong{"response_cancel_not_active", "", "Cancellation failed: no active response found"}
	}
	s.current.cancelLocked("client_cancelled")
	return nil
}
