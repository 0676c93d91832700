package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/roomline/roomline/bridge"
)

// wish is what agents may ask for in JSON, whichever protocol carries it: the
// event names the field that says more.
type wish struct {
	Transcript struct {
		Text    string `json:"text"`
		Final   *bool  `json:"final"`    // default true
		StartMS int64  `json:"start_ms"` // since the answer; without: now
		EndMS   int64  `json:"end_ms"`
		Speaker string `json:"speaker"` // agent, or whoever else spoke: the caller by default
	} `json:"transcript"`
	Transfer struct {
		To      string          `json:"to"` // one of these four
		Room    string          `json:"room"`
		Agent   string          `json:"agent"`
		Queue   string          `json:"queue"`
		Mode    string          `json:"mode"` // blind (default), warm or refer
		Reason  string          `json:"reason"`
		Summary string          `json:"summary"`
		Data    json.RawMessage `json:"data"`
		// With mode warm:
		Participant string `json:"participant"` // in place of to, room, agent and queue: somebody in a browser
		CoPilot     bool   `json:"copilot"`     // the agent stays, heard by people who serve callers alone
	} `json:"transfer"`
	Hangup struct {
		Reason string `json:"reason"`
	} `json:"hangup"`
	DTMF struct {
		Digits string `json:"digits"`
	} `json:"dtmf"`
}

// longestReason bounds what an agent says in words about a call.
const longestReason = 200

// grant does what an event asks for, and ignores events that it does not know.
// refused is told, with the mutex held, of what could not be done.
func (l *leg) grant(event string, w *wish, refused func(error) error) error {
	told := func(err error) {
		if err == nil {
			return
		}
		if err := refused(err); err != nil {
			l.finish(faultOf(err))
		}
	}
	switch event {
	case "":
		return errors.New("a message names no event")
	case "hangup":
		l.hangup(inWords(w.Hangup.Reason, "the agent hung up"), told)
	case "dtmf":
		l.digits(w.DTMF.Digits, told)
	case "transfer":
		l.transfer(w.transfer(), told)
	case "transcript":
		s := w.Transcript
		l.transcribe(said{
			text: s.Text, final: s.Final == nil || *s.Final, byAgent: strings.EqualFold(s.Speaker, "agent") || s.Speaker == l.agent.Name,
			start: milliseconds(s.StartMS), end: milliseconds(s.EndMS),
		})
	}
	return nil
}

func (w *wish) transfer() bridge.TransferRequest {
	t := &w.Transfer
	return bridge.TransferRequest{
		To: t.To, Room: t.Room, Agent: t.Agent, Queue: t.Queue, Warm: t.Mode == "warm", Refer: t.Mode == "refer",
		Participant: t.Participant, CoPilot: t.CoPilot,
		Handover: &bridge.Handover{Reason: t.Reason, Summary: t.Summary, Data: t.Data},
	}
}

func inWords(reason, otherwise string) string {
	if reason == "" {
		return otherwise
	}
	return strings.ToValidUTF8(reason[:min(len(reason), longestReason)], "")
}

// milliseconds keeps strangers' numbers within a day.
func milliseconds(n int64) time.Duration {
	return time.Duration(min(max(n, 0), 24*time.Hour.Milliseconds())) * time.Millisecond
}

// garbled says what is wrong with JSON, never what it held.
func garbled(err error) error {
	var kind *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &kind):
		return fmt.Errorf("a message has a %s where %s is expected", kind.Value, kind.Field)
	case errors.As(err, &syntax):
		return fmt.Errorf("a message is no JSON: it breaks at byte %d", syntax.Offset)
	}
	return errors.New("a message cannot be read: its base64 or its JSON is broken")
}

// mostTold bounds the handover that goes with the start; the oldest that was said
// is left out first.
const mostTold = 64 << 10

// parameters is what the agent is told of the call.
func (l *leg) parameters() map[string]string {
	vars := map[string]string{"call.id": l.spec.CallID, "call.to": l.spec.To, "call.from": l.spec.From}
	if c, err := l.call(); err == nil {
		for name, value := range c.Record().Attributes {
			vars["call.attributes."+name] = value
		}
	}
	told := map[string]string{}
	if h := l.spec.Handover; h != nil { // what was handed over as names and values is told as such, too
		var values map[string]any
		_ = json.Unmarshal(h.Data, &values) // data of another form is in the handover alone
		for name, value := range values {
			if text, is := value.(string); is {
				told[name] = text
			}
		}
	}
	maps.Copy(told, l.agent.Told(vars))
	maps.Copy(told, l.spec.Parameters)
	told["from_number"], told["to_number"] = l.spec.From, l.spec.To
	if l.spec.Direction != "" {
		told["direction"] = string(l.spec.Direction)
	}
	if h := l.spec.Handover; h != nil {
		told["handover"] = handover(*h)
	}
	return told
}

func handover(h bridge.Handover) string {
	for {
		text, err := json.Marshal(h)
		if err != nil { // data that is no JSON
			h.Data = nil
			continue
		}
		if len(text) <= mostTold || len(h.Transcript) == 0 {
			return string(text)
		}
		h.Transcript = h.Transcript[len(h.Transcript)/2+len(h.Transcript)%2:]
	}
}
