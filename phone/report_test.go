package phone

import (
	"testing"

	"github.com/roomline/roomline/bridge"
)

func TestEndingWords(t *testing.T) {
	for want, f := range map[string]Failure{
		"busy, SIP 486, Busy Here": {bridge.CauseBusy, 486, "486 Busy Here"},
		"busy, SIP 486":            {bridge.CauseBusy, 486, ""},
		"no_answer, in time":       {bridge.CauseNoAnswer, 0, "in time"},
	} {
		if got := f.Error(); got != "the call was not answered: "+want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// Every cause of an unanswered call has its exit status.
func TestStatusByCause(t *testing.T) {
	for cause, want := range map[bridge.Cause]int{
		bridge.CauseBusy: 3, bridge.CauseNoAnswer: 4, bridge.CauseRejected: 5, bridge.CauseForbidden: 5, bridge.CauseAuthentication: 5,
		bridge.CauseUnknownNumber: 5, bridge.CauseUnreachable: 6, bridge.CauseInternal: 1, bridge.CauseCanceled: 1, bridge.CauseSignalling: 1,
	} {
		if got := (&Report{Cause: cause, Direction: "outbound"}).status(); got != want {
			t.Errorf("%s exits with %d, want %d", cause, got, want)
		}
	}
	if got := (&Report{Answered: true, Cause: bridge.CauseMediaTimeout}).status(); got != ExitFailed {
		t.Errorf("a call that broke exits with %d", got)
	}
}
