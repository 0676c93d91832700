package sip

import (
	"fmt"
	"strconv"
	"strings"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/sip/grammar"
	"github.com/roomline/roomline/sip/text"
)

// mostReasons bounds how many Reason values of one message are read.
const mostReasons = 8

// reasonField is the Reason header field of RFC 3326 for a cause.
func reasonField(cause bridge.Cause, reason string) sipmsg.Header {
	if reason == bridge.AnsweredElsewhere {
		return sipmsg.NewHeader("Reason", `SIP;cause=200;text="Call completed elsewhere"`)
	}
	value := fmt.Sprintf("Q.850;cause=%d", cause.Q850())
	if reason != "" {
		value += `;text="` + text.Printable(reason, 200) + `"`
	}
	return sipmsg.NewHeader("Reason", value)
}

// readReason takes the Q.850 cause, 0 if none, and words out of a message's
// Reason fields, which may hold one value for each of several protocols.
func readReason(m sipmsg.Message) (q850 int, words string) {
	elsewhere, n := false, 0
	for _, h := range m.GetHeaders("Reason") {
		for _, part := range grammar.Split(h.Value(), ',') {
			if n++; n > mostReasons {
				break
			}
			protocol, params, _ := strings.Cut(strings.TrimSpace(part), ";")
			t, _ := grammar.Param(";"+params, "text")
			v, _ := grammar.Param(";"+params, "cause")
			cause, err := strconv.Atoi(v)
			if err != nil {
				cause = 0
			}
			switch strings.ToUpper(strings.TrimSpace(protocol)) {
			case "Q.850":
				q850 = cause
			case "SIP":
				elsewhere = elsewhere || cause == 200
				if t == "" && cause >= 300 && cause < 700 {
					t = "SIP cause " + v
				}
			}
			if words == "" {
				words = text.Printable(grammar.Unquote(strings.Trim(t, `"`)), 200)
			}
		}
	}
	if elsewhere {
		words = bridge.AnsweredElsewhere
	}
	return q850, words
}
