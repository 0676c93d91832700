package sip

import (
	"strings"
	"testing"

	"github.com/roomline/roomline/bridge"
)

func TestCauseTable(t *testing.T) {
	for _, c := range []struct {
		code, q850 int
		rang       bool
		want       bridge.Cause
	}{
		{486, 0, true, bridge.CauseBusy}, {600, 0, false, bridge.CauseBusy},
		{404, 0, false, bridge.CauseUnknownNumber}, {484, 0, false, bridge.CauseUnknownNumber}, {604, 0, false, bridge.CauseUnknownNumber},
		{480, 0, true, bridge.CauseNoAnswer}, {480, 0, false, bridge.CauseUnreachable}, {408, 0, true, bridge.CauseNoAnswer},
		{480, 17, false, bridge.CauseBusy}, {503, 1, false, bridge.CauseUnknownNumber}, {500, 0, false, bridge.CauseUnreachable},
		{486, 1, false, bridge.CauseBusy}, // the SIP code is clear, Q.850 does not change it
		{603, 0, true, bridge.CauseRejected}, {607, 0, true, bridge.CauseRejected}, {403, 0, false, bridge.CauseForbidden},
		{401, 0, false, bridge.CauseAuthentication}, {407, 0, false, bridge.CauseAuthentication},
		{488, 0, false, bridge.CauseIncompatible}, {606, 0, false, bridge.CauseIncompatible}, {415, 0, false, bridge.CauseIncompatible},
		{302, 0, false, bridge.CauseRedirected}, {487, 0, false, bridge.CauseCanceled},
		{481, 0, false, bridge.CauseSignalling}, {420, 0, false, bridge.CauseSignalling}, {501, 0, false, bridge.CauseSignalling}, {999, 0, false, bridge.CauseRejected},
	} {
		if got := causeOf(c.code, c.q850, c.rang); got != c.want {
			t.Errorf("%d with Q.850 %d, rang %v: %q, want %q", c.code, c.q850, c.rang, got, c.want)
		}
	}
	for cause := range responses {
		if r := responseTo(cause, "a\r\nb \"c\""); r.code < 400 || strings.ContainsAny(r.phrase, "\r\n\"") {
			t.Errorf("%s: %+v", cause, r)
		}
	}
	if r := responseTo("made up", ""); r.code != 500 || r.phrase == "" {
		t.Errorf("an unknown cause: %+v", r)
	}
}

func TestReasonIsReadFromAnyOfItsForms(t *testing.T) {
	for value, want := range map[string]int{
		`Q.850;cause=17;text="User busy"`: 17, `SIP;cause=200;text="User busy", Q.850 ; cause=16`: 16,
		`q.850;text="User busy";cause=21`: 21, `SIP;cause=600;text="User busy"`: 0, `Q.850;cause=x;text="User busy"`: 0,
	} {
		req := requestFrom(t, "BYE sip:a@b.example SIP/2.0\nReason: "+value+"\nContent-Length: 0\n\n")
		if q850, text := readReason(req); q850 != want || text != "User busy" && !strings.Contains(value, "Q.850 ;") {
			t.Errorf("%s: %d %q", value, q850, text)
		}
	}
}
