package agent

import (
	"sync"
	"time"
)

// Bounds of what an agent may send: five minutes of sound in one second, cut into
// frames, is well within them. What may wait to be played is the Speaker's affair.
const (
	intakeMost   = 30000 // messages at once; a KiB counts as one more
	intakeSecond = 2000  // and per second in the long run
)

// intake is a bucket of messages.
type intake struct {
	mu   sync.Mutex
	used float64
	at   time.Time
}

func (i *intake) take(bytes int, now time.Time) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.used = max(0, i.used-now.Sub(i.at).Seconds()*intakeSecond)
	i.at = now
	i.used += 1 + float64(bytes)/1024
	return i.used <= intakeMost
}
