package bridge

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// placed places a call to a phone for an agent, until it rings.
func (h *house) placed(t *testing.T, req DialRequest) (*fakeLine, *Call) {
	t.Helper()
	req.To = "+12025550123"
	rec, err := h.Exchange.Dial(context.Background(), req)
	if err != nil {
		t.Fatal(err)
	}
	l := h.legs(1)[0]
	c, _ := h.Call(rec.ID)
	l.happens(LineRinging)
	synctest.Wait()
	return l, c
}

func TestAnAgentCallsSomebody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, agents := openAttended(t)
		l, c := h.placed(t, DialRequest{Agent: "bot"})
		a := agents.latest(t, 1)
		if s := a.spec; !s.Withheld || s.Direction != Outbound || s.To != "+12025550123" || s.Room != "call-"+c.id {
			t.Errorf("sent %+v", s)
		}
		a.comes()
		time.Sleep(10 * time.Second)
		a.speaks(time.Second) // is not admitted
		l.happens(LineAnswered)
		synctest.Wait()
		w := overhear(c)
		a.speaks(time.Second)
		if filler, agent := heardOf(w.heard(t, 500*time.Millisecond)); filler || !agent {
			t.Errorf("filler %v, agent %v, after the answer", filler, agent)
		}
		c.Hangup(CauseNone, "")
		if d := h.cdr(c); d.Agent != "bot" || !a.isOver() {
			t.Errorf("agent over: %v, CDR %+v", a.isOver(), d)
		}
		h.over()
	})
}

func TestAnAgentThatFailsWhileItRingsIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, agents := openAttended(t)
		l, c := h.placed(t, DialRequest{Agent: "bot"})
		agents.latest(t, 1).fails(FaultGone, "reset")
		agents.latest(t, 1)
		l.happens(LineAnswered)
		a := agents.latest(t, 2)
		if a.spec.Withheld || a.spec.Handover == nil {
			t.Errorf("sent %+v", a.spec)
		}
		l.ended(LineEvent{Cause: CauseNormal})
		h.cdr(c)
		h.over()
	})
}

func TestNobodyIsSentForACallThatIsNotAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, agents := openAttended(t)
		agents.refuse(refuse(LimitReached, "", "the pool is full"))
		l, c := h.placed(t, DialRequest{Agent: "plain"})
		agents.refuse(nil)
		l.happens(LineEarly)
		a := agents.latest(t, 1)
		l.ended(LineEvent{Cause: CauseBusy, SIPCode: 486})
		if d := h.cdr(c); d.Cause != CauseBusy || !a.isOver() {
			t.Errorf("agent over: %v, CDR %+v", a.isOver(), d)
		}
		if _, err := h.Exchange.Dial(t.Context(), DialRequest{To: "+12025550123", Agent: "nobody"}); err == nil || !strings.Contains(err.Error(), "nobody") {
			t.Errorf("an agent that there is not: %v", err)
		}
		if _, err := h.Exchange.Dial(t.Context(), DialRequest{To: "+12025550123", Agent: "bot", Room: "lobby"}); err == nil {
			t.Error("a call goes to an agent and into a room")
		}
		h.over()
	})
}
