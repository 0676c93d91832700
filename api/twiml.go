package api

import (
	"encoding/xml"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
)

// The TwiML that a gateway can run on a call: what sends it on, ends it, waits or
// presses keys. Other verbs are refused before anything is done. A verb that sends
// the call on is the last that runs; those after it must be known, no more.

const (
	mostVerbs    = 32
	longestPause = 10 * time.Minute
)

// verb is one step of a document.
type verb struct {
	last    bool // the call goes on elsewhere, or ends
	pause   time.Duration
	digits  string
	on      *bridge.TransferRequest
	address string // of the document that follows
	method  string
}

// element is any XML element.
type element struct {
	XMLName  xml.Name
	Attrs    []xml.Attr `xml:",any,attr"`
	Elements []element  `xml:",any"`
	Text     string     `xml:",chardata"`
}

func (e *element) attr(name string) string {
	for _, a := range e.Attrs {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

func (e *element) text() string { return strings.TrimSpace(e.Text) }

func unknownVerb(format string, args ...any) *twilioError {
	return twilioFault(http.StatusBadRequest, 12200, format, args...)
}

// parseTwiML reads a document. base is where it came from, for relative addresses;
// it may be nil. agents are those that <Stream> may name.
func parseTwiML(text []byte, base *url.URL, agents []dialplan.Agent) ([]verb, error) {
	var doc element
	if err := xml.Unmarshal(text, &doc); err != nil {
		return nil, twilioFault(http.StatusBadRequest, 12100, "the document is no well-formed XML")
	}
	if doc.XMLName.Local != "Response" {
		return nil, unknownVerb("the document is a <%s>, not a <Response>", doc.XMLName.Local)
	}
	if len(doc.Elements) > mostVerbs {
		return nil, unknownVerb("the document has more than %d verbs", mostVerbs)
	}
	var verbs []verb
	for i := range doc.Elements {
		v, err := parseVerb(&doc.Elements[i], base, agents)
		if err != nil {
			return nil, err
		}
		if len(verbs) == 0 || !verbs[len(verbs)-1].last {
			verbs = append(verbs, v)
		}
	}
	if len(verbs) == 0 || !verbs[len(verbs)-1].last {
		verbs = append(verbs, verb{last: true}) // a document that has ended ends the call
	}
	return verbs, nil
}

func parseVerb(e *element, base *url.URL, agents []dialplan.Agent) (verb, error) {
	switch name := e.XMLName.Local; name {
	case "Hangup", "Reject":
		return verb{last: true}, nil
	case "Pause":
		return parsePause(e)
	case "Play":
		return parsePlay(e)
	case "Dial":
		return parseDial(e)
	case "Enqueue":
		if e.text() == "" {
			return verb{}, unknownVerb("<Enqueue> needs the name of a queue of the dial plan")
		}
		return sends(bridge.TransferRequest{Queue: e.text()}), nil
	case "Connect":
		return parseConnect(e, agents)
	case "Redirect":
		address, err := resolve(e.text(), base)
		return verb{last: true, address: address, method: e.attr("method")}, err
	case "Say", "Gather", "Record":
		return verb{}, unknownVerb("<%s> is not available: the gateway has no voice of its own. Let the agent speak, and redirect the call afterwards", name)
	default:
		return verb{}, unknownVerb("<%s> is not available; use Dial, Enqueue, Connect, Redirect, Pause, Play with digits, Hangup or Reject", name)
	}
}

func sends(req bridge.TransferRequest) verb { return verb{last: true, on: &req} }

func parsePause(e *element) (verb, error) {
	seconds := 1
	if text := e.attr("length"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || time.Duration(n)*time.Second > longestPause {
			return verb{}, unknownVerb("the length of <Pause> is a number of seconds, at most %.0f", longestPause.Seconds())
		}
		seconds = n
	}
	return verb{pause: time.Duration(seconds) * time.Second}, nil
}

func parsePlay(e *element) (verb, error) {
	digits := e.attr("digits")
	if digits == "" {
		return verb{}, unknownVerb("<Play> plays digits only: let the agent play sound, and redirect the call afterwards")
	}
	if strings.Trim(digits, "0123456789*#ABCDwW") != "" || len(digits) > 64 {
		return verb{}, unknownVerb("the digits of <Play> are at most 64 of 0-9 * # A-D, and w for half a second")
	}
	return verb{digits: digits}, nil
}

// parseDial finds the one number, SIP address, queue or conference.
func parseDial(e *element) (verb, error) {
	if record := e.attr("record"); record != "" && record != "do-not-record" {
		return verb{}, unknownVerb("<Dial record> is not available")
	}
	if len(e.Elements) == 0 {
		if e.text() == "" {
			return verb{}, unknownVerb("<Dial> needs a number, <Number>, <Sip>, <Queue> or <Conference>")
		}
		return sends(bridge.TransferRequest{To: e.text()}), nil
	}
	if len(e.Elements) > 1 {
		return verb{}, unknownVerb("<Dial> of several at once is not available: dial a queue, whose members ring together")
	}
	noun := &e.Elements[0]
	to := noun.text()
	if to == "" {
		return verb{}, unknownVerb("<%s> is empty", noun.XMLName.Local)
	}
	switch noun.XMLName.Local {
	case "Number", "Sip":
		return sends(bridge.TransferRequest{To: to}), nil
	case "Queue":
		return sends(bridge.TransferRequest{Queue: to}), nil
	case "Conference", "Room":
		room, err := dialplan.RoomName(to)
		if err != nil || room != to {
			return verb{}, unknownVerb("a conference is a room here: its name has 1 to 64 of A-Z a-z 0-9 . _ + -")
		}
		return sends(bridge.TransferRequest{Room: room}), nil
	}
	return verb{}, unknownVerb("<Dial> of <%s> is not available; use a number, <Number>, <Sip>, <Queue> or <Conference>", noun.XMLName.Local)
}
