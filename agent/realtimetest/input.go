package realtimetest

import (
	"strings"
	"time"

	"github.com/roomline/roomline/media"
)

// What the server takes for speech.
const (
	speechDB   = -38 // dBFS of 20 ms
	speechOnMS = 60  // of it begin a turn
)

// input is what a session has heard.
type input struct {
	sound     []byte // all of it, 8 kHz µ-law
	looked    int    // bytes that the detector has seen
	committed int    // bytes that belong to earlier turns
	loud      int    // ms of speech without a pause
	quiet     int    // ms of silence since
	speaking  bool
	item      string // the turn's
	turns     int
}

// Sound returns all that the session has heard, 8 kHz µ-law.
func (s *Session) Sound() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]byte{}, s.input.sound...)
}

// take adds sound and looks for the beginnings and ends of turns in it.
func (in *input) take(s *Session, sound []byte) {
	in.sound = append(in.sound, sound...)
	for ; len(in.sound)-in.looked >= media.FrameSamples; in.looked += media.FrameSamples {
		vad, on := s.sideLocked("input")["turn_detection"].(body)
		if !on {
			in.speaking = false
			continue
		}
		frame := Linear(in.sound[in.looked : in.looked+media.FrameSamples])
		in.frame(s, vad, media.Level(frame) > speechDB)
	}
}

func (in *input) frame(s *Session, vad body, speech bool) {
	if speech {
		in.loud, in.quiet = in.loud+20, 0
	} else {
		in.quiet += 20
	}
	now := (in.looked + media.FrameSamples) / 8
	switch silence := int(number(vad["silence_duration_ms"], 500)); {
	case !in.speaking && !speech:
		in.loud = 0
	case !in.speaking && in.loud >= speechOnMS:
		in.speaking, in.item = true, s.id("item")
		start := max(now-in.loud-int(number(vad["prefix_padding_ms"], 300)), in.committed/8)
		s.startedLocked(vad, start)
	case in.speaking && in.quiet >= silence:
		in.speaking, in.loud = false, 0
		s.sendLocked("input_audio_buffer.speech_stopped", body{"audio_end_ms": now, "item_id": in.item})
		s.commitLocked(in.item)
	}
}

// startedLocked tells that the caller speaks, and stops the model if it may.
func (s *Session) startedLocked(vad body, startMS int) {
	s.sendLocked("input_audio_buffer.speech_started", body{"audio_start_ms": startMS, "item_id": s.input.item})
	if s.current != nil && vad["interrupt_response"] == true {
		s.current.cancelLocked("turn_detected")
	}
}

// commitLocked makes an item of what was heard since the last one, and answers it.
func (s *Session) commitLocked(id string) {
	turn := s.input.turns
	seconds := float64(len(s.input.sound)-s.input.committed) / media.NarrowbandHz
	s.input.turns, s.input.committed = turn+1, len(s.input.sound)
	s.sendLocked("input_audio_buffer.committed", body{"item_id": id, "previous_item_id": s.lastItemLocked()})
	s.addItemLocked(&item{id: id, kind: "message", role: "user", status: "completed",
		content: []any{body{"type": "input_audio", "transcript": nil}}}, true)
	if s.sideLocked("input")["transcription"] != nil && s.server.Heard != nil {
		words := s.server.Heard(turn)
		for word := range strings.SplitAfterSeq(words, " ") {
			s.sendLocked("conversation.item.input_audio_transcription.delta", body{"item_id": id, "content_index": 0, "delta": word})
		}
		s.sendLocked("conversation.item.input_audio_transcription.completed", body{
			"item_id": id, "content_index": 0, "transcript": words, "usage": body{"type": "duration", "seconds": seconds},
		})
	}
	if vad, on := s.sideLocked("input")["turn_detection"].(body); on && vad["create_response"] == true && s.current == nil {
		s.respondLocked()
	}
}

// sideLocked is what the session says of its input or output.
func (s *Session) sideLocked(side string) body { return s.config["audio"].(body)[side].(body) }

func number(v any, otherwise float64) float64 {
	if n, is := v.(float64); is {
		return n
	}
	return otherwise
}

// ms makes milliseconds of 8 kHz µ-law.
func ms(bytes int) int64 {
	return (time.Duration(bytes) * time.Second / media.NarrowbandHz).Milliseconds()
}
