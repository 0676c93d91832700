package main

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/phone"
)

// agentPlan is a plan with one agent, and a carrier that is a phone.
func agentPlan(a *agentProgram, carrier string) string {
	return fmt.Sprintf(`
trunks:
  - {name: carrier, outbound: {servers: ["%s"]}, limits: {prefixes: ["+1202"]}}
agents:
  - {name: bot, url: "%s", probe: "off"}
routes:
  - {name: bot, to: bot, agent: bot}
  - {name: early, to: early, agent: bot, answer: early}
  - {name: ready, to: ready, agent: bot, answer: ready}
  - {name: out, from_room: true, to: "+1202*", trunk: carrier}
`, carrier, a.url())
}

// TestAnAgentTalksToWhomItCalls: it is there when the phone answers, and has said
// nothing before.
func TestAnAgentTalksToWhomItCalls(t *testing.T) {
	a, callee := startAgent(t, 1000), softphone(t, phone.Config{})
	h := startHouse(t, agentPlan(a, callee.Addr().String()))
	var rec bridge.CallRecord
	if status := h.ask("POST", "/v1/calls", map[string]any{"to": "+12025550123", "agent": "bot"}, &rec); status != 201 || rec.ID == "" {
		t.Fatalf("status %d, %+v", status, rec)
	}
	in := next(t, callee)
	if err := in.Ring(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * agentThinks) // it speaks by now
	answered := time.Now()
	if err := in.Answer(within(t, 20*time.Second)); err != nil {
		t.Fatal(err)
	}
	at := -1
	h.until("the agent is heard", func() bool { at = onsetOf(in.Heard(), 1000); return at >= 0 })
	if late := in.HeardSince().Add(timeOfSamples(at)).Sub(answered); late > 500*time.Millisecond {
		t.Errorf("the agent is heard %v after the answer", late)
	}
	h.ask("GET", "/v1/calls/"+rec.ID, nil, &rec)
	if rec.Agent != "bot" || rec.State != bridge.StateActive {
		t.Errorf("the call is %+v", rec)
	}
	if status := h.ask("POST", "/v1/calls/"+rec.ID+"/transfer", map[string]any{"room": "desk"}, &rec); status != 200 || rec.Room != "desk" {
		t.Errorf("transfer: status %d, %+v", status, rec)
	}
	h.until("the agent has left", func() bool { return len(h.exchange.Rooms()) == 1 })
	if status := h.ask("POST", "/v1/calls/"+rec.ID+"/transfer", map[string]any{"agent": "bot"}, &rec); status != 200 {
		t.Errorf("transfer back: status %d", status)
	}
	from := len(in.Heard())
	h.until("the agent is heard again", func() bool { return onsetOf(in.HeardFrom(from), 1000) >= 0 })
	if status := h.ask("DELETE", "/v1/calls/"+rec.ID, nil, nil); status != 204 {
		t.Errorf("hang up: status %d", status)
	}
	if d := h.cdrs(1)[0]; d.Agent != "bot" || d.Cause != bridge.CauseNormal {
		t.Errorf("CDR %+v", d)
	}
}

// TestCallersWaitForAnAgentUnanswered freezes the agent until they have waited.
func TestCallersWaitForAnAgentUnanswered(t *testing.T) {
	for name, hearsFiller := range map[string]bool{"early": true, "ready": false} {
		t.Run(name, func(t *testing.T) {
			a := startAgent(t, 1000)
			h := startHouse(t, agentPlan(a, "127.0.0.1:9"))
			a.signal(syscall.SIGSTOP)
			c, err := softphone(t, phone.Config{}).Call("sip:"+name+"@"+h.ua.Addr().String(), phone.DialOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if hearsFiller {
				h.until("a filler is heard", func() bool { return media.Level(c.Heard()) > -50 })
			} else {
				<-c.Ringing()
				time.Sleep(300 * time.Millisecond)
			}
			for _, rec := range h.exchange.Calls() {
				if rec.AnsweredAt != nil {
					t.Error("answered before the agent is ready")
				}
			}
			a.signal(syscall.SIGCONT)
			if err := c.Answered(within(t, 20*time.Second)); err != nil {
				t.Fatal(err)
			}
			h.until("the agent is heard", func() bool { return onsetOf(c.Heard(), 1000) >= 0 })
			c.Hangup()
			h.until("nobody is left", func() bool { return len(h.exchange.Rooms()) == 0 })
		})
	}
}

// TestAnAgentListensInARoom is a co-pilot's way in and out.
func TestAnAgentListensInARoom(t *testing.T) {
	a := startAgent(t, 1000)
	h := startHouse(t, agentPlan(a, "127.0.0.1:9"))
	c := h.calls(softphone(t, phone.Config{}), "lobby", phone.DialOptions{})
	var p bridge.ParticipantRecord
	if status := h.ask("POST", "/v1/rooms/lobby/agents", map[string]any{"agent": "bot"}, &p); status != 201 || p.Kind != bridge.KindAgent {
		t.Fatalf("status %d, %+v", status, p)
	}
	h.until("the agent is heard", func() bool { return onsetOf(c.Heard(), 1000) >= 0 })
	if status := h.ask("DELETE", "/v1/rooms/lobby/agents/"+p.ID, nil, nil); status != 204 {
		t.Errorf("status %d", status)
	}
	h.until("the agent has left", func() bool {
		r, ok := h.exchange.Room("lobby")
		return ok && len(r.Record().Participants) == 1
	})
	if status := h.ask("POST", "/v1/rooms/lobby/agents", map[string]any{"agent": "nobody"}, nil); status != 404 {
		t.Errorf("an agent that there is not: status %d", status)
	}
}

// timeOfSamples is how long they last.
func timeOfSamples(n int) time.Duration {
	return time.Duration(n) * time.Second / media.NarrowbandHz
}
