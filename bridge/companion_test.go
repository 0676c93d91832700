package bridge

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// brings sends an agent into a room, which comes at once if it does.
func (a *fakeAgents) brings(t *testing.T, spec AgentSpec, then func(*fakeAgent)) (ParticipantRecord, error) {
	t.Helper()
	type answer struct {
		rec ParticipantRecord
		err error
	}
	got, before := make(chan answer, 1), len(a.sent())
	go func() {
		rec, err := a.x.SendAgent(context.Background(), spec)
		got <- answer{rec, err}
	}()
	synctest.Wait()
	if legs := a.sent(); len(legs) > before {
		then(legs[before])
	}
	r := <-got
	return r.rec, r.err
}

func TestAnAgentComesIntoARoomByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, agents := openAttended(t)
		l, c := h.upTo("lobby")
		rec, err := agents.brings(t, AgentSpec{Agent: "bot", Room: "lobby", HeardBy: HeardByHumans}, (*fakeAgent).comes)
		if err != nil || rec.Kind != KindAgent || rec.Identity != "bot" {
			t.Fatalf("%+v, %v", rec, err)
		}
		if s := agents.sent()[0].spec; s.CallID != "" || s.From != c.Record().From || s.HeardBy != HeardByHumans || s.Withheld {
			t.Errorf("sent %+v", s)
		}
		time.Sleep(10 * time.Minute)
		if agents.sent()[0].isOver() || len(h.in("lobby")) != 2 {
			t.Error("the agent has left while somebody is there")
		}
		l.ended(LineEvent{Cause: CauseNormal})
		h.cdr(c)
		time.Sleep(companionStays + 2*time.Second)
		if !agents.sent()[0].isOver() {
			t.Error("the agent stays alone")
		}
		h.over()
	})
}

func TestAnAgentIsSentAwayFromARoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, agents := openAttended(t)
		rec, err := agents.brings(t, AgentSpec{Agent: "bot", Room: "lobby"}, (*fakeAgent).comes)
		if err != nil {
			t.Fatal(err)
		}
		for _, where := range [][2]string{{"desk", rec.ID}, {"lobby", "p_0"}} {
			if e := new(Error); !errors.As(h.RemoveAgent(where[0], where[1]), &e) || e.Code != NotFound {
				t.Errorf("%q: %v", where, e)
			}
		}
		if err := h.RemoveAgent("lobby", rec.ID); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if !agents.sent()[0].isOver() {
			t.Error("the agent is there yet")
		}
		h.over()
	})
}

func TestAnAgentThatDoesNotComeIsSaid(t *testing.T) {
	for name, then := range map[string]func(*fakeAgent){
		"refused": func(a *fakeAgent) { a.fails(FaultRefused, "it said 403") },
		"late":    func(*fakeAgent) {},
	} {
		synctest.Test(t, func(t *testing.T) {
			h, agents := openAttended(t)
			_, err := agents.brings(t, AgentSpec{Agent: "bot", Room: "lobby"}, then)
			if e := new(Error); !errors.As(err, &e) || e.Code != Unavailable {
				t.Errorf("%s: %v", name, err)
			}
			if !agents.sent()[0].isOver() {
				t.Errorf("%s: the leg goes on", name)
			}
			if _, err := agents.brings(t, AgentSpec{Agent: "nobody", Room: "lobby"}, nil); err == nil {
				t.Error("an agent that there is not was sent")
			}
			if _, err := agents.brings(t, AgentSpec{Agent: "bot", Room: "lobby", HeardBy: "p_9"}, nil); err == nil {
				t.Error("an agent is heard by somebody who is not there")
			}
			h.over()
		})
	}
}

func TestAnAgentAloneInARoomLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, agents := openAttended(t)
		if _, err := agents.brings(t, AgentSpec{Agent: "bot", Room: "lobby"}, (*fakeAgent).comes); err != nil {
			t.Fatal(err)
		}
		time.Sleep(companionWaits + 2*time.Second)
		if !agents.sent()[0].isOver() {
			t.Error("the agent waits for nobody")
		}
		h.over()
	})
}
