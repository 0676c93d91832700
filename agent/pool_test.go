package agent

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
)

const (
	one   = "ws://127.0.0.1:1/media"
	two   = "ws://127.0.0.1:2/media"
	three = "ws://127.0.0.1:3/media"
)

func TestCallsGoToTheLeastLoadedWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tn := newTown(t, pooled("bot", 0, one, two, three))
		defer tn.stopped()
		var legs []bridge.AgentLeg
		for range 6 {
			legs = append(legs, tn.call("bot"))
			time.Sleep(time.Millisecond)
		}
		if got, want := tn.calls(), []string{one, two, three, one, two, three}; !slices.Equal(got, want) {
			t.Errorf("calls went to %v, want %v", got, want)
		}
		legs[1].End("over")
		legs[4].End("over")
		synctest.Wait()
		tn.call("bot")
		if got := tn.calls(); !slices.Equal(got, []string{two}) {
			t.Errorf("the next call went to %v, want %s, which has none", got, two)
		}
	})
}

func TestTheLongestIdleWorkerIsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tn := newTown(t, pooled("bot", 0, one, two))
		defer tn.stopped()
		for range 4 {
			leg := tn.call("bot")
			time.Sleep(10 * time.Millisecond)
			leg.End("over")
			finish(leg)
		}
		if got, want := tn.calls(), []string{one, two, one, two}; !slices.Equal(got, want) {
			t.Errorf("calls went to %v, want %v", got, want)
		}
	})
}

func TestAFullPoolRefusesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tn := newTown(t, pooled("bot", 2, one, two))
		defer tn.stopped()
		first := tn.call("bot")
		tn.call("bot")
		_, err := tn.Send(bridge.AgentSpec{Agent: "bot", Room: "r"})
		wantError(t, err, bridge.LimitReached, `agent "bot" is busy: all 2 places of its pool are taken`)
		first.End("over")
		finish(first)
		tn.call("bot")

		tn.become(pooled("bot", 3, one, two))
		tn.call("bot")
		_, err = tn.Send(bridge.AgentSpec{Agent: "bot", Room: "r"})
		wantError(t, err, bridge.LimitReached, "all 3 places")
		_, err = tn.Send(bridge.AgentSpec{Agent: "nobody", Room: "r"})
		wantError(t, err, bridge.NotFound, `"nobody"`)
	})
}

func TestAPlaceIsFreeBeforeTheEndIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tn := newTown(t, pooled("bot", 1, one))
		defer tn.stopped()
		tn.does(one, breaks(time.Second))
		leg := tn.call("bot")
		for e := range leg.Events() {
			if e.Kind == bridge.AgentEnded {
				tn.call("bot").End("over")
			}
		}
	})
}

func TestAnotherWorkerIsTried(t *testing.T) {
	for name, bad := range map[string]act{"refuses": refuses, "hangs": hangs} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tn := newTown(t, pooled("bot", 2, one, two))
				defer tn.stopped()
				tn.does(one, bad)
				began := time.Now()
				leg := tn.call("bot")
				if e := <-leg.Events(); e.Kind != bridge.AgentReady {
					t.Fatalf("the caller has heard %+v", e)
				}
				if got := tn.calls(); !slices.Equal(got, []string{one, two}) || leg.Worker() != two {
					t.Errorf("tried %v, says %s", got, leg.Worker())
				}
				if took := time.Since(began); took > tryFor {
					t.Errorf("it took %s", took)
				}
			})
		})
	}
}

func TestTryingEndsAfterTwoSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tn := newTown(t, pooled("bot", 0, one, two, three))
		defer tn.stopped()
		for _, url := range []string{one, two, three} {
			tn.does(url, hangs)
		}
		began := time.Now()
		leg := tn.call("bot")
		if e := finish(leg); e.Kind != bridge.AgentEnded || e.Fault != bridge.FaultTimeout {
			t.Errorf("it has ended with %+v", e)
		}
		if took := time.Since(began); took != tryAllIn {
			t.Errorf("it took %s, want %s", took, tryAllIn)
		}
	})
}

func TestLeasesAreGivenBackWhateverHappens(t *testing.T) {
	panics := func(l *fakeLeg) {} // its events are closed without a word
	for name, bad := range map[string]act{"refuses": refuses, "hangs": hangs, "breaks": breaks(time.Second), "stays": stays, "panics": panics} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tn := newTown(t, pooled("bot", 8, one, two))
				defer tn.stopped()
				tn.does(one, bad)
				tn.does(two, bad)
				for i := range 8 {
					leg, err := tn.Send(bridge.AgentSpec{Agent: "bot", Room: "r"})
					if err != nil {
						break
					}
					if i%2 == 0 {
						leg.End("the caller has gone")
						leg.End("again")
					}
				}
				time.Sleep(5 * time.Second)
			})
		})
	}
}

func TestTheOpenerMayPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tn := newTown(t, pooled("bot", 1, one))
		defer tn.stopped()
		tn.House.open = func(url string, _ dialplan.Agent, _ bridge.AgentSpec) bridge.AgentLeg { panic("a bug") }
		if e := finish(tn.call("bot")); e.Fault != bridge.FaultInternal {
			t.Errorf("it has ended with %+v", e)
		}
	})
}

func TestShutDownEndsTheLegs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tn := newTown(t, pooled("bot", 0, one))
		leg := tn.call("bot")
		tn.stopped()
		if e := finish(leg); e.Fault != bridge.FaultNone {
			t.Errorf("it has ended with %+v", e)
		}
		_, err := tn.Send(bridge.AgentSpec{Agent: "bot", Room: "r"})
		wantError(t, err, bridge.Unavailable, "shutting down")
	})
}

func TestARemovedAgentDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tn := newTown(t, pooled("bot", 0, one, two))
		defer tn.stopped()
		first := tn.call("bot")
		tn.become(pooled("bot", 0, two))
		second := tn.call("bot")
		if got := tn.calls(); !slices.Equal(got, []string{one, two}) {
			t.Errorf("calls went to %v", got)
		}
		tn.become()
		_, err := tn.Send(bridge.AgentSpec{Agent: "bot", Room: "r"})
		wantError(t, err, bridge.NotFound, "bot")
		for _, leg := range []bridge.AgentLeg{first, second} {
			select {
			case e := <-leg.Events():
				if e.Kind != bridge.AgentReady {
					t.Errorf("a live call has got %+v", e)
				}
			default:
				t.Error("no event")
			}
			leg.End("over")
			finish(leg)
		}
		if len(tn.pools) != 0 {
			t.Error("the removed agent is still there")
		}
	})
}

func TestEventsOfALegArriveInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tn := newTown(t, pooled("bot", 0, one))
		defer tn.stopped()
		tn.does(one, func(l *fakeLeg) {
			if l.spec.Room == "" {
				stays(l)
				return
			}
			l.ready()
			<-l.admitted
			for range 200 {
				l.events <- bridge.AgentEvent{Kind: bridge.AgentSpoke}
			}
			l.end(bridge.FaultFlood)
		})
		leg := tn.call("bot")
		leg.Admit()
		time.Sleep(time.Second) // nobody reads
		var kinds []bridge.AgentEventKind
		for e := range leg.Events() {
			kinds = append(kinds, e.Kind)
		}
		if len(kinds) < 3 || kinds[0] != bridge.AgentReady || kinds[1] != bridge.AgentSpoke || kinds[len(kinds)-1] != bridge.AgentEnded {
			t.Errorf("events %v", kinds)
		}
	})
}

func wantError(t *testing.T, err error, code, words string) {
	t.Helper()
	var refused *bridge.Error
	if !errors.As(err, &refused) || refused.Code != code || !strings.Contains(refused.Message, words) {
		t.Errorf("refused by %#v, want %s with %q", err, code, words)
	}
}
