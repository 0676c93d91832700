package bridge

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/rtp"
)

// rings are the phones that ring or talk, by number.
func (h *house) rings() map[string]*fakeLine {
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	all := map[string]*fakeLine{}
	for _, l := range h.lines {
		l.mu.Lock()
		if !l.over {
			all[l.spec.To] = l
		}
		l.mu.Unlock()
	}
	return all
}

func (h *house) ringing(want ...string) map[string]*fakeLine {
	h.t.Helper()
	all := h.rings()
	for _, number := range want {
		if all[number] == nil {
			h.t.Fatalf("%s does not ring; %d phones do", number, len(all))
		}
	}
	if len(all) != len(want) {
		h.t.Fatalf("%d phones ring, want %d", len(all), len(want))
	}
	return all
}

const ann, bob, cyd = "+12025550101", "+12025550102", "+12025550103"

func TestTheFirstPhoneToAnswerHasTheCall(t *testing.T) {
	queueing(t, func(h *house) {
		l, c := h.caller("phones")
		phones := h.ringing(ann, bob)
		phones[ann].happens(LineRinging)
		w := overhear(c)
		w.heard(h.t, time.Second)
		phones[ann].happens(LineAnswered)
		phones[bob].happens(LineAnswered) // at the same moment
		synctest.Wait()
		winner, _ := h.of(h.ringingOne())
		if n := len(h.in(c.Record().Room)); n != 2 {
			h.t.Errorf("%d are in the room", n)
		}
		w.heard(h.t, 200*time.Millisecond)
		if sound := w.heard(h.t, 2*time.Second); media.Level(sound) > -60 {
			h.t.Errorf("%.1f dBov after the answer", media.Level(sound))
		}
		time.Sleep(2 * time.Second)
		if c.partner() != winner || winner.Record().ParentID != c.id {
			h.t.Error("the two are no pair")
		}
		l.ended(LineEvent{Cause: CauseNormal})
		if d := h.cdr(c); d.AcceptedBy != "ann" && d.AcceptedBy != bob {
			h.t.Errorf("accepted by %q", d.AcceptedBy)
		}
		h.ringing()
	})
}

// ringingOne is the one phone that is left.
func (h *house) ringingOne() *fakeLine {
	h.t.Helper()
	all := h.rings()
	if len(all) != 1 {
		h.t.Fatalf("%d phones are left", len(all))
	}
	for _, l := range all {
		return l
	}
	return nil
}

func TestPhonesStopRingingWhenTheCallerHangsUp(t *testing.T) {
	queueing(t, func(h *house) {
		l, c := h.caller("phones")
		h.ringing(ann, bob)
		l.ended(LineEvent{Cause: CauseNormal})
		if d := h.cdr(c); d.Queue != "phones" {
			h.t.Errorf("CDR %+v", d)
		}
		h.ringing()
	})
}

func TestAPhoneThatDoesNotTakeACallIsTriedAgain(t *testing.T) {
	for name, c := range map[string]struct {
		ends LineEvent
		rest time.Duration
	}{
		"busy":       {LineEvent{Cause: CauseBusy, SIPCode: 486}, restBusy},
		"declined":   {LineEvent{Cause: CauseRejected, SIPCode: 603}, restDeclined},
		"unanswered": {LineEvent{Cause: CauseNoAnswer, SIPCode: 408}, restUnanswered},
	} {
		t.Run(name, func(t *testing.T) {
			queueing(t, func(h *house) {
				h.caller("phones")
				h.ringing(ann, bob)[ann].ended(c.ends)
				h.ringing(bob)
				time.Sleep(c.rest - time.Millisecond)
				h.ringing(bob)
				time.Sleep(2 * time.Millisecond)
				h.ringing(ann, bob)
			})
		})
	}
}

func TestPhonesRingInTurns(t *testing.T) {
	queueing(t, func(h *house) {
		h.caller("turns")
		h.ringing(ann)[ann].ended(LineEvent{Cause: CauseNoAnswer, SIPCode: 408})
		h.ringing(bob)
		h.caller("turns") // each has one
		phones := h.ringing(bob, cyd)
		phones[bob].ended(LineEvent{Cause: CauseBusy, SIPCode: 486})
		h.ringing(cyd)
		time.Sleep(restUnanswered)
		h.ringing(ann, cyd)
	})
}

func TestAPhoneAcceptsByKey(t *testing.T) {
	queueing(t, func(h *house) {
		l, c := h.caller("keyed")
		phones := h.ringing(ann, bob)
		phones[ann].happens(LineAnswered)
		synctest.Wait()
		first, _ := h.of(phones[ann])
		h.ringing(ann, bob) // not yet decided
		press := func(leg *Call, key rune) { leg.pressed(rtp.Digit{Key: key}, byEvent); synctest.Wait() }
		press(first, '2')
		h.ringing(bob)
		phones[bob].happens(LineAnswered)
		synctest.Wait()
		second, _ := h.of(phones[bob])
		w := overhear(second)
		if asked := w.heard(h.t, 2*time.Second); media.Level(asked) < -40 {
			h.t.Errorf("the phone is asked at %.1f dBov", media.Level(asked))
		}
		press(second, '7')
		if len(h.in(c.Record().Room)) != 1 {
			h.t.Error("the phone is with the caller before it has decided")
		}
		press(second, '1')
		if len(h.in(c.Record().Room)) != 2 {
			h.t.Error("the phone is not with the caller")
		}
		time.Sleep(5 * time.Second)
		if c.partner() != second {
			h.t.Error("the two are no pair")
		}
		l.ended(LineEvent{Cause: CauseNormal})
		h.cdr(second)
	})
}

func TestAPhoneThatHangsUpAtOnceLeavesTheCallerInTheQueue(t *testing.T) {
	queueing(t, func(h *house) {
		_, c := h.caller("phones")
		phones := h.ringing(ann, bob)
		phones[ann].happens(LineAnswered)
		h.ringing(ann)
		h.queue("phones")
		phones[ann].ended(LineEvent{Cause: CauseNormal})
		h.queue("phones", c)
		h.ringing(bob)
		if c.Record().State != StateActive {
			h.t.Errorf("the caller is %s", c.Record().State)
		}
	})
}

func TestTheCallerHangsUpAtEveryMoment(t *testing.T) {
	press := func(h *house, l *fakeLine, key rune) {
		leg, _ := h.of(l)
		leg.pressed(rtp.Digit{Key: key}, byEvent)
	}
	for name, c := range map[string]struct {
		queue string
		until func(h *house, phones map[string]*fakeLine)
	}{
		"while phones ring":      {"phones", func(*house, map[string]*fakeLine) {}},
		"as one is picked up":    {"phones", func(_ *house, p map[string]*fakeLine) { p[ann].happens(LineAnswered) }},
		"as both are picked up":  {"phones", func(_ *house, p map[string]*fakeLine) { p[ann].happens(LineAnswered); p[bob].happens(LineAnswered) }},
		"when one was picked up": {"phones", func(_ *house, p map[string]*fakeLine) { p[ann].happens(LineAnswered); synctest.Wait() }},
		"as who took it leaves": {"phones", func(_ *house, p map[string]*fakeLine) {
			p[ann].happens(LineAnswered)
			synctest.Wait()
			p[ann].ended(LineEvent{Cause: CauseNormal})
		}},
		"when it is settled":     {"phones", func(_ *house, p map[string]*fakeLine) { p[ann].happens(LineAnswered); time.Sleep(5 * time.Second) }},
		"while a phone is asked": {"keyed", func(_ *house, p map[string]*fakeLine) { p[ann].happens(LineAnswered); time.Sleep(time.Second) }},
		"as the key is pressed": {"keyed", func(h *house, p map[string]*fakeLine) {
			p[ann].happens(LineAnswered)
			synctest.Wait()
			press(h, p[ann], '1')
		}},
		"when the key is pressed": {"keyed", func(h *house, p map[string]*fakeLine) {
			p[ann].happens(LineAnswered)
			synctest.Wait()
			press(h, p[ann], '1')
			synctest.Wait()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			for range 10 { // select chooses by chance
				queueing(t, func(h *house) {
					l, call := h.caller(c.queue)
					c.until(h, h.ringing(ann, bob))
					l.ended(LineEvent{Cause: CauseNormal})
					if d := h.cdr(call); d.Cause != CauseNormal {
						h.t.Errorf("CDR %+v", d)
					}
					h.ringing()
					h.queue(c.queue)
				})
			}
		})
	}
}

func TestTheOtherPhonesHearThatTheCallWasTaken(t *testing.T) {
	queueing(t, func(h *house) {
		_, c := h.caller("phones")
		phones := h.ringing(ann, bob)
		other, _ := h.of(phones[bob])
		phones[ann].happens(LineAnswered)
		if d := h.cdr(other); d.Reason != AnsweredElsewhere || d.Cause != CauseCanceled || d.ParentID != c.id {
			h.t.Errorf("CDR %+v", d)
		}
	})
}

func TestAPhoneThatIsPickedUpTakesTheNextCaller(t *testing.T) {
	queueing(t, func(h *house) {
		l, first := h.caller("phones")
		_, second := h.caller("phones")
		phones := h.ringing(ann, bob)
		l.ended(LineEvent{Cause: CauseNormal})
		phones[ann].happens(LineAnswered) // which rang for the first
		h.cdr(first)
		time.Sleep(5 * time.Second)
		if r := second.Record(); r.AcceptedBy != "ann" && r.AcceptedBy != "" {
			h.t.Errorf("%+v", r)
		} else if r.AcceptedBy == "" {
			h.queue("phones", second)
			h.ringing(ann, bob)
		}
	})
}

func TestPhonesTakeWhoWaitsWhileTheGatewayDrains(t *testing.T) {
	queueing(t, func(h *house) {
		_, c := h.caller("phones")
		h.ringing(ann, bob)[ann].ended(LineEvent{Cause: CauseBusy, SIPCode: 486})
		h.draining.Store(true)
		defer h.draining.Store(false)
		time.Sleep(restBusy + time.Second)
		h.ringing(ann, bob)[ann].happens(LineAnswered)
		time.Sleep(5 * time.Second)
		if r := c.Record(); r.AcceptedBy != "ann" {
			h.t.Errorf("%+v", r)
		}
	})
}

func TestACallThatWasShortWasAcceptedNevertheless(t *testing.T) {
	queueing(t, func(h *house) {
		l, c := h.caller("phones")
		h.ringing(ann, bob)[ann].happens(LineAnswered)
		time.Sleep(time.Second)
		l.ended(LineEvent{Cause: CauseNormal})
		if d := h.cdr(c); d.AcceptedBy != "ann" {
			h.t.Errorf("accepted by %q", d.AcceptedBy)
		}
		h.ringing()
		for _, q := range h.Queues() {
			if q.Name == "phones" && (q.Left["accepted"] != 1 || q.Left["abandoned"] != 0) {
				h.t.Errorf("%v", q.Left)
			}
		}
	})
}
