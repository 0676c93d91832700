package bridge

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomline/roomline/dialplan"
	"github.com/roomline/roomline/media"
)

// goes takes an answered call to another target.
func (h *house) goes(c *Call, t dialplan.Target) {
	h.t.Helper()
	if err := c.do(context.Background(), func() error { c.goTo(t); return nil }); err != nil {
		h.t.Fatal(err)
	}
	synctest.Wait()
}

// heard is what a phone has heard since the last time, once the time has passed.
func (w *wire) heard(t *testing.T, d time.Duration) []int16 {
	t.Helper()
	before := len(decoded(t, w.all()))
	time.Sleep(d)
	return decoded(t, w.all())[before:]
}

func TestAnAnsweredCallGoesToAnotherRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openQuiet(t, "")
		l, c := h.upTo("lobby")
		answered := c.Record().AnsweredAt
		h.goes(c, dialplan.Target{Room: "desk-{{call.to}}"})
		if r := c.Record(); r.Room != "desk-lobby" || r.State != StateActive || r.AnsweredAt != answered || len(l.answered) != 0 {
			t.Errorf("the call is %+v", r)
		}
		w := overhear(c)
		h.goes(c, dialplan.Target{Room: "later", Answer: "ready"})
		if sound := w.heard(t, 3*time.Second); media.ToneLevel(sound[:16000], 8000, 523.25) < -42 || c.Record().Room != "desk-lobby" {
			t.Errorf("in %s, %.1f dBov, while nobody is ready", c.Record().Room, media.Level(sound))
		}
		r, _ := h.OpenRoom("later")
		somebody := join(t, r, "dispatcher", KindBrowser)
		synctest.Wait()
		if c.Record().Room != "later" {
			t.Errorf("the call is in %s", c.Record().Room)
		}
		w.heard(t, time.Second)
		if sound := w.heard(t, time.Second); media.Level(sound) > -60 {
			t.Errorf("%.1f dBov once somebody is there", media.Level(sound))
		}
		somebody.Leave()
		l.ended(LineEvent{Cause: CauseNormal})
		h.cdr(c)
		h.over()
	})
}

func TestAnAnsweredCallIsConnectedWithANumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openQuiet(t, connectPlan)
		l, c := h.upTo("lobby")
		w := overhear(c)
		h.goes(c, dialplan.Target{Number: "+12025550123", Trunks: []string{"carrier"}, Else: &dialplan.Target{Number: "+12025550124", Trunks: []string{"second"}}})
		if sound := w.heard(t, 3*time.Second); media.ToneLevel(sound[:16000], 8000, 523.25) < -42 {
			t.Errorf("%.1f dBov before it rings", media.Level(sound))
		}
		first := h.legs(1)[0]
		first.happens(LineRinging)
		if sound := w.heard(t, time.Second); media.ToneLevel(sound[800:], 8000, 440) < -32 {
			t.Errorf("ringback at %.1f dBov", media.ToneLevel(sound, 8000, 440))
		}
		first.ended(LineEvent{Cause: CauseBusy, SIPCode: 486})
		second := h.legs(2)[1]
		second.happens(LineEarly)
		synctest.Wait()
		if r := c.Record(); r.Room != "call-"+c.id || len(h.in(r.Room)) != 2 {
			t.Errorf("in room %s with %q", r.Room, h.in(r.Room))
		}
		second.happens(LineAnswered)
		synctest.Wait()
		if leg, _ := h.of(second); c.partner() != leg {
			t.Error("the two are no pair")
		}
		second.ended(LineEvent{Cause: CauseNormal})
		if d := h.cdr(c); d.Cause != CauseNormal || !strings.Contains(d.Reason, "busy") {
			t.Errorf("CDR %+v", d)
		}
		l.ended(LineEvent{Cause: CauseNormal})
		h.over()
	})
}

func TestAnAnsweredCallThatNobodyTakesHearsSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openQuiet(t, connectPlan)
		_, c := h.upTo("lobby")
		w := overhear(c)
		h.goes(c, dialplan.Target{Number: "+12025550123", Trunks: []string{"carrier"}, Else: &dialplan.Target{Agent: "nobody"}})
		h.legs(1)[0].ended(LineEvent{Cause: CauseNoAnswer, SIPCode: 480})
		if sound := w.heard(t, 1900*time.Millisecond); media.ToneLevel(sound, 8000, 480) < -40 {
			t.Errorf("%.1f dBov of the congestion tone", media.ToneLevel(sound, 8000, 480))
		}
		if d := h.cdr(c); !strings.Contains(d.Reason, "+12025550123") || d.AnsweredAt == nil {
			t.Errorf("CDR %+v", d)
		}
		h.over()
	})
}

func TestARequestTakesACallOutOfItsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openQuiet(t, connectPlan)
		l, c := h.upTo("lobby")
		h.goes(c, dialplan.Target{Room: "later", Answer: "ready"})
		if err := c.Transfer(t.Context(), TransferRequest{Room: "desk"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		if r := c.Record(); r.Room != "desk" || r.State != StateActive {
			t.Errorf("the call is %+v", r)
		}
		h.goes(c, dialplan.Target{Number: "+12025550123", Trunks: []string{"carrier"}})
		leg, _ := h.of(h.legs(1)[0])
		if err := c.Transfer(t.Context(), TransferRequest{Room: "lobby"}); err != nil {
			t.Fatal(err)
		}
		if d := h.cdr(leg); d.Cause != CauseCanceled || c.Record().Room != "lobby" {
			t.Errorf("the call is in %s, the number ended with %s", c.Record().Room, d.Cause)
		}
		l.ended(LineEvent{Cause: CauseNormal})
		h.cdr(c)
		h.over()
	})
}
