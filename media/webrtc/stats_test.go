package webrtc

import (
	"testing"
	"time"
)

// A sender that numbers anew in mid-stream has lost nothing; what it lost before
// and after still counts.
func TestNumbersThatJumpAreNoLoss(t *testing.T) {
	for name, at := range map[string]uint16{"up": 30000, "down": 4000, "half way round": 100 + 1<<15, "across the end": 65500} {
		s := &receivedStats{clockRate: 48000}
		now := time.Unix(1000, 0)
		run := func(from uint16) {
			for i := range uint16(100) {
				if i%10 != 5 {
					s.add(from+i, uint32(i)*960, now)
				}
			}
		}
		run(20000)
		run(at)
		if s.lost() != 20 || s.packets != 180 || s.expected() != 200 {
			t.Errorf("%s: %d of %d lost, %d came", name, s.lost(), s.expected(), s.packets)
		}
		if p := s.losses.Pattern(); p.Lost < 10 || p.Lost > 20 || p.Lost != p.Runs {
			t.Errorf("%s: %+v", name, p)
		}
	}
}
