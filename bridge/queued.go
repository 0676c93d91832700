package bridge

import (
	"cmp"
	"slices"
	"time"
)

// queueSpec is what is offered to the people of a queue.
type queueSpec struct {
	queue    string
	call     *Call
	room     string    // where who accepts comes to
	handover *Handover // what they get to know; nil: nothing
	priority string    // emergency, high, low, or empty between these
	way      way       // how the phones of the queue are called
	since    time.Time // when the call began to wait; zero: now
	// tell is called when there is news for the one who offers: see [offer.outlook].
	// It must not block, and take no lock.
	tell func()
}

// queued is a call that people of a queue may accept. Whoever made it watches how
// it stands, and ends it by settle or leave.
type queued struct {
	queues *queues
	q      *queue
	spec   queueSpec
	number uint64

	// Guarded by queues.mu.
	state    lineState
	by       acceptance
	declined map[string]bool // by whom
}

type lineState uint8

const (
	inLine   lineState = iota
	wasTaken           // somebody has accepted; they may vanish yet
	outOfLine
)

// acceptance is who takes a call.
type acceptance struct {
	identity string // of a browser; empty: a phone
	name     string // for people to read
	leg      *Call  // of a phone; nil: a browser
	here     bool   // of a phone: it is in the room
	gone     bool   // of a phone: it has hung up
	at       time.Time
}

// outlook is how an offer stands.
type outlook struct {
	state    lineState
	by       acceptance
	position int  // from 1, while it waits
	nobody   bool // the queue has no phones, and nobody looks at it who has not declined
}

// join puts a call into a queue. An error is of code NotFound or LimitReached;
// emergencies pass the limit.
func (s *queues) join(spec queueSpec) (*queued, *Error) {
	plan, ok := s.x.plan().QueueNamed(spec.queue)
	if !ok {
		return nil, refuse(NotFound, "", "there is no queue %q in the dial plan", spec.queue)
	}
	if spec.since.IsZero() {
		spec.since = time.Now()
	}
	o := &queued{queues: s, spec: spec, declined: map[string]bool{}}
	s.mu.Lock()
	q := s.ofLocked(spec.queue)
	if n := len(q.waiting()); plan.MaxCallers > 0 && n >= plan.MaxCallers && spec.priority != emergency {
		q.left["full"]++
		s.mu.Unlock()
		return nil, refuse(LimitReached, "queue", "queue %s is full: %d callers wait already", spec.queue, n)
	}
	s.count++
	o.q, o.number = q, s.count
	at, _ := slices.BinarySearchFunc(q.line, o, turnOf)
	q.line = slices.Insert(q.line, at, o)
	position := q.position(o)
	q.changed()
	s.mu.Unlock()
	s.look()
	o.emit("queue.joined", map[string]any{"position": position, "priority": spec.priority})
	return o, nil
}

const emergency = "emergency"

// turnOf compares by whose turn comes first: emergencies, then by priority, then
// by how long they have waited.
func turnOf(a, b *queued) int {
	return cmp.Or(
		cmp.Compare(rank(a.spec.priority), rank(b.spec.priority)),
		a.spec.since.Compare(b.spec.since),
		cmp.Compare(a.number, b.number),
	)
}

func rank(priority string) int {
	switch priority {
	case emergency:
		return 0
	case "high":
		return 1
	case "low":
		return 3
	}
	return 2
}

// position counts who wait, from 1; 0 for who does not.
func (q *queue) position(o *queued) int { return slices.Index(q.waiting(), o) + 1 }

// outlook says how the offer stands.
func (o *queued) outlook() outlook {
	plan, _ := o.queues.x.plan().QueueNamed(o.spec.queue)
	o.queues.mu.Lock()
	defer o.queues.mu.Unlock()
	return outlook{o.state, o.by, o.q.position(o), len(plan.Members) == 0 && !o.q.attended(o)}
}

// attended reports whether somebody looks at the queue who may accept.
func (q *queue) attended(o *queued) bool {
	for w := range q.watches {
		if w.available && !o.declined[w.identity] {
			return true
		}
	}
	return false
}

// back: who had accepted did not come, or vanished. The caller waits on, where
// they were before.
func (o *queued) back(why string) {
	if o.turns(wasTaken, inLine, acceptance{}) {
		o.emit("queue.joined", map[string]any{"again": true, "reason": why})
	}
}

// settle: who has accepted and the caller talk with each other.
func (o *queued) settle() { o.end("accepted") }

// leave takes the offer back; why is for the record: abandoned, timeout, nobody,
// transferred. A phone that has accepted hangs up. It is harmless after settle.
func (o *queued) leave(why string) {
	if by := o.end(why); by.leg != nil {
		by.leg.Hangup(CauseNone, "the caller has left the queue")
	}
}

// end takes the offer out of the queue, once, and returns who had accepted it.
func (o *queued) end(why string) acceptance {
	o.queues.mu.Lock()
	if o.state == outOfLine {
		o.queues.mu.Unlock()
		return acceptance{}
	}
	by := o.by
	o.state = outOfLine
	o.q.left[why]++
	o.q.line = slices.DeleteFunc(o.q.line, func(other *queued) bool { return other == o })
	o.q.changed()
	o.queues.mu.Unlock()
	o.queues.look()
	o.emit("queue.left", map[string]any{"reason": why})
	return by
}

// turns changes the state, if it was the one that is expected.
func (o *queued) turns(from, to lineState, by acceptance) bool {
	o.queues.mu.Lock()
	defer o.queues.mu.Unlock()
	return o.turnsLocked(from, to, by)
}

func (o *queued) turnsLocked(from, to lineState, by acceptance) bool {
	if o.state != from {
		return false
	}
	o.state, o.by = to, by
	o.q.changed()
	o.queues.look()
	return true
}

// waited is how long the call has been in the queue.
func (o *queued) waited() time.Duration { return time.Since(o.spec.since) }

// emit tells an event of the offer.
func (o *queued) emit(kind string, data map[string]any) {
	data["queue"], data["waited_ms"] = o.spec.queue, o.waited().Milliseconds()
	o.queues.x.emit(Event{Type: kind, CallID: o.spec.call.id, Room: o.spec.room, Data: data})
}
