package bridge

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/rtp"
)

// queuePlan has a queue of browsers, one of phones that answer, and one of phones
// that press a key.
const queuePlan = `
trunks:
  - {name: pbx, addresses: [203.0.113.0/24], outbound: {servers: [pbx.example]}, limits: {prefixes: ["+1"]}}
routes:
  - {name: sos, to: "112", queue: desk, answer: now}
  - {name: gold, to: gold, queue: desk, priority: high}
  - {name: later, to: later, queue: desk, priority: low}
  - {name: named, to: named, room: "case-{{call.from}}", queue: desk}
  - {name: nobody, to: nobody, queue: desk, else: {room: voicemail}}
  - {name: desk, to: desk, queue: desk}
  - {name: ready, to: ready, queue: desk, answer: ready}
  - {name: phones, to: phones, queue: phones}
  - {name: keyed, to: keyed, queue: keyed}
  - {name: turns, to: turns, queue: turns}
  - {name: short, to: short, queue: short}
  - {name: out, from_room: true, to: "+1*", trunks: [pbx]}
queues:
  - {name: desk}
  - {name: phones, members: [{number: "+12025550101", name: ann}, {number: "+12025550102"}]}
  - {name: keyed, accept: key, members: [{number: "+12025550101"}, {number: "+12025550102"}]}
  - {name: turns, ring: one, ring_timeout: 10s, members: [{number: "+12025550101"}, {number: "+12025550102"}, {number: "+12025550103"}]}
  - {name: short, max_wait: 20s, max_callers: 2, else: {room: voicemail}, members: [{number: "+12025550101"}]}
`

// queueing opens an exchange with queues, in a bubble.
func queueing(t *testing.T, test func(h *house)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := openQuiet(t, queuePlan)
		h.auto = true
		test(h)
		for _, rec := range h.Calls() { // first, lest phones ring for those who are left
			if c, ok := h.Call(rec.ID); ok && rec.Queue != "" {
				c.Hangup(CauseNone, "")
			}
		}
		synctest.Wait()
		h.over()
		synctest.Wait()
		h.queues.mu.Lock()
		defer h.queues.mu.Unlock()
		for _, q := range h.queues.byName {
			if len(q.line) > 0 {
				t.Errorf("%d callers are left in queue %s", len(q.line), q.name)
			}
		}
		if len(h.queues.rings) > 0 {
			t.Errorf("%d phones still ring", len(h.queues.rings))
		}
		for key, m := range h.queues.members {
			if m.ring != nil {
				t.Errorf("%s is not free", key)
			}
		}
	})
}

// caller rings a queue and waits until they wait.
func (h *house) caller(to string) (*fakeLine, *Call) {
	l, c := h.invite(to)
	synctest.Wait()
	return l, c
}

// waits holds a queue to the callers who wait in it, in their order.
func (h *house) queue(name string, want ...*Call) {
	h.t.Helper()
	synctest.Wait()
	all, err := h.QueueCalls(name)
	if err != nil {
		h.t.Fatal(err)
	}
	var got, ids []string
	for _, q := range all {
		if q.AcceptedBy == "" {
			got = append(got, q.Call.ID)
		}
	}
	for _, c := range want {
		ids = append(ids, c.id)
	}
	if fmt.Sprint(got) != fmt.Sprint(ids) {
		h.t.Errorf("in queue %s wait %q, want %q", name, got, ids)
	}
}

// comes brings a browser into a room.
func (h *house) attend(room, identity string) *Participant {
	h.t.Helper()
	r, err := h.OpenRoom(room)
	if err != nil {
		h.t.Fatal(err)
	}
	p := join(h.t, r, identity, KindBrowser)
	if _, err := p.Publish(TrackSpec{ID: "mic", Codec: media.Opus}); err != nil {
		h.t.Fatal(err)
	}
	synctest.Wait()
	return p
}

func TestACallerWaitsForABrowser(t *testing.T) {
	queueing(t, func(h *house) {
		_, c := h.caller("desk")
		if r := c.Record(); r.State != StateActive || r.Queue != "desk" || r.AcceptedBy != "" {
			h.t.Fatalf("the caller is %+v", r)
		}
		w := overhear(c)
		if sound := w.heard(h.t, 6*time.Second); media.ToneLevel(sound, 8000, 523.25) < -50 || media.Level(sound) < -40 {
			h.t.Errorf("the caller hears %.1f dBov", media.Level(sound))
		}
		got, err := h.AcceptQueued("desk", "", "ann", "")
		if err != nil || got.Call.ID != c.id || got.Room != c.Record().Room {
			h.t.Fatalf("%+v, %v", got, err)
		}
		if sound := w.heard(h.t, 6*time.Second); media.Level(sound) < -40 {
			h.t.Errorf("%.1f dBov before ann has come", media.Level(sound))
		}
		ann := h.attend(got.Room, "ann")
		w.heard(h.t, 200*time.Millisecond)
		if sound := w.heard(h.t, 3*time.Second); media.Level(sound) > -60 {
			h.t.Errorf("%.1f dBov with ann", media.Level(sound))
		}
		time.Sleep(time.Second)
		if r := c.Record(); r.AcceptedBy != "ann" || r.WaitedMS < 12000 || r.WaitedMS > 12500 {
			h.t.Errorf("the record says %q after %d ms", r.AcceptedBy, r.WaitedMS)
		}
		h.queue("desk")
		ann.Leave()
	})
}

func TestOneAcceptWins(t *testing.T) {
	queueing(t, func(h *house) {
		_, first := h.caller("desk")
		_, second := h.caller("desk")
		results := make(chan error, 20)
		for i := range 20 {
			go func() {
				_, err := h.AcceptQueued("desk", first.id, fmt.Sprintf("dispatcher-%d", i), "")
				results <- err
			}()
		}
		won := 0
		for range 20 {
			if err := <-results; err == nil {
				won++
			} else if e, ok := err.(*Error); !ok || e.Code != Conflict {
				h.t.Errorf("%v", err)
			}
		}
		if won != 1 {
			h.t.Errorf("%d have accepted one call", won)
		}
		h.queue("desk", second)
		time.Sleep(arrives + 2*time.Second) // the winner does not come
		h.queue("desk", first, second)
	})
}

func TestWhoVanishesAtOnceLeavesTheCallerWhereTheyWere(t *testing.T) {
	queueing(t, func(h *house) {
		_, first := h.caller("desk")
		_, second := h.caller("desk")
		got, err := h.AcceptQueued("desk", first.id, "ann", "")
		if err != nil {
			h.t.Fatal(err)
		}
		ann := h.attend(got.Room, "ann")
		h.queue("desk", second)
		ann.Leave()
		h.queue("desk", first, second)
		w := overhear(first)
		if sound := w.heard(h.t, 6*time.Second); media.Level(sound) < -40 {
			h.t.Errorf("%.1f dBov while the caller waits again", media.Level(sound))
		}
		if r := first.Record(); r.AcceptedBy != "" {
			h.t.Errorf("the record says %q", r.AcceptedBy)
		}
	})
}

func TestAQueueRingsUntilSomebodyAccepts(t *testing.T) {
	queueing(t, func(h *house) {
		l, c := h.caller("ready")
		time.Sleep(2 * time.Minute)
		if r := c.Record(); r.State != StateRinging || len(l.answered) > 0 {
			h.t.Fatalf("the caller is %s", r.State)
		}
		got, err := h.AcceptQueued("desk", "", "ann", "")
		if err != nil {
			h.t.Fatal(err)
		}
		synctest.Wait()
		if c.Record().State != StateActive {
			h.t.Fatalf("the caller is %s", c.Record().State)
		}
		ann := h.attend(got.Room, "ann")
		time.Sleep(5 * time.Second)
		if r := c.Record(); r.AcceptedBy != "ann" {
			h.t.Errorf("%+v", r)
		}
		ann.Leave()
	})
}

func TestEmergenciesComeFirst(t *testing.T) {
	queueing(t, func(h *house) {
		_, a := h.caller("desk")
		time.Sleep(time.Second)
		_, b := h.caller("desk")
		time.Sleep(time.Second)
		_, sos := h.caller("112")
		_, low := h.caller("later")
		_, gold := h.caller("gold")
		h.queue("desk", sos, gold, a, b, low)
		gold.Hangup(CauseNone, "")
		low.Hangup(CauseNone, "")
		a.Hangup(CauseNone, "")
		h.queue("desk", sos, b)
	})
}

func TestAFullQueueAndALongWaitTakeElse(t *testing.T) {
	queueing(t, func(h *house) {
		_, a := h.caller("short")
		_, b := h.caller("short")
		_, c := h.caller("short")
		if r := c.Record(); r.Room != "voicemail" || r.State != StateActive {
			h.t.Errorf("the third is in %s", r.Room)
		}
		h.queue("short", a, b)
		time.Sleep(21 * time.Second)
		h.queue("short")
		if r := a.Record(); r.Room != "voicemail" || r.WaitedMS != 20000 {
			h.t.Errorf("the first is in %s after %d ms", r.Room, r.WaitedMS)
		}
	})
}

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

func TestAWarmTransferToAQueue(t *testing.T) {
	queueing(t, func(h *house) {
		_, c := h.caller("lobby")
		if err := c.Transfer(h.t.Context(), TransferRequest{Queue: "desk", Warm: true, Handover: &Handover{Summary: "a fire"}}); err != nil {
			h.t.Fatal(err)
		}
		synctest.Wait()
		if tr := c.Record().Transfer; tr.State != TransferFailed || tr.Cause != CauseUnreachable {
			h.t.Errorf("with nobody there: %+v", tr)
		}
		watch, err := h.WatchQueue("desk", "ann", true)
		if err != nil {
			h.t.Fatal(err)
		}
		defer watch.Close()
		if err := c.Transfer(h.t.Context(), TransferRequest{Queue: "desk", Warm: true, Handover: &Handover{Summary: "a fire"}}); err != nil {
			h.t.Fatal(err)
		}
		h.queue("desk", c)
		got, err := h.AcceptQueued("desk", "", "ann", "")
		if err != nil || got.Handover == nil || got.Handover.Summary != "a fire" {
			h.t.Fatalf("%+v, %v", got, err)
		}
		ann := h.attend(got.Room, "ann")
		time.Sleep(2 * time.Second)
		if r := c.Record(); r.Transfer.State != TransferAccepted || r.AcceptedBy != "ann" || ann.Room().name != r.Room {
			h.t.Errorf("%+v; ann is in %s", r.Transfer, ann.Room().name)
		}
		ann.Leave()
	})
}

func TestAWarmTransferToPhonesOfAQueue(t *testing.T) {
	queueing(t, func(h *house) {
		l, c := h.caller("lobby")
		if err := c.Transfer(h.t.Context(), TransferRequest{Queue: "phones", Warm: true}); err != nil {
			h.t.Fatal(err)
		}
		phones := h.ringing(ann, bob)
		phones[bob].happens(LineAnswered)
		h.ringing(bob)
		leg, _ := h.of(phones[bob])
		time.Sleep(time.Second)
		if r := c.Record(); r.Transfer.State != TransferAccepted || c.partner() != leg || leg.Record().Room != r.Room {
			h.t.Errorf("%+v; the phone is in %s", r.Transfer, leg.Record().Room)
		}
		l.ended(LineEvent{Cause: CauseNormal})
		h.cdr(leg)
	})
}

func TestABlindTransferToAQueue(t *testing.T) {
	queueing(t, func(h *house) {
		_, c := h.caller("lobby")
		if err := c.Transfer(h.t.Context(), TransferRequest{Queue: "desk", Handover: &Handover{Summary: "a fire"}}); err != nil {
			h.t.Fatal(err)
		}
		h.queue("desk", c)
		all, _ := h.QueueCalls("desk")
		if all[0].Handover == nil || all[0].Handover.Summary != "a fire" {
			h.t.Errorf("%+v", all[0])
		}
		if err := c.Transfer(h.t.Context(), TransferRequest{Room: "lobby"}); err != nil {
			h.t.Fatal(err)
		}
		h.queue("desk")
		w := overhear(c)
		w.heard(h.t, 200*time.Millisecond)
		if sound := w.heard(h.t, 6*time.Second); media.Level(sound) > -60 {
			h.t.Errorf("%.1f dBov after the queue", media.Level(sound))
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

func TestAQueueWithoutAnybodyTakesElse(t *testing.T) {
	queueing(t, func(h *house) {
		_, c := h.caller("nobody")
		if r := c.Record(); r.Room != "voicemail" {
			h.t.Errorf("the caller is in %s", r.Room)
		}
		_, patient := h.caller("desk") // has no else
		h.queue("desk", patient)
		watch, err := h.WatchQueue("desk", "ann", true)
		if err != nil {
			h.t.Fatal(err)
		}
		_, c = h.caller("nobody")
		h.queue("desk", patient, c)
		if err := h.DeclineQueued("desk", patient.id, "ann"); err != nil {
			h.t.Fatal(err)
		}
		if got, err := h.AcceptQueued("desk", "", "ann", ""); err != nil || got.Call.ID != c.id {
			h.t.Errorf("after the first was declined: %+v, %v", got.Call.ID, err)
		}
		if err := h.DeclineQueued("desk", c.id, "ann"); err != nil { // gives it back
			h.t.Fatal(err)
		}
		watch.Close()
		h.queue("desk", patient, c)
		time.Sleep(deserted - time.Second)
		h.queue("desk", patient, c)
		time.Sleep(3 * time.Second)
		h.queue("desk", patient)
		if r := c.Record(); r.Room != "voicemail" || r.State != StateActive {
			h.t.Errorf("the caller is in %s", r.Room)
		}
	})
}

func TestARouteNamesTheRoomOfAQueuedCall(t *testing.T) {
	queueing(t, func(h *house) {
		_, c := h.caller("named")
		if r := c.Record(); r.Room != "case-+15550100" {
			h.t.Errorf("the caller is in %s", r.Room)
		}
		h.queue("desk", c)
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

func TestCallersAreToldTheirPlace(t *testing.T) {
	queueing(t, func(h *house) {
		events := h.Subscribe("")
		defer events.Close()
		_, first := h.caller("desk")
		_, second := h.caller("desk")
		time.Sleep(10 * time.Second)
		first.Hangup(CauseNone, "")
		time.Sleep(10 * time.Second)
		var places []any
		for len(events.Events) > 0 {
			if e := <-events.Events; e.Type == "queue.position" && e.CallID == second.id {
				places = append(places, e.Data["position"])
			}
		}
		if fmt.Sprint(places) != "[2 1]" {
			h.t.Errorf("the second caller was told of places %v", places)
		}
	})
}

func TestACallerWhoIsLeftAloneWaitsAgain(t *testing.T) {
	queueing(t, func(h *house) {
		_, c := h.caller("desk")
		got, err := h.AcceptQueued("desk", "", "ann", "")
		if err != nil {
			h.t.Fatal(err)
		}
		ann := h.attend(got.Room, "ann")
		time.Sleep(time.Minute)
		_, later := h.caller("desk")
		ann.Leave()
		time.Sleep(alone - 2*time.Second)
		h.queue("desk", later)
		back := h.attend(got.Room, "bob") // a colleague looks in
		time.Sleep(time.Minute)
		h.queue("desk", later)
		back.Leave()
		time.Sleep(alone + 2*time.Second)
		h.queue("desk", c, later)
		got, err = h.AcceptQueued("desk", "", "bob", "")
		if err != nil || got.Call.ID != c.id {
			h.t.Fatalf("%+v, %v", got, err)
		}
		bob := h.attend(got.Room, "bob")
		time.Sleep(5 * time.Second)
		if err := c.Transfer(h.t.Context(), TransferRequest{Room: "lobby"}); err != nil {
			h.t.Fatal(err)
		}
		bob.Leave()
		time.Sleep(time.Minute)
		h.queue("desk", later)
		if r := c.Record(); r.Room != "lobby" || r.State != StateActive {
			h.t.Errorf("%+v", r)
		}
	})
}

func TestTheCallerHangsUpWhileTheyAreOfferedWarmly(t *testing.T) {
	for _, queue := range []string{"phones", "desk"} {
		queueing(t, func(h *house) {
			watch, err := h.WatchQueue("desk", "ann", true)
			if err != nil {
				h.t.Fatal(err)
			}
			defer watch.Close()
			l, c := h.caller("lobby")
			if err := c.Transfer(h.t.Context(), TransferRequest{Queue: queue, Warm: true}); err != nil {
				h.t.Fatal(err)
			}
			h.queue(queue, c)
			l.ended(LineEvent{Cause: CauseNormal})
			h.cdr(c)
			h.queue(queue)
			h.ringing()
		})
	}
}
