package webrtc

import "testing"

func TestOrderLetsNoneOvertake(t *testing.T) {
	var o order
	step := func(what string, got, want bool) {
		t.Helper()
		if got != want {
			t.Errorf("%s: waits %v, want %v", what, got, want)
		}
	}
	o.came(1)
	step("the first: 2 may still be on pion's road", o.wait(3, false), true)
	o.came(2)
	step("3 is", o.wait(4, false), true)
	o.came(3)
	step("4 is", o.wait(5, false), true)
	o.came(4)
	step("4 did not prove that 5 came", o.wait(6, false), true)
	o.came(6) // 5 was lost on the way
	step("6 waits in the queue", o.wait(7, true), true)
	o.came(7)
	step("all have come", o.wait(8, false), false)
	step("settled", o.wait(9, true), false)
	o.came(10) // from another address
	step("more may be on that road", o.wait(11, false), true)
	o.came(11)
	step("all have come again", o.wait(12, false), false)
}
