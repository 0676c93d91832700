package bridge

import (
	"testing"
	"time"

	"github.com/roomline/roomline/media/rtp"
)

// come lets packets of 20 ms come so late, in ticks, one after the other.
func (a *arrivals) come(first int64, late ...int64) {
	for i, l := range late {
		at := (first + int64(i)) * 160
		a.note(at+l, at, 160)
	}
}

// steady is n times the same.
func steady(n int, late int64) []int64 {
	all := make([]int64, n)
	for i := range all {
		all[i] = late
	}
	return all
}

func TestWhatTheJitterDemands(t *testing.T) {
	for _, c := range []struct {
		name string
		late []int64
		want int64
	}{
		{"the first packet", []int64{700}, 700},
		{"few packets: the latest", []int64{700, 790, 710}, 790},
		{"one exception", append(steady(20, 700), 1100, 700), 700},
		{"two are none", append(steady(20, 700), 1100, 700, 700, 700, 1100, 700), 1100},
		{"one stall, however many come after it", append(steady(20, 700), 2300, 2140, 1980, 1820, 1660, 1500, 1340, 1180, 1020, 860, 700), 700},
		{"two in 250", append(append(steady(120, 700), 1100), append(steady(120, 700), 1100)...), 700},
		{"what is older than 5 s", append([]int64{1200, 700, 1200, 700, 1200}, steady(260, 700)...), 700},
		{"another clock", append(steady(100, 700), 90000), 90000},
	} {
		a := &arrivals{}
		a.come(0, c.late...)
		if got := a.demand(); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

func TestAClockThatJumpsAheadIsAnotherOne(t *testing.T) {
	for _, jump := range []int64{600, 1 << 30} {
		a := &arrivals{}
		a.come(0, steady(100, 700)...)
		a.note(100*160+700, 100*160+jump, 160)
		if got := a.demand(); got != 700-jump {
			t.Errorf("by %d ticks: the demand is %d, want %d", jump, got, 700-jump)
		}
	}
}

func TestATimelineThatIsPutOffIsNoJitter(t *testing.T) {
	a := &arrivals{}
	a.come(0, append(steady(100, 700), 730, 710)...)
	demand, spread := a.demand(), a.spread()
	a.move(160)
	if a.demand() != demand-160 || a.spread() != spread {
		t.Errorf("a demand of %d and a spread of %d became %d and %d", demand, spread, a.demand(), a.spread())
	}
	a.come(102, steady(300, 540)...) // the old ones are forgotten by the right value
	if a.demand() != 540 || a.spread() != 0 || a.n > 256 {
		t.Errorf("in the end the demand is %d, the spread %d of %d", a.demand(), a.spread(), a.n)
	}
}

func TestOvertakingIsForgottenAgain(t *testing.T) {
	order, o, now := rtp.NewReorder(reorderMost, reorderWait), overtaking{}, time.Unix(1e9, 0)
	o.overdue = -1 // one has come too late
	o.adapt(order, true, now)
	if o.extra != 1 {
		t.Fatalf("%d more are waited for, want 1", o.extra)
	}
	o.adapt(order, true, now.Add(overtakingHolds))
	if o.extra != 1 {
		t.Error("it is forgotten too early")
	}
	o.adapt(order, true, now.Add(overtakingHolds+time.Second))
	if o.extra != 0 {
		t.Error("it is not forgotten")
	}
	o.overdue = -1
	if o.adapt(order, false, now); o.extra != 0 {
		t.Error("the direct road waits longer too")
	}
}

func TestRedundancyThatIsOfUseIsWaitedFor(t *testing.T) {
	a := &arrivals{}
	a.come(0, steady(100, 700)...)
	now := int64(100*160 + 700)
	for i, want := range []int64{700, 860, 860} { // once may be chance
		a.rescue(now, now-860)
		if got := a.demand(); got != want {
			t.Errorf("after %d: the demand is %d, want %d", i+1, got, want)
		}
	}
	a.rescue(now, now-5000)
	a.rescue(now, now-5000)
	if got := a.demand(); got != 700+rescueMost {
		t.Errorf("for what comes very late the demand is %d", got)
	}
	a.come(101, steady(600, 700)...)
	if got := a.demand(); got != 700 {
		t.Errorf("long after the last loss the demand is %d", got)
	}
}
