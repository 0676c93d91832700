package agent

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/roomline/roomline/bridge"
)

// Parameters of agents of this protocol that change the session. All others are
// told to the model as facts about the call.
const (
	greetingParameter      = "greeting"       // what the first words are about; off: the caller speaks first
	turnsParameter         = "turn_detection" // server_vad (default) or semantic_vad
	transcriptionParameter = "transcription"  // the model that writes down what callers say, or off
)

const defaultTranscription = "gpt-4o-mini-transcribe"

// session is what session.update says. Formats are always said: the default is
// 16 bits at 24 kHz.
func (o *openai) session(told map[string]string) map[string]any {
	a := &o.leg.agent
	mulaw := map[string]any{"type": "audio/pcmu"}
	input := map[string]any{
		"format": mulaw, "transcription": nil,
		"turn_detection": map[string]any{
			"type": cmp.Or(told[turnsParameter], "server_vad"), "create_response": true, "interrupt_response": true,
		},
	}
	if model := cmp.Or(told[transcriptionParameter], defaultTranscription); model != "off" {
		transcription := map[string]any{"model": model}
		if a.Language != "" {
			transcription["language"] = a.Language
		}
		input["transcription"] = transcription
	}
	output := map[string]any{"format": mulaw}
	if a.Voice != "" {
		output["voice"] = a.Voice
	}
	session := map[string]any{
		"type": "realtime", "output_modalities": []string{"audio"},
		"audio": map[string]any{"input": input, "output": output}, "instructions": o.briefing,
	}
	if o.leg.spec.CallID != "" {
		session["tools"], session["tool_choice"] = json.RawMessage(offeredTools), "auto"
	}
	return session
}

// instructions are the agent's own, and what is known of the call.
func instructions(prompt string, told map[string]string) string {
	var b strings.Builder
	b.WriteString(cmp.Or(prompt, "You answer a telephone. Be brief and friendly."))
	b.WriteString("\n\nYou are on a telephone call. What is known of it:\n")
	for _, name := range slices.Sorted(maps.Keys(told)) {
		switch name {
		case greetingParameter, turnsParameter, transcriptionParameter, "handover":
		default:
			fmt.Fprintf(&b, "- %s: %q\n", name, told[name])
		}
	}
	return b.String()
}

// takeover tells the model what was before it came.
func takeover(h *bridge.Handover) string {
	var b strings.Builder
	b.WriteString("This call was under way before you came; go on where it stopped, and do not ask again for what is known.\n")
	for _, line := range [][2]string{{"It was handed over by", h.By}, {"Reason", h.Reason}, {"Summary", h.Summary}, {"Data", string(h.Data)}} {
		if line[1] != "" {
			fmt.Fprintf(&b, "%s: %s\n", line[0], line[1])
		}
	}
	if said := latest(h.Transcript); len(said) > 0 {
		b.WriteString("What was said so far:\n")
		for _, u := range said {
			who := "caller"
			if u.Kind == bridge.KindAgent {
				who = "you, or an agent before you"
			}
			fmt.Fprintf(&b, "- %s: %s\n", who, u.Text)
		}
	}
	return b.String()
}

// latest is the end of a transcript that fits into a message.
func latest(all []bridge.Utterance) []bridge.Utterance {
	for size, i := 0, len(all)-1; i >= 0; i-- {
		if size += len(all[i].Text); size > mostTold/2 {
			return all[i+1:]
		}
	}
	return all
}
