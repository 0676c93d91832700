package agent

import (
	"net/http"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
	"github.com/roomline/roomline/media/rtp"
)

// protocol speaks one wire format with one agent on one connection. One file of
// at most 150 lines makes a new one. Its methods are never called two at once
// (the leg's mutex is held), never on a goroutine of packets or the beat, and do
// not wait: what they send goes through [leg.send], which queues it. What is to
// be done they ask of the leg, see asked.go. An error that any of them returns
// ends the leg: it is FaultGarbage, unless it is a *fault of its own.
type protocol interface {
	// handshake adds to what the WebSocket handshake says; url is the worker's.
	handshake(url string, header http.Header) (subprotocols []string, err error)
	// begin is called when the connection is up. The agent gets its seat when the
	// protocol calls leg.ready, here or at a later message; until then nothing is
	// heard, and it cannot speak.
	begin() error
	// hear takes 20 ms for the agent, 160 bytes of µ-law that are valid during the
	// call; n counts frames from 0 without gaps.
	hear(frame []byte, n int64) error
	// key takes a key that somebody else in the room has pressed.
	key(k rtp.Digit) error
	// played takes a mark whose place has been played out, or was cleared.
	played(mark string) error
	// read takes one message, valid during the call.
	read(text bool, message []byte) error
	// end sends what the protocol says at the end, if it says anything.
	end(reason string) error
}

// newProtocol makes what an agent is spoken to in.
func newProtocol(l *leg) (protocol, error) {
	switch l.agent.Protocol {
	case "", dialplan.TwilioMediaStreams:
		return &twilio{leg: l}, nil
	case dialplan.OpenAIRealtime:
		return newOpenAI(l)
	case dialplan.WebSocketL16:
		return newL16(l)
	}
	return nil, faulty(bridge.FaultInternal, "the protocol %s is unknown", l.agent.Protocol)
}

// informed is what a protocol may be, too: one that can tell the agent something
// in words that nobody has said, such as that it now speaks with somebody else.
type informed interface{ inform(words string) error }
