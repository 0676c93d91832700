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
	Trunk     string         // the trunk whose password the caller has shown; empty: known by Source, or not at all
	SIPCallID string
	From      string            // user part of From, percent-decoded; may be empty
	FromName  string            // display name
	To        string            // user part of the request URI, percent-decoded, parameters stripped
	Headers   map[string]string // X- header fields, and those that a trunk's header map or a route names; first value
	Identity  Identity
	Replaces  Line    // the call that this one takes the place of (RFC 3891); nil: none
	Hops      Hops    // to be copied into the DialSpec of a call made on behalf of this one
	Ticket    *Ticket // from Admit to Incoming: an empty one of the user agent's; nil: both decide for themselves
}

// Identity is what signalling says about who calls, beyond From. It means
// something only when a trusted trunk says it.
type Identity struct {
	Asserted  string   // P-Asserted-Identity: number or user part, else URI; RFC 3325
	Private   bool     // Privacy: id or more; RFC 3323
	Diversion []string // who was called before, the latest first: number and reason; RFC 5806, RFC 7044
}

// Hops is how far a call has come through SIP servers, against loops. The zero
// value is a call that begins here. The signalling reads and writes it alone.
type Hops struct {
	Left int    // how many more it may take: Max-Forwards, RFC 3261 section 8.1.1.6
	Path string // marks of the stations on the way that know to leave one
}

// AnsweredElsewhere is the reason of a call that ended with CauseCanceled because
// another phone took it (RFC 3326): phones then list no missed call. Given to
// Line.End it is said to the peer in that form, too.
const AnsweredElsewhere = "the call was answered elsewhere"

// LineEventKind says what happened on a Line.
type LineEventKind uint8

// What happens on a Line, in the order it can happen.
const (
	LineRinging      LineEventKind = iota + 1 // outbound: 180
	LineEarly                                 // outbound: 183 or 180 with SDP; inbound: what Early sent was acknowledged. Media is up
	LineAnswered                              // outbound: 200; inbound: the ACK arrived
	LineHeld                                  // the peer put us on hold
	LineResumed                               // the peer took us back
	LineRenegotiated                          // codec, ptime, address or protection changed: look at Media().Params() and Security()
	LineDigit                                 // a key by SIP INFO: Digit
	LineReferred                              // the peer asks to transfer the call: Referral
	LineVerified                              // the caller's number was verified, or not: Verstat
	LineEnded                                 // the last event; Cause is set
)

// LineEvent is one step in a Line's life.
type LineEvent struct {
	Kind     LineEventKind
	Cause    Cause     // LineEnded
	SIPCode  int       // the response that caused it, if one did
	Reason   string    // in words
	Contacts []string  // LineEnded with CauseRedirected: where the 3xx points to, the best first: numbers or URIs, as in Referral.To
	Digit    rtp.Digit // LineDigit
	Referral *Referral // LineReferred
	Verstat  string    // LineVerified: TN-Validation-Passed, TN-Validation-Failed or No-TN-Validation, with the attestation: TN-Validation-Passed-A
}

// Referral is a REFER of the peer's (RFC 3515). Exactly one of Refuse and Accept
// is called, once; after Accept, Progress tells the peer how it goes until a
// final code, 200 or more. None of them waits.
type Referral struct {
	To       string // number or user part, else URI: what is to be dialled, held to the dial plan's policy
	URI      string // of Refer-To as it came
	By       string // Referred-By, may be empty
	Replaces Line   // an attended transfer to a call of our own; nil: dial To
	// RawReplaces is the Replaces of an attended transfer to a call that is not ours, else empty.
	RawReplaces string

	Refuse   func(cause Cause, reason string)
	Accept   func()
	Progress func(code int, phrase string)
}

// Line is the outside leg of a Call: a SIP dialog with its RTP session. Its
// methods are safe for concurrent use; those that send a request do not wait
// for the peer unless they take a context.
type Line interface {
	// Ring tells an inbound caller that it rings (180). Ringing twice is harmless.
	Ring() error
	// Early answers an inbound call's SDP before the call is answered (183), so
	// that the caller hears what Media sends. Doing it twice is harmless.
	Early() error
	// Answer accepts an inbound call (200 with SDP). LineAnswered follows with
	// the ACK; a caller who cancelled meanwhile makes LineEnded follow instead.
	Answer() error
	// End finishes the Line in whatever way its state asks for: a final
	// response, CANCEL or BYE. LineEnded follows. It may be called at any time, again too.
	End(cause Cause, reason string)
	// Hold puts the peer on hold or takes it back by re-INVITE, and waits for the answer.
	Hold(ctx context.Context, on bool) error
	// Refer asks the peer to call somebody else in our stead (RFC 3515): target is
	// a number or URI; with, if not nil, the Line that the new call replaces
	// (attended transfer). It waits until the peer says how it ended.
	Refer(ctx context.Context, target string, with Line) error
	// SendDigit sends one key by SIP INFO; it waits for the answer.
	SendDigit(ctx context.Context, key rune, duration time.Duration) error
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
	From        string // caller id, user part or SIP URI; the trunk's caller-id rules have been applied
	FromName    string // display name, may be empty
	Identity    Identity
	Replaces    string            // a Replaces header field's value for an attended transfer elsewhere, or empty
	Headers     map[string]string // of the INVITE; the trunk's header map has been applied
	RingTimeout time.Duration
	Hops        Hops // of the Invite that this call is made for; a loop that used them up is an error of Dial
}

// Dialer places calls; sip.UA is one.
type Dialer interface {
	// Dial starts an outbound call and returns at once; what becomes of it
	// arrives as events of the Line. An error means that nothing was sent.
	Dial(spec DialSpec) (Line, error)
}
