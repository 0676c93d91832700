package bridge

import (
	"context"
	"runtime/debug"
	"sync"
	"time"
)

// queues are the lines of callers who wait for people, and the phones that ring
// for them. Who comes first, and who has accepted whom, is decided under mu; one
// goroutine, run, lets phones ring and stop.
type queues struct {
	x    *Exchange
	wake chan struct{} // holds one when run has something to look at

	mu      sync.Mutex
	byName  map[string]*queue
	members map[string]*member
	rings   map[*ringing]struct{}
	count   uint64 // offers made
}

// queue is one line. It stays for the life of the process, for its counts.
type queue struct {
	name    string
	line    []*queued // in the order of their turns: who wait, and who were accepted a moment ago
	watches map[*QueueWatch]struct{}
	left    map[string]uint64 // how many have left, by why
}

func (x *Exchange) newQueues() *queues {
	return &queues{
		x: x, wake: make(chan struct{}, 1), byName: map[string]*queue{},
		members: map[string]*member{}, rings: map[*ringing]struct{}{},
	}
}

// run lets phones ring and stop until ctx ends. Their calls end as all do.
func (s *queues) run(ctx context.Context) {
	for {
		next := time.NewTimer(s.turn(time.Now()))
		select {
		case <-ctx.Done():
			next.Stop()
			return
		case <-s.wake:
		case <-next.C:
		}
		next.Stop()
	}
}

// turn looks once who is to ring for whom, and says when to look again.
func (s *queues) turn(now time.Time) (again time.Duration) {
	defer func() {
		if v := recover(); v != nil {
			s.x.Log.Error("a queue panicked", "panic", v, "stack", string(debug.Stack()))
			again = time.Second
		}
	}()
	stop, start, again := s.survey(now)
	for _, r := range stop {
		r.stop()
	}
	for _, r := range start {
		r.dial()
	}
	return again
}

// survey finds which phones are to stop, and which to ring.
func (s *queues) survey(now time.Time) (stop, start []*ringing, again time.Duration) {
	plan := s.x.plan()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.needlessLocked(), s.neededLocked(plan, now), s.againLocked(now)
}

// look has run look at the queues again. It does not wait.
func (s *queues) look() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// ofLocked returns the queue with that name.
func (s *queues) ofLocked(name string) *queue {
	q := s.byName[name]
	if q == nil {
		q = &queue{name: name, watches: map[*QueueWatch]struct{}{}, left: map[string]uint64{}}
		s.byName[name] = q
	}
	return q
}

// waiting returns who wait for somebody to accept them, whose turn is first first.
func (q *queue) waiting() (all []*queued) {
	for _, o := range q.line {
		if o.state == inLine {
			all = append(all, o)
		}
	}
	return all
}

// changed tells those who look at the queue, and who wait in it.
func (q *queue) changed() {
	for w := range q.watches {
		w.tell()
	}
	for _, o := range q.line {
		o.spec.tell()
	}
}

// durationOr reads a duration of the plan, which was checked.
func durationOr(text string, otherwise time.Duration) time.Duration {
	if d, err := time.ParseDuration(text); err == nil {
		return d
	}
	return otherwise
}
