package agent

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
)

// refused counts calls that could not be placed.
func (tn *town) refused(name string) bool {
	tn.t.Helper()
	leg, err := tn.Send(bridge.AgentSpec{Agent: name, Room: "r"})
	if err != nil {
		return true
	}
	leg.End("over")
	finish(leg)
	return false
}

func TestNoCallGoesToAWorkerAfterTwoFailedProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tn := newTown(t, pooled("bot", 0, one, two))
		defer tn.stopped()
		time.Sleep(5 * time.Second)
		tn.kinds()
		tn.does(one, refuses)
		time.Sleep(40 * time.Second)
		if tn.probes(one) < 3 {
			t.Fatalf("%d probes", tn.probes(one))
		}
		if kinds := tn.kinds(); !slices.Equal(kinds, []string{"agent.worker.down"}) {
			t.Errorf("events %v", kinds)
		}
		for range 10 {
			tn.call("bot")
		}
		if calls := tn.calls(); slices.Contains(calls, one) {
			t.Errorf("a call went to the dead worker: %v", calls)
		}
		tn.does(one, stays)
		time.Sleep(time.Minute + time.Second)
		if kinds := tn.kinds(); !slices.Contains(kinds, "agent.worker.up") {
			t.Errorf("events %v", kinds)
		}
		tn.call("bot")
		if calls := tn.calls(); !slices.Equal(calls, []string{one}) {
			t.Errorf("the next call went to %v", calls)
		}
	})
}

func TestQuarantineLastsTwiceAsLongEachTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tn := newTown(t, pooled("bot", 0, one))
		defer tn.stopped()
		var at []time.Duration
		began := time.Now()
		tn.does(one, func(l *fakeLeg) {
			tn.mu.Lock()
			at = append(at, time.Since(began))
			tn.mu.Unlock()
			refuses(l)
		})
		time.Sleep(4 * time.Minute)
		_, err := tn.Send(bridge.AgentSpec{Agent: "bot", Room: "r"})
		wantError(t, err, bridge.Unavailable, "the worker of agent \"bot\" is quarantined: refused (the test says so)")
		tn.mu.Lock()
		defer tn.mu.Unlock()
		var gaps []time.Duration
		for i := 1; i < len(at); i++ {
			gaps = append(gaps, at[i]-at[i-1])
		}
		s := time.Second
		if want := []time.Duration{0, s, 2 * s, 4 * s, 8 * s, 16 * s, 32 * s, 60 * s, 60 * s}; !slices.Equal(gaps[:min(len(gaps), len(want))], want) {
			t.Errorf("between probes there were %v, want %v", gaps, want)
		}
	})
}

func TestABrokenCallIsFollowedByAProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tn := newTown(t, pooled("bot", 0, one))
		defer tn.stopped()
		time.Sleep(5 * time.Second)
		before := tn.probes(one)
		tn.does(one, breaks(time.Second))
		leg := tn.call("bot")
		tn.does(one, stays)
		if e := finish(leg); e.Fault != bridge.FaultGone {
			t.Fatalf("it has ended with %+v", e)
		}
		synctest.Wait()
		if got := tn.probes(one) - before; got != 1 {
			t.Errorf("%d probes at once", got)
		}
		if tn.refused("bot") {
			t.Error("one broken call keeps others away")
		}
	})
}

func TestAWorkerThatBreaksItsCallsGetsFewer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tn := newTown(t, pooled("bot", 0, one, two))
		defer tn.stopped()
		tn.does(one, breaks(time.Second)) // longer than any probe
		for range 40 {
			leg := tn.call("bot")
			time.Sleep(1500 * time.Millisecond)
			leg.End("over")
			finish(leg)
		}
		to := map[string]int{}
		for _, url := range tn.calls() {
			to[url]++
		}
		if to[one] > to[two]/3 {
			t.Errorf("calls went to %v", to)
		}
	})
}

func TestAWorkerThatBreaksAllItsCallsIsQuarantined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tn := newTown(t, pooled("bot", 0, one))
		defer tn.stopped()
		tn.does(one, breaks(time.Second)) // no probe lasts for that long
		away := 0
		for range 40 {
			if leg, err := tn.Send(bridge.AgentSpec{Agent: "bot", Room: "r"}); err == nil {
				finish(leg)
			} else {
				away++
			}
			time.Sleep(500 * time.Millisecond)
		}
		if kinds := tn.kinds(); !slices.Contains(kinds, "agent.worker.down") || away < 5 {
			t.Errorf("%d calls kept away, events %v", away, kinds)
		}
	})
}

func TestWithoutProbesOneCallDecides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bot := pooled("bot", 0, one)
		bot.Probe = "off"
		tn := newTown(t, bot)
		defer tn.stopped()
		time.Sleep(time.Minute)
		tn.does(one, refuses)
		finish(tn.call("bot"))
		finish(tn.call("bot"))
		if !tn.refused("bot") {
			t.Fatal("a call goes to a worker that has refused two")
		}
		time.Sleep(1100 * time.Millisecond)
		tn.does(one, hangs)
		deciding := tn.call("bot")
		if !tn.refused("bot") {
			t.Error("more than one call decides")
		}
		deciding.End("the caller has gone")
		finish(deciding)
		tn.does(one, stays)
		tn.call("bot")
		tn.call("bot")
		if kinds := tn.kinds(); !slices.Equal(kinds, []string{"agent.worker.down", "agent.worker.up"}) {
			t.Errorf("events %v", kinds)
		}
		if tn.probes(one) > 0 {
			t.Errorf("%d probes", tn.probes(one))
		}
	})
}

func TestAProbeFails(t *testing.T) {
	goodbye := func(l *fakeLeg) {
		l.ready()
		time.Sleep(probeListens / 2)
		l.end(bridge.FaultNone)
	}
	for name, a := range map[string]act{"refused": refuses, "hanging": hangs, "hung up": goodbye, "broken": breaks(probeListens / 2)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tn := newTown(t, dialplan.Agent{Name: "bot", URL: one, Probe: "10s"})
				defer tn.stopped()
				tn.does(one, a)
				time.Sleep(firstProbe + 2*probePatience + time.Second/2)
				if !tn.refused("bot") {
					t.Error("calls go there")
				}
			})
		})
	}
}

func TestWorkersOnCallsAreNotProbed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tn := newTown(t, dialplan.Agent{Name: "bot", URL: one, Probe: "10s"})
		defer tn.stopped()
		leg := tn.call("bot")
		time.Sleep(time.Minute)
		if tn.probes(one) > 0 {
			t.Errorf("%d probes", tn.probes(one))
		}
		leg.End("over")
		time.Sleep(25 * time.Second)
		if tn.probes(one) < 2 {
			t.Errorf("%d probes", tn.probes(one))
		}
	})
}

func TestAProbeOfOursThatFailsLetsNobodyIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tn := newTown(t, pooled("bot", 0, one))
		defer tn.stopped()
		tn.does(one, refuses)
		time.Sleep(firstProbe + time.Millisecond)
		tn.does(one, func(l *fakeLeg) { l.end(bridge.FaultInternal) })
		time.Sleep(1500 * time.Millisecond)
		if !tn.refused("bot") {
			t.Error("a call goes to a worker that no probe has found in order")
		}
		tn.does(one, stays)
		time.Sleep(2 * time.Second)
		if tn.refused("bot") {
			t.Error("it does not come back")
		}
	})
}

func TestAnAgentThatIsRemovedAndComesBackDuringAProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tn := newTown(t, pooled("bot", 0, one))
		defer tn.stopped()
		tn.does(one, hangs)
		time.Sleep(firstProbe + time.Millisecond) // the probe hangs
		tn.become()
		tn.become(pooled("bot", 0, two))
		leg := tn.call("bot")
		time.Sleep(2 * probePatience)
		if s := tn.States(); len(s) != 1 || s[0].Calls != 1 {
			t.Errorf("%+v", s)
		}
		leg.End("over")
		finish(leg)
	})
}

func TestANewKeyIsTriedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bot := pooled("bot", 0, one)
		tn := newTown(t, bot)
		defer tn.stopped()
		tn.does(one, refuses)
		time.Sleep(time.Minute)
		tn.does(one, stays)
		bot.Key = "another"
		tn.become(bot)
		time.Sleep(time.Second)
		if tn.refused("bot") {
			t.Error("it waits for the end of the quarantine")
		}
	})
}
