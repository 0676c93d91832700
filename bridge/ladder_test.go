package bridge

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomline/roomline/dialplan"
)

// served brings a caller to a route whose agent is there and has spoken.
func (h *house) served(t *testing.T, agents *fakeAgents, to string) (*fakeLine, *Call, *wire) {
	t.Helper()
	l, c := h.calling(to)
	a := agents.latest(t, 1)
	a.comes()
	synctest.Wait()
	a.speaks(100 * time.Millisecond)
	synctest.Wait()
	return l, c, overhear(c)
}

func TestAnAgentThatFailsIsReplaced(t *testing.T) {
	for _, fault := range []Fault{FaultRefused, FaultTimeout, FaultGone, FaultSilent, FaultSlow, FaultGarbage, FaultFlood, FaultTooLarge, FaultInternal} {
		synctest.Test(t, func(t *testing.T) {
			h, agents := openAttended(t)
			l, c, w := h.served(t, agents, "bot")
			room, _ := h.Room("call-" + c.id)
			watcher := join(t, room, "dispatcher", KindBrowser)
			c.Transcribe(Utterance{Kind: KindPhone, Text: "my order is late", Final: true})
			w.heard(t, time.Second)
			agents.latest(t, 1).fails(fault, "a reason")
			if filler, _ := heardOf(w.heard(t, 300*time.Millisecond)); !filler {
				t.Errorf("%s: no filler within 300 ms", fault)
			}
			a := agents.latest(t, 2)
			if b := a.spec.Handover; b == nil || b.By != "bot" || !strings.Contains(b.Reason, string(fault)) || len(b.Transcript) != 1 || a.spec.Withheld {
				t.Errorf("%s: sent %+v with %+v", fault, a.spec, b)
			}
			a.comes()
			synctest.Wait()
			a.speaks(time.Second)
			if filler, agent := heardOf(w.heard(t, time.Second)[800:6400]); filler || !agent {
				t.Errorf("%s: filler %v, agent %v, while the other one speaks", fault, filler, agent)
			}
			if watcher.Room().Name() != room.Name() || len(h.in(room.Name())) != 3 {
				t.Errorf("%s: in the room are %q", fault, h.in(room.Name()))
			}
			watcher.Leave()
			l.ended(LineEvent{Cause: CauseNormal})
			h.cdr(c)
			if !a.isOver() {
				t.Errorf("%s: the agent stays when the caller has gone", fault)
			}
			h.over()
		})
	}
}

func TestTheLadderGoesOnAfterThreeReplacements(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, agents := openAttended(t)
		l, c, w := h.served(t, agents, "bot")
		for n := range mostReplacements {
			agents.latest(t, n+1).fails(FaultGone, "reset")
		}
		agents.latest(t, 4).fails(FaultGone, "reset")
		agents.latest(t, 4)
		if r := c.Record(); r.Room != "desk" || r.State != StateActive || r.Agent != "bot" {
			t.Errorf("the call is %+v", r)
		}
		w.heard(t, time.Second)
		if filler, agent := heardOf(w.heard(t, time.Second)); filler || agent {
			t.Error("there is no quiet in the room of the else")
		}
		l.ended(LineEvent{Cause: CauseNormal})
		if d := h.cdr(c); strings.Count(d.Reason, "gone") != 1 {
			t.Errorf("reason %q", d.Reason)
		}
		h.over()
	})
}

func TestReplacementsOfAnHourAgoDoNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, agents := openAttended(t)
		_, c, _ := h.served(t, agents, "plain")
		for n := 1; n < 30; n++ {
			a := agents.latest(t, n)
			a.comes()
			synctest.Wait()
			a.speaks(time.Second)
			time.Sleep(25 * time.Second)
			a.fails(FaultGone, "reset")
		}
		if c.Record().State != StateActive {
			t.Errorf("the call is %+v", c.Record())
		}
		h.over()
	})
}

// Every step of a ladder is taken in its order, and named at the end.
func TestTheWholeLadder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, agents := openAttended(t)
		_, c, w := h.served(t, agents, "ladder")
		agents.refuse(refuse(LimitReached, "", "the pool is full"))
		agents.latest(t, 1).fails(FaultGone, "reset")
		leg := h.legs(1)[0]
		if leg.spec.To != "+12025550199" {
			t.Errorf("dialled %s", leg.spec.To)
		}
		if filler, _ := heardOf(w.heard(t, 300*time.Millisecond)); !filler {
			t.Error("no filler while the number is dialled")
		}
		leg.ended(LineEvent{Cause: CauseBusy, SIPCode: 486, Reason: "Busy Here"})
		w.heard(t, busyLength)
		d := h.cdr(c)
		want := []string{"agent plain failed (gone): reset", "agent plain: the pool is full", "agent bot: the pool is full", "+12025550199: Busy Here"}
		at := 0
		for _, words := range want {
			i := strings.Index(d.Reason[at:], words)
			if i < 0 {
				t.Fatalf("reason %q lacks %q at its place", d.Reason, words)
			}
			at += i
		}
		if d.Cause != CauseBusy || d.Agent != "bot" {
			t.Errorf("CDR %+v", d)
		}
		h.over()
	})
}

func TestAFullPoolDoesNotRefuseACall(t *testing.T) {
	for to, room := range map[string]string{"bot": "desk", "911": "sos", "ready": "desk", "early": "desk"} {
		synctest.Test(t, func(t *testing.T) {
			h, agents := openAttended(t)
			agents.refuse(refuse(LimitReached, "", "the pool is full"))
			l, c := h.calling(to)
			if r := c.Record(); r.Room != room || r.State != StateActive || len(l.answered) != 1 {
				t.Errorf("%s: %+v", to, r)
			}
			l.ended(LineEvent{Cause: CauseNormal})
			h.cdr(c)
			h.over()
		})
	}
}

func TestWithoutElseAFullPoolIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, agents := openAttended(t)
		agents.refuse(refuse(LimitReached, "", "the pool is full"))
		l, c := h.calling("plain")
		if d := h.cdr(c); d.Cause != CauseLimit || d.AnsweredAt != nil || len(l.answered) != 0 || !strings.Contains(d.Reason, "full") {
			t.Errorf("CDR %+v", d)
		}
		h.over()
	})
}

func TestAnAgentThatIsNeverReadyGivesWayInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, agents := openAttended(t)
		_, c := h.calling("bot")
		for n := 1; n < 4 && c.Record().Room != "desk"; n++ {
			time.Sleep(8 * time.Second)
			agents.latest(t, n).fails(FaultTimeout, "it does not answer")
			synctest.Wait()
		}
		if c.Record().Room != "desk" || len(agents.sent()) != 2 {
			t.Errorf("after %d agents the call is in %s", len(agents.sent()), c.Record().Room)
		}
		h.over()
	})
}

func TestACallRingsUntilTheAgentIsReady(t *testing.T) {
	for to, early := range map[string]int{"ready": 0, "early": 1} {
		synctest.Test(t, func(t *testing.T) {
			h, agents := openAttended(t)
			l, c := h.calling(to)
			time.Sleep(5 * time.Second)
			if l.early != early || len(l.answered) != 0 || c.Record().State != StateRinging {
				t.Errorf("%s: %d early, %d answers, %s", to, l.early, len(l.answered), c.Record().State)
			}
			if early > 0 {
				if filler, _ := heardOf(overhear(c).heard(t, time.Second)); !filler {
					t.Error("nothing is heard before the answer")
				}
			}
			agents.latest(t, 1).fails(FaultRefused, "it said 503")
			a := agents.latest(t, 2)
			if !a.spec.Withheld {
				t.Error("the agent speaks before the answer")
			}
			a.comes()
			synctest.Wait()
			if c.Record().State != StateActive || len(l.answered) != 1 || !a.admitted {
				t.Errorf("%s: %+v, admitted: %v", to, c.Record(), a.admitted)
			}
			w := overhear(c)
			a.speaks(time.Second)
			if filler, agent := heardOf(w.heard(t, 500*time.Millisecond)[800:]); filler || !agent {
				t.Errorf("%s: filler %v, agent %v", to, filler, agent)
			}
			h.over()
		})
	}
}

func TestAnAgentThatIsNotReadyInTimeIsNotAnsweredFor(t *testing.T) {
	for _, to := range []string{"ready", "early"} {
		synctest.Test(t, func(t *testing.T) {
			h, agents := openAttended(t)
			l, c := h.calling(to)
			time.Sleep(h.ReadyTimeout + time.Second)
			if a := agents.latest(t, 1); !a.isOver() || c.Record().Room != "desk" || len(l.answered) != 1 {
				t.Errorf("%s: agent over: %v, call %+v", to, a.isOver(), c.Record())
			}
			h.over()
		})
	}
}

func TestASilentAgentIsCoveredAndThenReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, agents := openAttended(t)
		_, c, w := h.served(t, agents, "bot")
		w.heard(t, time.Second)
		a := agents.latest(t, 1)
		a.tells(AgentSilent)
		if filler, _ := heardOf(w.heard(t, 300*time.Millisecond)); !filler {
			t.Error("no filler while the agent is silent")
		}
		a.speaks(time.Second)
		if filler, agent := heardOf(w.heard(t, time.Second)[800:6400]); filler || !agent {
			t.Errorf("filler %v, agent %v, once it speaks", filler, agent)
		}
		a.tells(AgentSilent)
		time.Sleep(c.agent.forgives() - c.agent.patience - time.Second)
		agents.latest(t, 1)
		time.Sleep(2 * time.Second)
		if b := agents.latest(t, 2).spec.Handover; !a.isOver() || !strings.Contains(b.Reason, "silent") {
			t.Errorf("over: %v, told %+v", a.isOver(), b)
		}
		h.over()
	})
}

func TestAnAgentThatNeverSpeaksIsReplaced(t *testing.T) {
	for to, want := range map[string]int{"bot": 2, "plain": 1} { // plain's patience is off
		synctest.Test(t, func(t *testing.T) {
			h, agents := openAttended(t)
			h.calling(to)
			agents.latest(t, 1).comes()
			time.Sleep(leastForgiving + 5*time.Second)
			agents.latest(t, want)
			h.over()
		})
	}
}

func TestHoldSoundStaysWhileAnAgentComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, agents := openAttended(t)
		_, c, w := h.served(t, agents, "bot")
		if err := c.Hold(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		agents.latest(t, 1).fails(FaultGone, "reset")
		a := agents.latest(t, 2)
		a.comes()
		synctest.Wait()
		a.speaks(time.Second)
		w.heard(t, 5*time.Second)
		if hold, agent := heardOf(w.heard(t, 2*time.Second)); !hold || agent {
			t.Errorf("hold sound %v, agent %v", hold, agent)
		}
		time.Sleep(time.Minute)
		agents.latest(t, 2).fails(FaultGone, "reset")
		b := agents.latest(t, 3)
		if err := c.Hold(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		if filler, _ := heardOf(w.heard(t, 300*time.Millisecond)); !filler {
			t.Error("no filler after the hold, while another agent comes")
		}
		b.comes()
		h.over()
	})
}

func TestAnAgentComesAlongToAnotherPhone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, agents := openAttended(t)
		old, before, _ := h.served(t, agents, "bot")
		before.Transcribe(Utterance{Kind: KindPhone, Text: "one moment", Final: true})
		l, c := h.take(Invite{Source: carrier, From: "+12025550177", To: "bot", Replaces: old})
		a := agents.latest(t, 2)
		if b := a.spec.Handover; a.spec.CallID != c.id || b == nil || len(b.Transcript) != 1 || a.spec.Withheld {
			t.Errorf("sent %+v with %+v", a.spec, b)
		}
		h.cdr(before)
		if !agents.sent()[0].isOver() || c.Record().State != StateActive {
			t.Errorf("the first agent is over: %v, the call %+v", agents.sent()[0].isOver(), c.Record())
		}
		l.ended(LineEvent{Cause: CauseNormal})
		h.cdr(c)
		h.over()
	})
}

func TestAnAgentIsBackWhenItsTransferFails(t *testing.T) {
	for name, parts := range map[string]bool{"it stays": false, "it said goodbye": true} {
		synctest.Test(t, func(t *testing.T) {
			h, agents := openAttended(t)
			_, c, _ := h.served(t, agents, "bot")
			if err := c.Transfer(t.Context(), TransferRequest{To: "+12025550123"}); err != nil {
				t.Fatal(err)
			}
			if parts {
				agents.latest(t, 1).fails(FaultNone, "")
				synctest.Wait()
			}
			h.legs(1)[0].ended(LineEvent{Cause: CauseNoAnswer, SIPCode: 480})
			want := 1
			if parts {
				want = 2
			}
			if a := agents.latest(t, want); a.isOver() || c.Record().State != StateActive || c.Record().Room != "call-"+c.id {
				t.Errorf("%s: over: %v, call %+v", name, a.isOver(), c.Record())
			}
			h.over()
		})
	}
}

func TestAnAgentLeavesWhenTheCallMovesOn(t *testing.T) {
	for name, req := range map[string]TransferRequest{
		"room": {Room: "desk"}, "number": {To: "+12025550123"}, "agent": {Agent: "plain"},
	} {
		synctest.Test(t, func(t *testing.T) {
			h, agents := openAttended(t)
			_, c, _ := h.served(t, agents, "bot")
			if err := c.Transfer(t.Context(), req); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			switch name {
			case "number":
				h.legs(1)[0].happens(LineAnswered)
				synctest.Wait()
			case "agent":
				if s := agents.latest(t, 2).spec; s.Agent != "plain" || s.Handover == nil || s.Withheld {
					t.Errorf("sent %+v", s)
				}
			}
			if a := agents.sent()[0]; !a.isOver() || c.Record().State != StateActive {
				t.Errorf("%s: over: %v, call %+v", name, a.isOver(), c.Record())
			}
			h.over()
			for _, a := range agents.sent() {
				if !a.isOver() {
					t.Errorf("%s: an agent is left", name)
				}
			}
		})
	}
}

func TestAPersonHandsTheCallToAnAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, agents := openAttended(t)
		l, c := h.upTo("lobby")
		room, _ := h.Room("lobby")
		person := join(t, room, "dispatcher", KindBrowser)
		if err := c.Transfer(t.Context(), TransferRequest{Agent: "bot", Handover: &Handover{By: "dispatcher", Summary: "wants a bill"}}); err != nil {
			t.Fatal(err)
		}
		a := agents.latest(t, 1)
		if b := a.spec.Handover; b == nil || b.Summary != "wants a bill" || a.spec.Room != "call-"+c.id || c.Record().Room != a.spec.Room {
			t.Errorf("sent %+v with %+v, call %+v", a.spec, b, c.Record())
		}
		if len(h.in("lobby")) != 1 || person.Room().Name() != "lobby" {
			t.Errorf("in the lobby are %q", h.in("lobby"))
		}
		if err := c.Transfer(t.Context(), TransferRequest{Agent: "nobody"}); err == nil {
			t.Error("transferred to an agent that there is not")
		}
		person.Leave()
		l.ended(LineEvent{Cause: CauseNormal})
		h.cdr(c)
		h.over()
	})
}

// An agent's failure must not take a call out of the dial plan's hands when the
// plan has changed meanwhile.
func TestAnAgentThatIsNoLongerInThePlan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := openAttended(t)
		_, c := h.upTo("lobby")
		h.goes(c, dialplan.Target{Agent: "gone", Else: &dialplan.Target{Room: "desk"}})
		if c.Record().Room != "desk" {
			t.Errorf("the call is %+v", c.Record())
		}
		h.over()
	})
}

// A goodbye before the answer is none that ends the call.
func TestAnAgentThatDeclinesGivesWayToAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, agents := openAttended(t)
		l, c := h.calling("ready")
		for n := range mostReplacements + 1 {
			if len(l.answered) != 0 {
				t.Fatal("answered for an agent that has declined")
			}
			agents.latest(t, n+1).fails(FaultNone, "not now")
		}
		synctest.Wait()
		if r := c.Record(); r.Room != "desk" || r.State != StateActive {
			t.Errorf("the call is %+v", r)
		}
		h.over()
	})
}

// An agent that has taken a call over in a room of others is replaced there.
func TestAReplacementComesToWhereTheCallerIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, agents := openAttended(t)
		l, c := h.upTo("lobby")
		leg, err := agents.Send(AgentSpec{Agent: "bot", Room: "lobby", CallID: c.id})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.do(t.Context(), func() error { c.served("bot", leg); return nil }); err != nil {
			t.Fatal(err)
		}
		agents.latest(t, 1).comes()
		agents.latest(t, 1).fails(FaultGone, "reset")
		if s := agents.latest(t, 2).spec; s.Room != "lobby" || c.Record().Room != "lobby" {
			t.Errorf("sent %+v, the caller is in %s", s, c.Record().Room)
		}
		l.ended(LineEvent{Cause: CauseNormal})
		h.cdr(c)
		h.over()
	})
}
