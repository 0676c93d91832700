package agent

import (
	"net/http"

	"github.com/roomline/roomline/media/rtp"
)

// protocol speaks one wire format with one agent on one connection. One file of
// at most 150 lines makes a new one. The leg calls begin first; read is called by
// the connection's reader, everything else by its writer, never two at once: the
// leg's mutex is held. What a protocol wants done it asks of the leg (send, say,
// mark, clear, hangup, transfer, transcribe …).
type protocol interface {
	// handshake adds to what the WebSocket handshake says; url is the worker's.
	handshake(url string, header http.Header) (subprotocols []string, err error)
	// begin sends the first messages. The agent is ready when the protocol calls
	// leg.ready, here or at a later message.
	begin() error
	// hear takes 20 ms for the agent, 160 bytes of µ-law that are valid during the
	// call; n counts frames from 0 without gaps.
	hear(frame []byte, n int64) error
	// key takes a key that somebody else in the room has pressed.
	key(k rtp.Digit) error
	// played takes a mark whose place has been played out, or was cleared.
	played(mark string) error
	// read takes one message. An error is the agent's fault: FaultGarbage, unless
	// it is a *fault of its own.
	read(text bool, message []byte) error
	// end sends what the protocol says at the end, if it says anything.
	end(reason string) error
}
