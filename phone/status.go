package phone

import (
	"fmt"

	"github.com/roomline/roomline/bridge"
)

// Exit statuses of the commands.
const (
	ExitTalked      = 0 // it went as asked
	ExitFailed      = 1 // our fault, or the call broke
	ExitUsage       = 2 // the command line makes no sense
	ExitBusy        = 3
	ExitNoAnswer    = 4 // it rang and nobody answered, or nobody called
	ExitRejected    = 5 // declined, forbidden, credentials refused, unknown number, no common codec
	ExitUnreachable = 6 // no response, or the other side is out of service
	ExitSilent      = 7 // --expect-audio, and nothing was heard
)

// statuses is the table from the Cause of a call that was not answered.
var statuses = map[bridge.Cause]int{
	bridge.CauseBusy: ExitBusy, bridge.CauseNoAnswer: ExitNoAnswer, bridge.CauseUnreachable: ExitUnreachable,
	bridge.CauseRejected: ExitRejected, bridge.CauseForbidden: ExitRejected, bridge.CauseAuthentication: ExitRejected,
	bridge.CauseUnknownNumber: ExitRejected, bridge.CauseNoRoute: ExitRejected, bridge.CauseRedirected: ExitRejected,
	bridge.CauseIncompatible: ExitRejected, bridge.CauseLimit: ExitRejected, bridge.CauseNormal: ExitRejected,
}

// status is the exit status for the call alone.
func (r *Report) status() int {
	switch {
	case r.Answered && (r.Cause == bridge.CauseNormal || r.Cause == bridge.CauseNone):
		return ExitTalked
	case r.Answered:
		return ExitFailed
	case r.Direction == "inbound" && r.Cause == bridge.CauseCanceled:
		return ExitNoAnswer // by us: the caller gave up
	}
	if s, ok := statuses[r.Cause]; ok {
		return s
	}
	return ExitFailed
}

// ExitError is a command's end with a status other than 0. It implements
// kong.ExitCoder. Told is set when the report has said it already, so that the
// error needs no further words.
type ExitError struct {
	Status int
	Told   bool
	Err    error
}

// Error implements error.
func (e *ExitError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit status %d", e.Status)
	}
	return e.Err.Error()
}

// Unwrap returns the reason.
func (e *ExitError) Unwrap() error { return e.Err }

// ExitCode is the process's exit status.
func (e *ExitError) ExitCode() int { return e.Status }

func usage(format string, args ...any) error {
	return &ExitError{Status: ExitUsage, Err: fmt.Errorf(format, args...)}
}
