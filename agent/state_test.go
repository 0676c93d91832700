package agent

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomline/roomline/bridge"
)

func TestStatesTellWhatIsWrong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tn := newTown(t, pooled("bot", 20, "wss://a.example/media?token=secret", two))
		defer tn.stopped()
		tn.does(two, refuses)
		leg := tn.call("bot")
		time.Sleep(5 * time.Second)
		states := tn.States()
		if len(states) != 1 || states[0].Calls != 1 || states[0].Cap != 20 || len(states[0].Workers) != 2 {
			t.Fatalf("%+v", states)
		}
		a, b := states[0].Workers[0], states[0].Workers[1]
		if a.Worker != "wss://a.example/media" || a.State != Up || a.Calls != 1 || a.NextProbe == nil {
			t.Errorf("%+v", a)
		}
		if b.State != Quarantined || b.Failures != 4 || b.Fault != bridge.FaultRefused || b.Reason != "the test says so" || b.FaultAt == nil {
			t.Errorf("%+v", b)
		}
		if leg.Worker() != a.Worker {
			t.Errorf("the leg says %s", leg.Worker())
		}
		if n := states[0].Counts.Faults[bridge.FaultRefused]; n < 3 {
			t.Errorf("%d faults", n)
		}
	})
}

func TestADrainedAgentTakesNoCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tn := newTown(t, pooled("bot", 0, one))
		defer tn.stopped()
		leg := tn.call("bot")
		if err := tn.Drain("bot"); err != nil {
			t.Fatal(err)
		}
		_, err := tn.Send(bridge.AgentSpec{Agent: "bot", Room: "r"})
		wantError(t, err, bridge.Unavailable, "drained")
		if s := tn.States()[0]; !s.Draining || s.Workers[0].State != Draining || s.Calls != 1 {
			t.Errorf("%+v", s)
		}
		leg.End("over")
		finish(leg)
		before := tn.probes(one)
		time.Sleep(5 * time.Minute)
		if got := tn.probes(one); got != before {
			t.Errorf("a drained agent was probed %d times", got-before)
		}
		if err := tn.Resume("bot"); err != nil {
			t.Fatal(err)
		}
		tn.call("bot")
		wantError(t, tn.Drain("nobody"), bridge.NotFound, "nobody")
	})
}

func TestStartsAreCounted(t *testing.T) {
	var r recent
	if r.share(0.5) != 0 {
		t.Error("there were none")
	}
	for i := range 3 * recentStarts {
		r.add(time.Duration(i) * time.Millisecond)
	}
	if got := r.share(0); got != 2*recentStarts*time.Millisecond {
		t.Errorf("the smallest is %s", got)
	}
	if got, want := r.share(0.5), (2*recentStarts+recentStarts/2)*time.Millisecond; got != want {
		t.Errorf("the median is %s, want %s", got, want)
	}
	c := newCounts()
	c.Starts.add(30 * time.Millisecond)
	if c.Starts.Buckets[2] != 0 || c.Starts.Buckets[3] != 1 || c.Starts.Count != 1 {
		t.Errorf("%+v", c.Starts)
	}
}
