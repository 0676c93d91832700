package bridge

import (
	"cmp"
	"slices"
	"time"

	"github.com/roomline/roomline/dialplan"
)

// How long a phone of a queue is left alone after it did not take a call.
const (
	restUnanswered = 5 * time.Second
	restBusy       = 10 * time.Second
	restFailed     = 15 * time.Second
	restDeclined   = 30 * time.Second
	restAfterTalk  = 3 * time.Second // after a call that it took, by default
)

// member is a phone that queues ring, the same one in all of them. It is guarded
// by queues.mu.
type member struct {
	ring  *ringing  // what it is about; nil: it is free
	rests time.Time // until when it is left alone
	freed time.Time // since when it has been free; zero: it was never rung
}

// candidate is a member as the plan has it.
type candidate struct {
	dialplan.Member
	*member
}

// ringing is one attempt to reach a member. Whoever picks up gets the call whose
// turn is first then, whomever the phone began to ring for.
type ringing struct {
	queues *queues
	q      *queue
	m      *member
	member dialplan.Member
	o      *queued       // for whom it began to ring
	byKey  bool          // who picks up has to press 1
	length time.Duration // of ringing
	breath time.Duration // after a call that it took

	// Guarded by queues.mu.
	leg     *Call // nil: not dialled yet
	picked  bool  // the phone has been answered
	takes   *queued
	stopped bool // we have given it up
	done    bool
}

// needlessLocked finds phones that ring for somebody who does not wait any more.
func (s *queues) needlessLocked() (stop []*ringing) {
	for r := range s.rings {
		if r.stopped || r.takes != nil || r.leg == nil || r.o.state == inLine {
			continue
		}
		if r.picked && len(r.q.waiting()) > 0 { // somebody holds the phone: the next call is theirs
			continue
		}
		r.stopped = true
		stop = append(stop, r)
	}
	return stop
}

// neededLocked has free phones ring for those who wait, in the queue first whose
// first caller has the first turn.
func (s *queues) neededLocked(plan *dialplan.Plan, now time.Time) (start []*ringing) {
	var busy []*queue
	for _, q := range s.byName {
		if len(q.waiting()) > 0 {
			busy = append(busy, q)
		}
	}
	slices.SortFunc(busy, func(a, b *queue) int { return turnOf(a.waiting()[0], b.waiting()[0]) })
	for _, q := range busy {
		if settings, ok := plan.QueueNamed(q.name); ok {
			start = append(start, s.ringLocked(q, settings, now)...)
		}
	}
	return start
}

// ringLocked chooses whom the free phones of one queue ring for: all for the first
// in line, or one for each who waits and has none.
func (s *queues) ringLocked(q *queue, settings dialplan.Queue, now time.Time) (start []*ringing) {
	free, waiting := s.freeLocked(settings, now), q.waiting()
	for _, m := range free {
		o := waiting[0]
		if m.ring != nil { // the plan names it twice
			continue
		}
		if settings.Ring == "one" {
			alone := slices.DeleteFunc(slices.Clone(waiting), s.ringsForLocked)
			if len(alone) == 0 {
				return start
			}
			o = alone[0]
		}
		r := &ringing{queues: s, q: q, m: m.member, member: m.Member, o: o, byKey: settings.Accept == "key",
			length: durationOr(settings.RingTimeout, 20*time.Second), breath: durationOr(settings.WrapUp, restAfterTalk)}
		m.ring = r
		s.rings[r] = struct{}{}
		start = append(start, r)
	}
	return start
}

// ringsForLocked reports whether a phone rings for an offer.
func (s *queues) ringsForLocked(o *queued) bool {
	for r := range s.rings {
		if r.o == o && !r.stopped && r.takes == nil {
			return true
		}
	}
	return false
}

// freeLocked returns the phones of a queue that may ring, who has been free for
// longest first.
func (s *queues) freeLocked(settings dialplan.Queue, now time.Time) (free []candidate) {
	for _, m := range settings.Members {
		key := m.Trunk + " " + m.Number
		if s.members[key] == nil {
			s.members[key] = &member{}
		}
		if known := s.members[key]; known.ring == nil && !now.Before(known.rests) {
			free = append(free, candidate{m, known})
		}
	}
	slices.SortStableFunc(free, func(a, b candidate) int { return a.freed.Compare(b.freed) })
	return free
}

// againLocked is how long it takes until the next phone has rested.
func (s *queues) againLocked(now time.Time) time.Duration {
	again := time.Hour
	for _, m := range s.members {
		if d := m.rests.Sub(now); d > 0 && d < again {
			again = d
		}
	}
	return again
}

// dial calls the phone. It runs in the queues' goroutine.
func (r *ringing) dial() {
	spec, x := r.o.spec, r.queues.x
	rec := spec.call.Record()
	exits, err := x.exits(dialplan.Query{Trunk: r.member.Trunk, To: r.member.Number, From: rec.From})
	if err == nil {
		err = r.place(exits, rec)
	}
	if err != nil {
		x.Log.Warn("a phone of a queue cannot be rung", "queue", spec.queue, "member", r.label(), "call", rec.ID, "error", err)
		r.over(CallRecord{Cause: causeOfError(err)})
		return
	}
	r.o.emit("queue.offered", map[string]any{"to": r.label(), "leg": r.leg.id})
}

func (r *ringing) place(exits []dialplan.Exit, caller CallRecord) error {
	leg, err := r.queues.x.place(order{
		exits: exits, parent: caller.ID, ring: r.length, attributes: caller.Attributes,
		emergency: r.o.spec.priority == emergency, way: r.o.spec.way, ringing: r,
	})
	if err != nil {
		return err
	}
	r.queues.mu.Lock()
	defer r.queues.mu.Unlock()
	r.leg = leg
	return nil
}

// label names the member for people to read.
func (r *ringing) label() string { return cmp.Or(r.member.Name, r.member.Number) }

// stop has the phone ring no more.
func (r *ringing) stop() {
	cause := CauseCanceled
	if r.leg.isAnswered() {
		cause = CauseNormal
	}
	r.leg.Hangup(cause, r.needless())
}

// needless says why the phone need not ring.
func (r *ringing) needless() string {
	if r.o.outlook().by != (acceptance{}) {
		return AnsweredElsewhere
	}
	return "the caller has left the queue"
}

// pick notes that the phone has been picked up; false when there is nobody who
// waits any more.
func (r *ringing) pick() bool {
	r.queues.mu.Lock()
	defer r.queues.mu.Unlock()
	r.picked = !r.stopped && len(r.q.waiting()) > 0
	return r.picked
}

// take accepts the call whose turn it is: the one that it returns, nil for none.
func (r *ringing) take(leg *Call) *queued {
	r.queues.mu.Lock()
	waiting := r.q.waiting()
	if r.stopped || len(waiting) == 0 {
		r.queues.mu.Unlock()
		return nil
	}
	o := waiting[0]
	r.takes = o
	o.turnsLocked(inLine, wasTaken, acceptance{name: r.label(), leg: leg, at: time.Now()})
	r.queues.mu.Unlock()
	o.emit("queue.accepted", map[string]any{"by": r.label(), "leg": leg.id})
	return o
}

// arrived: the phone is in the room of the call that it took. It is false when
// that call has gone.
func (r *ringing) arrived(leg *Call) bool {
	r.queues.mu.Lock()
	defer r.queues.mu.Unlock()
	if o := r.takes; o.state == wasTaken && o.by.leg == leg {
		o.by.here = true
		o.spec.tell()
		return true
	}
	return false
}

// over notes that the attempt has ended, or the talk that came of it. It is
// harmless on nil, and the second time.
func (r *ringing) over(rec CallRecord) {
	if r == nil {
		return
	}
	s := r.queues
	s.mu.Lock()
	if r.done {
		s.mu.Unlock()
		return
	}
	r.done = true
	delete(s.rings, r)
	now := time.Now()
	r.m.ring, r.m.freed, r.m.rests = nil, now, now.Add(r.rest(rec))
	if o := r.takes; o != nil && o.state == wasTaken && o.by.leg != nil && o.by.leg.id == rec.ID {
		o.by.gone = true
		o.spec.tell()
	}
	declined := r.takes == nil && !r.stopped
	s.mu.Unlock()
	s.look()
	if declined {
		r.o.emit("queue.declined", map[string]any{"by": r.label(), "cause": string(rec.Cause), "leg": rec.ID})
	}
}

// rest is how long the phone is left alone.
func (r *ringing) rest(rec CallRecord) time.Duration {
	switch {
	case r.takes != nil:
		return r.breath
	case r.stopped:
		return 0
	case r.picked, rec.Cause == CauseRejected:
		return restDeclined
	case rec.Cause == CauseNoAnswer:
		return restUnanswered
	case rec.Cause == CauseBusy:
		return restBusy
	}
	return restFailed
}
