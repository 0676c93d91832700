package agent

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/roomline/roomline/media/rtp"
)

// twilio speaks Twilio Media Streams, as of <Connect><Stream>: JSON, sound as base64 of µ-law.
//
//	gateway → agent   connected, start, media, dtmf, mark, stop, and beyond Twilio's: notice, error
//	agent → gateway   media, mark, clear, and beyond Twilio's: transcript, hangup, transfer, dtmf
//
// Events beyond Twilio's are those of [wish]; what it does not know it ignores, as Twilio does.
type twilio struct {
	leg    *leg
	stream string // its SID
	call   string
	seq    int64
	buf    []byte
	quick  quickReader
}

func (t *twilio) handshake(url string, header http.Header) ([]string, error) {
	if key := t.leg.agent.Key; key != "" {
		header.Set("X-Twilio-Signature", Signature(key, url))
	}
	return nil, nil
}

func (t *twilio) begin() error {
	t.stream, t.call = newStreamSID(), CallSID(t.leg.spec.CallID)
	if t.call == "" {
		t.call = "CA" + randomDigits()
	}
	if err := t.leg.send(true, []byte(`{"event":"connected","protocol":"Call","version":"1.0.0"}`)); err != nil {
		return err
	}
	parameters, err := json.Marshal(t.leg.parameters())
	if err != nil {
		return err
	}
	t.open("start")
	t.buf = append(t.buf, `,"start":{"accountSid":"`+AccountSID(t.leg.agent)+`","streamSid":"`+t.stream+`","callSid":"`+t.call+
		`","tracks":["inbound"],"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1},"customParameters":`...)
	t.buf = append(append(t.buf, parameters...), '}')
	if err := t.close(); err != nil {
		return err
	}
	return t.leg.ready()
}

func (t *twilio) hear(frame []byte, n int64) error {
	t.open("media")
	t.buf = append(t.buf, `,"media":{"track":"inbound","chunk":"`...)
	t.buf = strconv.AppendInt(t.buf, n+1, 10)
	t.buf = append(t.buf, `","timestamp":"`...)
	t.buf = strconv.AppendInt(t.buf, n*20, 10)
	t.buf = append(t.buf, `","payload":"`...)
	t.buf = base64.StdEncoding.AppendEncode(t.buf, frame)
	t.buf = append(t.buf, `"}`...)
	return t.close()
}

func (t *twilio) key(k rtp.Digit) error {
	t.open("dtmf")
	t.buf = append(t.buf, `,"dtmf":{"track":"inbound_track","digit":"`+string(k.Key)+`"}`...)
	return t.close()
}

func (t *twilio) played(mark string) error {
	return t.tell("mark", map[string]string{"name": mark})
}

// inform is an event that Twilio does not have: notice.
func (t *twilio) inform(words string) error {
	return t.tell("notice", map[string]string{"text": words})
}

func (t *twilio) end(string) error {
	return t.tell("stop", map[string]string{"accountSid": AccountSID(t.leg.agent), "callSid": t.call})
}

// tell sends an event with what belongs to it.
func (t *twilio) tell(event string, what map[string]string) error {
	text, err := json.Marshal(what)
	if err != nil {
		return err
	}
	t.open(event)
	t.buf = append(append(t.buf, `,"`+event+`":`...), text...)
	return t.close()
}

// open begins a message, close ends and sends it.
func (t *twilio) open(event string) {
	t.seq++
	t.buf = append(append(t.buf[:0], `{"event":"`...), event...)
	t.buf = strconv.AppendInt(append(t.buf, `","sequenceNumber":"`...), t.seq, 10)
	t.buf = append(append(append(t.buf, `","streamSid":"`...), t.stream...), '"')
}

func (t *twilio) close() error {
	t.buf = append(t.buf, '}')
	return t.leg.send(true, t.buf)
}

// twilioMessage is what an agent sends.
type twilioMessage struct {
	Event string `json:"event"`
	Media struct {
		Payload []byte `json:"payload"` // encoding/json reads base64
	} `json:"media"`
	Mark struct {
		Name string `json:"name"`
	} `json:"mark"`
	wish
}

func (t *twilio) read(text bool, message []byte) error {
	if !text {
		return errors.New("a binary message came: Twilio's media streams are JSON in text messages")
	}
	if sound, ok := t.quick.read(message); ok {
		return t.leg.say(sound)
	}
	var m twilioMessage
	if err := json.Unmarshal(message, &m); err != nil {
		return garbled(err)
	}
	switch m.Event {
	case "media":
		return t.leg.say(m.Media.Payload)
	case "mark":
		return t.leg.mark(m.Mark.Name)
	case "clear":
		t.leg.clear()
		return nil
	}
	return t.leg.grant(m.Event, &m.wish, func(err error) error { return t.refuse(m.Event, err) })
}

// refuse tells the agent why something that it asked for was not done.
func (t *twilio) refuse(event string, why error) error {
	return t.tell("error", map[string]string{"event": event, "message": why.Error()})
}
