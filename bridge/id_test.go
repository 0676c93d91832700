package bridge

import (
	"testing"
	"time"
)

func TestEventIDsGoUpAndDifferBetweenGateways(t *testing.T) {
	var here, there eventClock
	now := time.Now()
	last, apart := "", 0
	for i := range 100 {
		a, b := here.next(now.Add(-time.Duration(i)*time.Second)), there.next(now) // our clock runs backwards
		if a <= last || len(a) != 20 {
			t.Fatalf("%s after %s", a, last)
		}
		if a[16:] != b[16:] {
			apart++
		}
		last = a
	}
	if apart == 0 { // once in 65,536 runs by chance
		t.Error("two gateways make the same ids")
	}
}

func TestIDsSortByTime(t *testing.T) {
	a := NewID("call")
	time.Sleep(2 * time.Millisecond)
	if b := NewID("call"); a >= b || len(a) != len("call_")+26 {
		t.Errorf("%s then %s", a, b)
	}
}
