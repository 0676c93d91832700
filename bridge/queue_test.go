package bridge

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomline/roomline/media"
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
