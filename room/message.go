package room

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/webrtc"
)

// Limits of what a client may send.
const (
	maxMessage = webrtc.MaxSDP + 8<<10 // bytes of one WebSocket message
	maxText    = 2 << 10               // bytes of one text to the room
	maxDigits  = 64
)

// message is what a client sends; Type says which of the other fields count.
type message struct {
	Type        string          `json:"type"`
	Token       string          `json:"token"`
	Name        string          `json:"name"`
	Session     string          `json:"session"`
	SDP         string          `json:"sdp"`
	Candidate   json.RawMessage `json:"candidate"`
	Kind        webrtc.Kind     `json:"kind"`
	Muted       *bool           `json:"muted"`
	Participant string          `json:"participant"`
	CallID      string          `json:"call_id"`
	Digits      string          `json:"digits"`
	Event       *clientEvent    `json:"event"`
	HeardBy     string          `json:"heard_by"`

	candidate webrtc.Candidate // parsed from Candidate
}

type clientEvent struct {
	Type string `json:"type"`
	Data struct {
		Text string `json:"text"`
	} `json:"data"`
}

// parseMessage reads one message and checks everything in it that can be
// checked without knowing the room. The error is a sentence for the client.
func parseMessage(text []byte) (message, error) {
	var m message
	if len(text) > maxMessage {
		return m, invalid("", "a message has at most %d bytes", maxMessage)
	}
	if !utf8.Valid(text) {
		return m, invalid("", "a message is JSON in UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&m); err != nil {
		return m, invalid("", "a message is one JSON object with a type: %s", jsonTrouble(err))
	}
	if d.More() {
		return m, invalid("", "one message holds one JSON object")
	}
	return m, m.check()
}

// jsonTrouble says what is wrong without repeating what was sent.
func jsonTrouble(err error) string {
	switch e := err.(type) {
	case *json.UnmarshalTypeError:
		return fmt.Sprintf("%q must not be a %s", e.Field, e.Value)
	case *json.SyntaxError:
		return fmt.Sprintf("syntax error at byte %d", e.Offset)
	}
	return "it ends too early"
}

func (m *message) check() error {
	switch m.Type {
	case "join", "leave":
		return nil
	case "answer":
		return needed("sdp", m.SDP)
	case "candidate":
		return m.checkCandidate()
	case "mute":
		return m.checkMute()
	case "resume":
		return needed("session", m.Session)
	case "event":
		return m.checkEvent()
	case "hangup":
		return needed("participant", m.Participant)
	case "dtmf":
		return m.checkDigits()
	case "accept", "decline", "brief":
		return needed("call_id", m.CallID)
	case "heard_by":
		return needed("heard_by", m.HeardBy)
	case "":
		return invalid("type", "a message needs a type")
	}
	return invalid("type", "type %.32q is unknown: expected join, answer, candidate, mute, resume, event, hangup, dtmf, accept, decline, brief, heard_by or leave", m.Type)
}

func needed(field, value string) error {
	if value == "" {
		return invalid(field, "%s must not be empty", field)
	}
	return nil
}

func (m *message) checkCandidate() error {
	if len(m.Candidate) == 0 || string(m.Candidate) == "null" {
		return nil // the browser's end of candidates
	}
	if err := json.Unmarshal(m.Candidate, &m.candidate); err != nil {
		return invalid("candidate", "candidate must be {candidate, sdpMid, sdpMLineIndex}")
	}
	return nil
}

func (m *message) checkMute() error {
	if m.Kind != webrtc.Audio && m.Kind != webrtc.Video {
		return invalid("kind", "kind must be audio or video")
	}
	if m.Muted == nil {
		return invalid("muted", "muted must be true or false")
	}
	return nil
}

func (m *message) checkEvent() error {
	switch {
	case m.Event == nil || m.Event.Type != "text":
		return invalid("event.type", "event must be {type:\"text\", data:{text}}")
	case m.Event.Data.Text == "":
		return invalid("event.data.text", "text must not be empty")
	case len(m.Event.Data.Text) > maxText:
		return invalid("event.data.text", "text has %d bytes, at most %d are allowed", len(m.Event.Data.Text), maxText)
	}
	return nil
}

func (m *message) checkDigits() error {
	if err := needed("call_id", m.CallID); err != nil {
		return err
	}
	if m.Digits == "" || len(m.Digits) > maxDigits {
		return invalid("digits", "digits must be 1 to %d of 0-9 * # A-D", maxDigits)
	}
	for _, d := range m.Digits {
		if !bytes.ContainsRune([]byte("0123456789*#ABCD"), d) {
			return invalid("digits", "digits must be 1 to %d of 0-9 * # A-D", maxDigits)
		}
	}
	return nil
}

// What the server sends; each has its type as its first field.
type (
	joinedMessage struct {
		Type        string             `json:"type"`
		Room        string             `json:"room"`
		Participant string             `json:"participant"`
		Session     string             `json:"session"`
		ICEServers  []webrtc.ICEServer `json:"ice_servers"`
		Role        bridge.Role        `json:"role"`
		Grants      grantsMessage      `json:"grants"`
	}
	// grantsMessage tells a page which buttons make sense.
	grantsMessage struct {
		Speak  bool `json:"speak"`
		Camera bool `json:"camera"`
		Watch  bool `json:"watch"`
		HangUp bool `json:"hang_up"`
		Digits bool `json:"digits"`
		// Whisper says that they may choose who hears them.
		Whisper bool `json:"whisper"`
	}
	offerMessage struct {
		Type string `json:"type"`
		SDP  string `json:"sdp"`
	}
	participantsMessage struct {
		Type         string                     `json:"type"`
		Participants []bridge.ParticipantRecord `json:"participants"`
		// History is how their sound travelled in the last minutes, by participant, for
		// a page that has not seen it; oldest first.
		History map[string][]media.QualityPoint `json:"history,omitempty"`
	}
	eventMessage struct {
		Type  string       `json:"type"`
		Event bridge.Event `json:"event"`
	}
	// offeredMessage is a call that this participant may take over, or how that went.
	offeredMessage struct {
		Type string       `json:"type"`
		Call bridge.Offer `json:"call"`
	}
	errorMessage struct {
		Type    string `json:"type"`
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	leaveMessage struct {
		Type   string `json:"type"`
		Reason string `json:"reason"`
	}
)

func errorOf(err error) errorMessage {
	code, words := codeOf(err)
	return errorMessage{"error", code, words}
}
