package bridge

import (
	"context"
	"net/netip"
	"time"

	"github.com/roomline/roomline/dialplan"
	"github.com/roomline/roomline/media/rtp"
)

// Invite is what an INVITE asks for, before anything is decided.
type Invite struct {
	Source    netip.AddrPort // where the packet came from
	Transport string         // udp, tcp, tls, ws
	SIPCallID string
	From      string            // user part of From, percent-decoded; may be empty
	FromName  string            // display name
	To        string            // user part of the request URI, percent-decoded, parameters stripped
	Headers   map[string]string // X- headers, first value
}

// LineEventKind says what happened on a Line.
type LineEventKind uint8

// What happens on a Line, in the order it can happen.
const (
	LineRinging      LineEventKind = iota + 1 // outbound: 180
	LineEarly                                 // outbound: 183 or 180 with SDP; Media is up
	LineAnswered                              // outbound: 200; inbound: the ACK arrived
	LineHeld                                  // the peer put us on hold
	LineResumed                               // the peer took us back
	LineRenegotiated                          // a re-INVITE changed codec, ptime or address: look at Media().Params()
	LineEnded                                 // the last event; Cause is set
)

// LineEvent is one step in a Line's life.
type LineEvent struct {
	Kind    LineEventKind
	Cause   Cause  // LineEnded
	SIPCode int    // the response that caused it, if one did
	Reason  string // in words
}

// Line is the outside leg of a Call: a SIP dialog with its RTP session. Its
// methods are safe for concurrent use; those that send a request do not wait
// for the peer unless they take a context.
type Line interface {
	// Ring tells an inbound caller that it rings (180). Ringing twice is harmless.
	Ring() error
	// Answer accepts an inbound call (200 with SDP). LineAnswered follows with
	// the ACK; a caller who cancelled meanwhile makes LineEnded follow instead.
	Answer() error
	// End finishes the Line in whatever way its state asks for: a final
	// response, CANCEL or BYE. LineEnded follows. It may be called at any time, again too.
	End(cause Cause, reason string)
	// Hold puts the peer on hold or takes it back by re-INVITE, and waits for the answer.
	Hold(ctx context.Context, on bool) error
	// Events delivers what happens, LineEnded last, then is closed. It is buffered
	// so that signalling never waits for the Call.
	Events() <-chan LineEvent
	// Media is the RTP session, the same one for the Line's life. For outbound
	// lines it sends nothing before an SDP answer has come.
	Media() *rtp.Session
	// SIPCallID is the Call-ID of the dialog.
	SIPCallID() string
}

// DialSpec is one outbound call as the signalling needs it; policy has been applied.
type DialSpec struct {
	CallID      string // ours, for logs
	Trunk       dialplan.Trunk
	To          string // E.164 or SIP URI
	From        string // caller id, user part or SIP URI
	Headers     map[string]string
	RingTimeout time.Duration
}

// Dialer places calls; sip.UA is one.
type Dialer interface {
	// Dial starts an outbound call and returns at once; what becomes of it
	// arrives as events of the Line. An error means that nothing was sent.
	Dial(spec DialSpec) (Line, error)
}
