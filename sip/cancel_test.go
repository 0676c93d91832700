package sip

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
)

// TestCancelAndAnswerAtTheSameMoment: whichever is first, the INVITE has one
// final response, however often that is repeated.
func TestCancelAndAnswerAtTheSameMoment(t *testing.T) {
	bubble(t, nil, func(t *testing.T, n *memNet, a *agent) {
		for i := range 400 {
			w := n.wire(t, a.Addr())
			c, d := w.ring(a, "", sampleSDP("127.0.0.1", 40000, ""))
			cancel := d
			cancel.method, cancel.body = "CANCEL", ""
			w.sendDraft(cancel)
			runtime.Gosched() // lets the CANCEL come in, or not
			c.Answer()
			time.Sleep(time.Second)
			c.End(bridge.CauseNormal, "")
			final := 0
			for {
				m, ok := w.receive(time.Millisecond)
				if !ok {
					break
				}
				if m.code >= 200 && strings.HasSuffix(m.value("cseq"), "INVITE") {
					if final != 0 && final != m.code {
						t.Fatalf("call %d: %d and %d", i, final, m.code)
					}
					final = m.code
				}
			}
			if final == 0 {
				t.Fatalf("call %d has no final response: %s", i, w.history())
			}
		}
	})
}
