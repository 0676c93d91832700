package bench

import "testing"

// Two hundred calls add two streams each; in every millisecond as many packets
// of either way leave.
func TestStreamsOfEitherWayLeaveEvenly(t *testing.T) {
	for way := range 2 {
		var filled [slots]int
		for call := range 200 {
			filled[slotOf(2*call+way)]++
		}
		for slot, n := range filled {
			if n != 200/slots {
				t.Errorf("way %d: %d packets in slot %d, want %d", way, n, slot, 200/slots)
			}
		}
	}
}
