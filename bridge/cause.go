package bridge

// Cause is why a Leg or a Call ended. There is one list for the whole house;
// sip/cause.go translates it to and from SIP responses.
type Cause string

// Causes, with the Q.850 value that [Cause.Q850] gives.
const (
	CauseNone           Cause = ""
	CauseNormal         Cause = "normal"             // somebody hung up after the answer
	CauseCanceled       Cause = "canceled"           // the caller gave up before the answer
	CauseBusy           Cause = "busy"               // the called side is busy
	CauseNoAnswer       Cause = "no_answer"          // it rang and nobody answered in time
	CauseRejected       Cause = "rejected"           // the called side declined
	CauseUnknownNumber  Cause = "unknown_number"     // nobody has that number
	CauseUnreachable    Cause = "unreachable"        // no response, ICMP, DNS failure, 503
	CauseNoRoute        Cause = "no_route"           // the dial plan sends it nowhere
	CauseForbidden      Cause = "forbidden"          // an unknown source, or a destination that policy forbids
	CauseAuthentication Cause = "authentication"     // credentials refused
	CauseIncompatible   Cause = "incompatible_media" // no common codec, address family or direction
	CauseMediaTimeout   Cause = "media_timeout"      // RTP fell silent
	CauseSignalling     Cause = "signalling"         // the dialog broke: lost ACK, 481, malformed answer
	CauseRedirected     Cause = "redirected"         // 3xx, which policy does not follow
	CauseLimit          Cause = "limit"              // a configured limit was reached
	CauseShutdown       Cause = "shutdown"           // the gateway drains or stops
	CauseInternal       Cause = "internal"           // our fault; the log says more
)

// Q850 returns the ITU-T Q.850 value of the cause, 16 for a normal end.
func (c Cause) Q850() int {
	switch c {
	case CauseBusy:
		return 17
	case CauseNoAnswer:
		return 19
	case CauseRejected, CauseForbidden, CauseAuthentication:
		return 21
	case CauseUnknownNumber:
		return 1
	case CauseUnreachable:
		return 27
	case CauseNoRoute:
		return 3
	case CauseIncompatible:
		return 88
	case CauseMediaTimeout, CauseSignalling:
		return 111
	case CauseRedirected:
		return 23
	case CauseLimit:
		return 42
	case CauseShutdown:
		return 41
	case CauseInternal:
		return 127
	}
	return 16
}
