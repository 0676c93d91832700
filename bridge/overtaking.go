package bridge

import (
	"time"

	"github.com/roomline/roomline/media/rtp"
)

const (
	// overtakingMost is how many packets more than reorderMost may wait for one that
	// they have overtaken, and overtakingEach by how much longer for each.
	overtakingMost = 4
	overtakingEach = 20 * time.Millisecond
	// overtakingHolds is how long that is kept up after it was of use.
	overtakingHolds = 20 * time.Second
)

// overtaking is how much longer than usual a source's packets wait for one that
// they have overtaken. It grows where packets come after they were given up, and
// only while the source is mixed: the jitter buffer waits for them anyhow.
type overtaking struct {
	extra, overdue int
	at             time.Time // when extra changed last
}

// adapt sets the patience of order after a packet that came now.
func (o *overtaking) adapt(order *rtp.Reorder, mixed bool, now time.Time) {
	was, overdue := o.extra, order.Overdue()
	switch {
	case !mixed:
		o.extra = 0
	case overdue != o.overdue:
		o.extra, o.at = min(o.extra+1, overtakingMost), now
	case o.extra > 0 && now.Sub(o.at) > overtakingHolds:
		o.extra, o.at = o.extra-1, now
	}
	if o.overdue = overdue; o.extra != was {
		order.Wait(reorderMost+o.extra, reorderWait+time.Duration(o.extra)*overtakingEach)
	}
}
