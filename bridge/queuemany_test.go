package bridge

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// rush is a queue of ten phones and whatever they and a hundred callers do.
type rush struct {
	*house
	mu      sync.Mutex
	rand    *rand.Rand
	waiting map[string]turn // by call
	odd     map[string]odd  // calls that were passed over
}

// turn is where somebody stands in the line.
type turn struct {
	urgent bool
	since  time.Time
}

// odd is a call that waited, as far as events tell, when a later one was accepted:
// no fault if it was accepted, or left, at that very moment.
type odd struct {
	at time.Time
	by string
}

func (w *rush) chance(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rand.IntN(n)
}

// member is what a phone does when it is called.
func (w *rush) member(_ DialSpec, l *fakeLine) {
	ends := func(cause Cause) { l.ended(LineEvent{Cause: cause, SIPCode: 486}) }
	after := func(seconds int, f func()) {
		time.AfterFunc(time.Duration(1+w.chance(1000*seconds))*time.Millisecond, f)
	}
	l.happens(LineRinging)
	switch w.chance(8) {
	case 0:
		after(2, func() { ends(CauseBusy) })
	case 1:
		after(4, func() { ends(CauseRejected) })
	case 2:
		time.AfterFunc(20*time.Second, func() { ends(CauseNoAnswer) })
	case 3: // picks up and lays down
		after(4, func() {
			l.happens(LineAnswered)
			after(2, func() { ends(CauseNormal) })
		})
	default:
		after(4, func() {
			l.happens(LineAnswered)
			time.AfterFunc(time.Duration(4+w.chance(6))*time.Second, func() { ends(CauseNormal) })
		})
	}
}

// judge holds every accept to the rule that whose turn is first is accepted first.
func (w *rush) judge(e Event) {
	if !strings.HasPrefix(e.Type, "queue.") {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch e.Type {
	case "queue.joined":
		at := turn{since: e.Time.Add(-time.Duration(e.Data["waited_ms"].(int64)) * time.Millisecond)}
		at.urgent = e.Data["priority"] == emergency
		if before, again := w.waiting[e.CallID+" before"]; again {
			at = before
		}
		w.waiting[e.CallID], w.waiting[e.CallID+" before"] = at, at
	case "queue.left", "queue.accepted":
		mine, known := w.waiting[e.CallID]
		delete(w.waiting, e.CallID)
		if o, ok := w.odd[e.CallID]; ok && o.at.Equal(e.Time) {
			delete(w.odd, e.CallID)
		}
		for id, other := range w.waiting {
			sooner := other.urgent && !mine.urgent || other.urgent == mine.urgent && mine.since.Sub(other.since) > 10*time.Millisecond
			if known && sooner && e.Type == "queue.accepted" && !strings.HasSuffix(id, " before") {
				w.odd[id] = odd{e.Time, e.CallID}
			}
		}
	}
}

func TestAHundredCallersAndTenPhones(t *testing.T) {
	for seed := range uint64(2) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { synctest.Test(t, func(t *testing.T) { crowded(t, seed) }) })
	}
}

func crowded(t *testing.T, seed uint64) {
	var members []string
	for i := range 10 {
		members = append(members, fmt.Sprintf(`{number: "+1202555%04d"}`, i))
	}
	ring := []string{"all", "one"}[seed%2]
	plan := strings.Replace(queuePlan, "{name: desk}\n  - {name: phones", "{name: desk, ring: "+ring+", members: ["+strings.Join(members, ", ")+"]}\n  - {name: phones", 1)
	w := &rush{rand: rand.New(rand.NewPCG(seed, 1)), waiting: map[string]turn{}, odd: map[string]odd{}}
	w.house = openQuiet(t, plan, func(x *Exchange) { x.Emitted = w.judge })
	w.house.auto, w.house.calls = true, w.member
	var calls []*Call
	for i := range 100 {
		time.Sleep(time.Duration(w.chance(1000)) * time.Millisecond)
		to := "desk"
		if i%20 == 7 {
			to = "112"
		}
		l, c := w.invite(to)
		calls = append(calls, c)
		if w.chance(10) == 0 { // loses patience
			time.AfterFunc(time.Duration(w.chance(30))*time.Second, func() { l.ended(LineEvent{Cause: CauseNormal}) })
		}
	}
	deadline := time.Now().Add(3 * time.Hour)
	for len(w.Calls()) > 0 && time.Now().Before(deadline) {
		time.Sleep(10 * time.Second)
	}
	synctest.Wait()
	accepted := 0
	for _, c := range calls {
		if d := w.cdr(c); d.AcceptedBy != "" {
			accepted++
		} else if d.Cause != CauseNormal {
			t.Errorf("a caller ended with %s: %s", d.Cause, d.Reason)
		}
	}
	if accepted < 80 {
		t.Errorf("%d of 100 callers were accepted", accepted)
	}
	for id, o := range w.odd {
		t.Errorf("%s waited when %s was accepted", id, o.by)
	}
	w.over()
	w.queues.mu.Lock()
	defer w.queues.mu.Unlock()
	if n := len(w.queues.byName["desk"].line) + len(w.queues.rings); n > 0 {
		t.Errorf("%d callers and phones are left over", n)
	}
	for key, m := range w.queues.members {
		if m.ring != nil {
			t.Errorf("phone %s is not free", key)
		}
	}
}
