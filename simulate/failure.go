package simulate

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/phone"
)

// Kind is why a scenario failed, for programs: the type of a JUnit failure.
type Kind string

// The kinds of failures.
const (
	KindBusy        Kind = "busy"        // 486, 600
	KindNoAnswer    Kind = "no-answer"   // it rang, or not, and nobody answered in time
	KindNotFound    Kind = "not-found"   // 404, 410, 484, 604
	KindRejected    Kind = "rejected"    // any other refusal
	KindUnreachable Kind = "unreachable" // no response at all, or 502, 503
	KindNoMedia     Kind = "no-media"    // answered, and no RTP came
	KindHungUp      Kind = "hung-up"     // the other side, before the steps were done
	KindExpectation Kind = "expectation" // what was expected did not come
	KindLimit       Kind = "limit"       // a figure is out of its bounds
	KindTimeout     Kind = "timeout"     // of the whole scenario
	KindInterrupted Kind = "interrupted" // by Ctrl-C
	KindTool        Kind = "tool"        // the synthesiser, the recogniser or this program failed
)

// Failure is why a scenario did not pass.
type Failure struct {
	Kind     Kind
	Step     int           // index of the step, -1: none
	Line     int           // in the file, 0: none
	Doing    string        // the step in words, "dial", or "assert"
	Expected string        // in words
	Heard    string        // what came instead, in words
	At       time.Duration // when, from the answer
}

// Error says all of it in one line.
func (f *Failure) Error() string {
	var s strings.Builder
	if f.Step >= 0 {
		fmt.Fprintf(&s, "step %d ", f.Step+1)
	}
	if f.Line > 0 {
		fmt.Fprintf(&s, "(line %d) ", f.Line)
	}
	fmt.Fprintf(&s, "%s: ", f.Doing)
	if f.Expected != "" {
		fmt.Fprintf(&s, "expected %s; ", f.Expected)
	}
	fmt.Fprintf(&s, "%s, at %.2f s", f.Heard, f.At.Seconds())
	return s.String()
}

// kinds is the table from the cause of a call that was not answered.
var kinds = map[bridge.Cause]Kind{
	bridge.CauseBusy: KindBusy, bridge.CauseNoAnswer: KindNoAnswer, bridge.CauseUnknownNumber: KindNotFound,
	bridge.CauseNoRoute: KindNotFound, bridge.CauseUnreachable: KindUnreachable,
}

// kindOf tells a refusal's kind.
func kindOf(f *phone.Failure) Kind {
	if k, ok := kinds[f.Cause]; ok {
		return k
	}
	return KindRejected
}

// refusals are the words for a refusal that files may use, beside SIP codes.
var refusals = []string{string(KindBusy), string(KindNoAnswer), string(KindNotFound), string(KindRejected), string(KindUnreachable)}

// cause checks how a call is to be refused.
func (r *suiteReader) cause(n *yaml.Node, path, word string) {
	code, err := strconv.Atoi(word)
	if slices.Contains(refusals, word) || err == nil && code >= 300 && code <= 699 {
		return
	}
	r.wrong(n, path, "expected a SIP code from 300 to 699, or one of %s", strings.Join(refusals, ", "))
}

// fits reports whether a refusal is as expected.
func fits(cause string, f *phone.Failure) bool {
	return cause == "" || cause == string(kindOf(f)) || cause == strconv.Itoa(f.SIPCode)
}
