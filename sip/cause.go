package sip

import (
	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/sip/text"
)

// response is how a Cause is said to a caller whose INVITE is still open.
type response struct {
	code   int
	phrase string // used when there are no better words
}

// responses is the table from Cause to SIP, with RFC 3398 section 8.2.6.1 as its model.
var responses = map[bridge.Cause]response{
	bridge.CauseNormal:         {603, "Decline"},
	bridge.CauseCanceled:       {487, "Request Terminated"},
	bridge.CauseBusy:           {486, "Busy Here"},
	bridge.CauseNoAnswer:       {480, "Temporarily Unavailable"},
	bridge.CauseRejected:       {603, "Decline"},
	bridge.CauseUnknownNumber:  {404, "Not Found"},
	bridge.CauseUnreachable:    {503, "Service Unavailable"},
	bridge.CauseNoRoute:        {404, "Not Found"},
	bridge.CauseForbidden:      {403, "Forbidden"},
	bridge.CauseAuthentication: {403, "Forbidden"},
	bridge.CauseIncompatible:   {488, "Not Acceptable Here"},
	bridge.CauseMediaTimeout:   {504, "Server Time-out"},
	bridge.CauseSignalling:     {500, "Server Internal Error"},
	bridge.CauseRedirected:     {480, "Temporarily Unavailable"},
	bridge.CauseLimit:          {503, "Service Unavailable"},
	bridge.CauseShutdown:       {503, "Service Unavailable"},
	bridge.CauseInternal:       {500, "Server Internal Error"},
}

// responseTo gives the response for a cause; reason in words takes the
// standard phrase's place.
func responseTo(cause bridge.Cause, reason string) response {
	r, ok := responses[cause]
	if !ok {
		r = response{500, "Server Internal Error"}
	}
	if reason != "" {
		r.phrase = text.Printable(reason, 200)
	}
	return r
}

// causeOf translates the final response to our INVITE. rang says that a 180 was
// seen; q850 is the Reason header field's cause, 0 for none, which decides
// where the SIP code is vague.
func causeOf(code, q850 int, rang bool) bridge.Cause {
	if c, ok := causeOfQ850[q850]; ok && (code == 480 || code >= 500 && code < 600) {
		return c
	}
	switch {
	case code >= 300 && code < 400:
		return bridge.CauseRedirected
	case (code == 408 || code == 480) && rang:
		return bridge.CauseNoAnswer
	case code >= 500 && code < 600 && code != 501 && code != 505 && code != 513:
		return bridge.CauseUnreachable
	}
	if c, ok := causeOfCode[code]; ok {
		return c
	}
	if code >= 600 {
		return bridge.CauseRejected
	}
	return bridge.CauseSignalling
}

var causeOfCode = map[int]bridge.Cause{
	401: bridge.CauseAuthentication, 407: bridge.CauseAuthentication,
	402: bridge.CauseRejected, 403: bridge.CauseForbidden, 433: bridge.CauseRejected,
	404: bridge.CauseUnknownNumber, 410: bridge.CauseUnknownNumber, 484: bridge.CauseUnknownNumber,
	485: bridge.CauseUnknownNumber, 604: bridge.CauseUnknownNumber,
	408: bridge.CauseUnreachable, 480: bridge.CauseUnreachable, 430: bridge.CauseUnreachable,
	406: bridge.CauseIncompatible, 415: bridge.CauseIncompatible, 488: bridge.CauseIncompatible, 606: bridge.CauseIncompatible,
	486: bridge.CauseBusy, 600: bridge.CauseBusy,
	487: bridge.CauseCanceled,
}

var causeOfQ850 = map[int]bridge.Cause{
	1: bridge.CauseUnknownNumber, 28: bridge.CauseUnknownNumber,
	3: bridge.CauseNoRoute, 17: bridge.CauseBusy,
	18: bridge.CauseNoAnswer, 19: bridge.CauseNoAnswer, 21: bridge.CauseRejected,
	27: bridge.CauseUnreachable, 38: bridge.CauseUnreachable, 65: bridge.CauseIncompatible, 88: bridge.CauseIncompatible,
}
