package bridge

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomline/roomline/media/rtp"
)

// TestWarmTransfersInAnyOrder drives calls through random orders of what callers,
// phones, pages, agents and users of the API may do while a call is transferred
// warmly. Whatever comes: nobody is left behind on hold or in a room for briefing,
// and everything is given back at the end.
func TestWarmTransfersInAnyOrder(t *testing.T) {
	runs := 1500
	if raceOn || testing.Short() {
		runs /= 10
	}
	states := map[string]int{}
	for seed := range runs {
		synctest.Test(t, func(t *testing.T) {
			w := openWarm(t)
			defer func() {
				if t.Failed() {
					t.Logf("seed %d", seed)
				}
			}()
			r := rand.New(rand.NewPCG(7, uint64(seed)))
			var did []string
			for range 3 + r.IntN(12) {
				did = append(did, w.happens(r))
				synctest.Wait()
			}
			if rec := w.call.Record(); rec.Transfer != nil {
				states[rec.Transfer.State+" "+string(rec.Transfer.Cause)]++
			}
			w.settled(did)
			w.page.Leave()
			for _, l := range w.agents.legs {
				l.end(FaultNone)
			}
			w.guide.Leave()
			w.over()
		})
		if t.Failed() {
			return
		}
	}
	t.Logf("how the last transfers ended: %v", states)
	if len(states) < 7 {
		t.Error("the orders are too much alike")
	}
}

// happens does one thing, and names it.
func (w *warmth) happens(r *rand.Rand) string {
	const ring, brief = 4 * time.Second, 6 * time.Second
	ctx := w.t.Context()
	w.mu.Lock()
	w.house.mu.Lock()
	lines := w.lines
	w.house.mu.Unlock()
	w.mu.Unlock()
	var last *fakeLine
	if len(lines) > 0 {
		last = lines[len(lines)-1]
	}
	key := func(k rune) {
		if last == nil {
			return
		}
		if c, ok := w.of(last); ok {
			c.pressed(rtp.Digit{Key: k}, byEvent)
		}
	}
	things := []struct {
		name string
		do   func()
	}{
		{"transfer to a phone", func() {
			w.call.Transfer(ctx, TransferRequest{Warm: true, RingTime: ring, BriefTime: brief, To: "+12025550123"})
		}},
		{"transfer to a page", func() {
			w.call.Transfer(ctx, TransferRequest{Warm: true, RingTime: ring, BriefTime: brief, Participant: "ann"})
		}},
		{"transfer to a room", func() {
			w.call.Transfer(ctx, TransferRequest{Warm: true, RingTime: ring, BriefTime: brief, Room: "desk", CoPilot: true})
		}},
		{"transfer to an agent", func() {
			w.call.Transfer(ctx, TransferRequest{Warm: true, RingTime: ring, BriefTime: brief, Agent: "billing"})
		}},
		{"blind", func() { w.call.Transfer(ctx, TransferRequest{Room: "elsewhere"}) }},
		{"answered", func() {
			if last != nil {
				last.happens(LineAnswered)
			}
		}},
		{"busy", func() {
			if last != nil {
				last.ended(LineEvent{Cause: CauseBusy})
			}
		}},
		{"key 1", func() { key('1') }},
		{"key 2", func() { key('2') }},
		{"accept", func() { w.call.AnswerTransfer(ctx, "ann", AnswerAccept) }},
		{"brief", func() { w.call.AnswerTransfer(ctx, "ann", AnswerBrief) }},
		{"decline", func() { w.call.AnswerTransfer(ctx, "", AnswerDecline) }},
		{"the agent is ready", func() {
			if l := w.agents.legs[len(w.agents.legs)-1]; l.seat == nil && !l.over.Load() {
				l.ready(w.t)
			}
		}},
		{"an agent dies", func() { w.agents.legs[r.IntN(len(w.agents.legs))].end(FaultGone) }},
		{"the page leaves", func() {
			if r.IntN(4) == 0 {
				w.page.Leave()
			}
		}},
		{"the peer holds", func() { w.line.happens(LineHeld) }},
		{"the peer resumes", func() { w.line.happens(LineResumed) }},
		{"hold", func() { w.call.Hold(ctx, r.IntN(2) == 0) }},
		{"time", func() { time.Sleep(time.Duration(r.IntN(6)) * time.Second) }},
		{"the caller leaves", func() {
			if r.IntN(4) == 0 {
				w.line.ended(LineEvent{Cause: CauseNormal})
			}
		}},
	}
	thing := things[r.IntN(len(things))]
	thing.do()
	return thing.name
}

// settled holds everybody to being somewhere, once a transfer has had its time.
func (w *warmth) settled(did []string) {
	w.t.Helper()
	time.Sleep(12 * time.Second)
	synctest.Wait()
	rec := w.call.Record()
	wrong := ""
	if rec.Transfer != nil && rec.Transfer.EndedAt == nil {
		wrong = "the transfer goes on"
	}
	if _, open := w.Room("consult-" + w.call.id); open {
		wrong = "somebody is left behind where people are briefed"
	}
	if rec.State == StateActive && w.call.seat.Record().Held {
		wrong = "the caller is left on hold"
	}
	if w.page.offered != "" {
		wrong = "the page is still asked"
	}
	if wrong != "" {
		w.t.Errorf("%s after %q: %+v, %+v", wrong, did, rec, rec.Transfer)
	}
}
