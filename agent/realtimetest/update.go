package realtimetest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// defaults is a session before its first session.update.
func defaults(model string, expires time.Time) body {
	pcm := func() body { return body{"type": "audio/pcm", "rate": 24000.} }
	return body{
		"type": "realtime", "object": "realtime.session", "model": model, "expires_at": expires.Unix(),
		"output_modalities": []any{"audio"}, "instructions": "You are a helpful assistant.",
		"tools": []any{}, "tool_choice": "auto", "max_output_tokens": "inf", "tracing": nil, "prompt": nil,
		"truncation": "auto", "include": nil,
		"audio": body{
			"input":  body{"format": pcm(), "transcription": nil, "noise_reduction": nil, "turn_detection": serverVAD(nil)},
			"output": body{"format": pcm(), "voice": "alloy", "speed": 1.},
		},
	}
}

// serverVAD fills up what a client says of turn detection.
func serverVAD(given body) body {
	all := body{"type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300., "silence_duration_ms": 500.,
		"idle_timeout_ms": nil, "create_response": true, "interrupt_response": true}
	if given["type"] == "semantic_vad" {
		all = body{"type": "semantic_vad", "eagerness": "auto", "create_response": true, "interrupt_response": true}
	}
	maps.Copy(all, given)
	return all
}

// Names that session.update knows, by where they lie.
var (
	sessionNames = []string{"type", "audio", "include", "instructions", "max_output_tokens", "model", "output_modalities",
		"parallel_tool_calls", "prompt", "reasoning", "tool_choice", "tools", "tracing", "truncation"}
	inputNames  = []string{"format", "noise_reduction", "transcription", "turn_detection"}
	outputNames = []string{"format", "speed", "voice"}
	vadNames    = []string{"type", "create_response", "interrupt_response", "threshold", "prefix_padding_ms",
		"silence_duration_ms", "idle_timeout_ms", "eagerness"}
	toolNames = []string{"type", "name", "description", "parameters"}
	voices    = []string{"alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar"}
)

// update changes the session, or refuses the whole change.
func (s *Session) update(event body) *wrong {
	given, is := event["session"].(body)
	if !is {
		return missing("session")
	}
	if w := s.checkSession(given); w != nil {
		return w
	}
	audio, _ := given["audio"].(body)
	mine := s.config["audio"].(body)
	for _, side := range []string{"input", "output"} {
		if part, is := audio[side].(body); is {
			merged := maps.Clone(mine[side].(body))
			maps.Copy(merged, part)
			if vad, is := merged["turn_detection"].(body); is {
				merged["turn_detection"] = serverVAD(vad)
			}
			mine[side] = merged
		}
	}
	for name, v := range given {
		if name != "audio" {
			s.config[name] = v
		}
	}
	s.sendLocked("session.updated", body{"session": s.config})
	return nil
}

func (s *Session) checkSession(given body) *wrong {
	if given["type"] == nil {
		return missing("session.type")
	}
	if given["type"] != "realtime" {
		return invalid("session.type", given["type"], "'realtime'")
	}
	if w := known("session", given, sessionNames); w != nil {
		return w
	}
	audio, _ := given["audio"].(body)
	in, _ := audio["input"].(body)
	out, _ := audio["output"].(body)
	for _, w := range []*wrong{
		known("session.audio", audio, []string{"input", "output"}),
		known("session.audio.input", in, inputNames), known("session.audio.output", out, outputNames),
		checkFormat("session.audio.input.format", in["format"]), checkFormat("session.audio.output.format", out["format"]),
		checkVAD(in["turn_detection"]), s.checkVoice(out["voice"]), checkTools(given["tools"]),
	} {
		if w != nil {
			return w
		}
	}
	return nil
}

func known(where string, given body, names []string) *wrong {
	for name := range given {
		if !slices.Contains(names, name) {
			return &wrong{"unknown_parameter", where + "." + name, fmt.Sprintf("Unknown parameter: '%s.%s'.", where, name)}
		}
	}
	return nil
}

func invalid(param string, value any, supported string) *wrong {
	return &wrong{"invalid_value", param, fmt.Sprintf("Invalid value: '%v'. Supported values are: %s.", value, supported)}
}

func checkFormat(where string, given any) *wrong {
	format, is := given.(body)
	switch {
	case given == nil:
		return nil
	case !is:
		return &wrong{"invalid_type", where, fmt.Sprintf("Invalid type for '%s': expected an object, but got a string instead.", where)}
	case format["type"] == "audio/pcm" && format["rate"] != 24000.:
		return invalid(where+".rate", format["rate"], "24000")
	case format["type"] != "audio/pcm" && format["rate"] != nil:
		return &wrong{"unknown_parameter", where + ".rate", fmt.Sprintf("Unknown parameter: '%s.rate'.", where)}
	case format["type"] != "audio/pcm" && format["type"] != "audio/pcmu":
		return invalid(where+".type", format["type"], "'audio/pcm', 'audio/pcmu'")
	}
	return known(where, format, []string{"type", "rate"})
}

func checkVAD(given any) *wrong {
	vad, is := given.(body)
	if given == nil || !is {
		return nil
	}
	if vad["type"] != "server_vad" && vad["type"] != "semantic_vad" {
		return invalid("session.audio.input.turn_detection.type", vad["type"], "'server_vad', 'semantic_vad'")
	}
	return known("session.audio.input.turn_detection", vad, vadNames)
}

func (s *Session) checkVoice(given any) *wrong {
	voice, is := given.(string)
	switch {
	case given == nil || !is:
		return nil
	case !slices.Contains(voices, voice):
		return invalid("session.audio.output.voice", voice, "'"+strings.Join(voices, "', '")+"'")
	case s.spoken && voice != s.config["audio"].(body)["output"].(body)["voice"]:
		return &wrong{"cannot_update_voice", "session.audio.output.voice", "Cannot update a conversation's voice if assistant audio is present."}
	}
	return nil
}

func checkTools(given any) *wrong {
	tools, _ := given.([]any)
	for i, v := range tools {
		tool, _ := v.(body)
		where := fmt.Sprintf("session.tools[%d]", i)
		switch {
		case tool["type"] != "function":
			return invalid(where+".type", tool["type"], "'function', 'mcp'")
		case tool["name"] == nil:
			return missing(where + ".name")
		}
		if w := known(where, tool, toolNames); w != nil {
			return w
		}
	}
	return nil
}
