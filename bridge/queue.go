package bridge

import (
	"time"

	"github.com/roomline/roomline/dialplan"
)

const (
	// arrives is how long a browser that has accepted may take to come into the room.
	arrives = 20 * time.Second
	// connects is how long the sound of who has come may take to come as well, before
	// they are taken for somebody who only listens.
	connects = 3 * time.Second
	// staysFor is how long who has accepted must stay to have taken the call: one who
	// vanishes sooner leaves it to the next.
	staysFor = 3 * time.Second
	// deserted is how long a queue that has lost the last who looked at it may be
	// without, before its callers go elsewhere: a page may be loaded again.
	deserted = 15 * time.Second
)

// enqueue lets the call wait for people. It is answered first, so that the hold
// sound and its position are heard; a target with `answer: ready` rings until
// somebody accepts.
func (c *Call) enqueue(t dialplan.Target) step {
	room, err := c.queueRoom(t)
	if err != nil {
		return c.otherwise(t, CauseNoRoute, err.Error())
	}
	return c.waitIn(t, room, time.Now())
}

// waitIn puts the call into the queue; since is when it began to wait.
func (c *Call) waitIn(t dialplan.Target, room string, since time.Time) step {
	settings, _ := c.x.plan().QueueNamed(t.Queue)
	if t.Else == nil {
		t.Else = settings.Else
	}
	o, err := c.x.queues.join(queueSpec{
		queue: t.Queue, call: c, room: room, handover: c.handover, priority: c.priority(), way: c.wayToPeople(), tell: c.stir, since: since,
	})
	if err != nil {
		cause := CauseNoRoute
		if err.Code == LimitReached {
			cause = CauseLimit
		}
		return c.otherwise(t, cause, err.Message)
	}
	c.note(func(r *CallRecord) { r.Queue, r.AcceptedBy, r.WaitedMS = t.Queue, "", 0 })
	w := &waiter{c: c, t: t, settings: settings, o: o, room: room}
	return w.inLine
}

// queueRoom is where the caller waits, and where who accepts comes to.
func (c *Call) queueRoom(t dialplan.Target) (string, error) {
	if t.Room == "" {
		return "call-" + c.id, nil
	}
	return dialplan.Expand(t.Room, c.Record().vars())
}

// priority is whose turn comes first in queues.
func (c *Call) priority() string {
	if c.emergency {
		return emergency
	}
	return c.urgency
}

// wayToPeople is how the phones of a queue are called: they see who waits.
func (c *Call) wayToPeople() way {
	if rec := c.Record(); rec.Direction == Outbound {
		return way{from: rec.To, hops: c.hops}
	}
	return c.wayFor()
}

// stir wakes the call when its queue or its room has changed. It does not wait.
func (c *Call) stir() {
	select {
	case c.stirs <- struct{}{}:
	default:
	}
}

// waiter is one caller's time in a queue, in the call's goroutine.
type waiter struct {
	c        *Call
	t        dialplan.Target
	settings dialplan.Queue
	o        *queued
	room     string
	sound    *waitingSound

	seen     bool      // the queue has had somebody to accept
	lonely   time.Time // since when it has nobody; zero: it has
	position int       // that was told last
	told     time.Time // when
	merged   time.Time // since when the caller and who has accepted hear each other; zero: they do not
}

// inLine: the caller waits until somebody has accepted, and stays.
func (w *waiter) inLine() step {
	c := w.c
	defer w.leave()
	if (c.isAnswered() || w.t.Answer != "ready") && !w.answer() {
		return nil
	}
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for {
		if next, done := w.look(time.Now()); done {
			return next
		}
		switch e, what := c.wait(c.stirs, second.C); {
		case what == over:
			return nil
		case what == told:
			c.changed(e)
		case what == timeUp && c.isAnswered() && c.silent(time.Now()):
			return c.end(CauseMediaTimeout, "no RTP came from the phone for "+c.x.MediaTimeout.String())
		}
	}
}

// leave takes the caller out of the queue, if nothing else has.
func (w *waiter) leave() {
	why := "abandoned"
	switch {
	case !w.merged.IsZero():
		why = "accepted"
	case w.c.onward != nil:
		why = "transferred"
	}
	w.note()
	w.o.leave(why)
}

// note keeps how long the caller has waited, once.
func (w *waiter) note() {
	waited := w.o.waited().Milliseconds()
	w.c.note(func(r *CallRecord) {
		if r.WaitedMS == 0 {
			r.WaitedMS = waited
		}
	})
}

// answer accepts the call, or takes one that is answered along, and lets it hear
// that it waits. It is false when the call has ended meanwhile.
func (w *waiter) answer() bool {
	c := w.c
	if err := c.accept(w.room); err != nil {
		c.end(CauseSignalling, err.Error())
		return false
	}
	w.hum()
	if c.awaitAck(func() step { return nil }) == nil {
		return false
	}
	c.answered()
	return true
}

// look goes by how things stand; done when the call leaves this state.
func (w *waiter) look(now time.Time) (next step, done bool) {
	at := w.o.outlook()
	if at.state == wasTaken {
		return w.taken(at.by, now)
	}
	if why, cause := w.vain(at, now); why != "" {
		w.note()
		w.o.leave(why)
		return w.c.otherwise(w.t, cause, "queue "+w.t.Queue+": "+vainWords[why]), true
	}
	w.hum()
	w.announce(at.position, now)
	return nil, false
}

// vainWords say why a caller waits no longer.
var vainWords = map[string]string{
	"timeout": "nobody took the call in time",
	"nobody":  "it has no phones to ring, and nobody looks at it",
}

// vain says why the caller is to wait no longer; empty: they are. Who has nowhere
// else to go waits on where nobody looks at the queue, and emergencies for ever.
func (w *waiter) vain(at outlook, now time.Time) (why string, cause Cause) {
	if !at.nobody {
		w.seen, w.lonely = true, time.Time{}
	} else if w.lonely.IsZero() {
		w.lonely = now
	}
	most := durationOr(w.settings.MaxWait, 0)
	switch {
	case w.t.Else == nil && w.c.emergency:
	case most > 0 && w.o.waited() >= most:
		return "timeout", CauseNoAnswer
	case at.nobody && w.t.Else != nil && (!w.seen || now.Sub(w.lonely) >= deserted):
		return "nobody", CauseNoAnswer
	}
	return "", CauseNone
}

// taken: somebody has accepted. The caller hears the hold sound until they are in
// the room; then they have to stay for a moment.
func (w *waiter) taken(by acceptance, now time.Time) (next step, done bool) {
	c := w.c
	if !c.isAnswered() && !w.answer() {
		return nil, true
	}
	here := by.here && !by.gone
	if by.leg == nil {
		here = c.x.attends(w.room, by.identity)
	}
	switch {
	case here && w.merged.IsZero():
		w.merge(by, now)
	case here && now.Sub(w.merged) >= staysFor:
		if by.leg == nil || c.x.pair(c, by.leg) {
			w.settle(by)
			return c.active, true
		}
		w.back("who had accepted left at once")
	case here:
	case by.gone || !w.merged.IsZero():
		w.back("who had accepted left at once")
	case now.Sub(by.at) >= arrives:
		w.back("who had accepted did not come")
	}
	return nil, false
}

// settle notes that the call is in good hands.
func (w *waiter) settle(by acceptance) {
	w.o.settle()
	if by.leg == nil {
		w.c.tended = &tended{target: w.t, room: w.room, since: w.o.spec.since}
	}
}

// merge lets the caller hear who has accepted.
func (w *waiter) merge(by acceptance, now time.Time) {
	w.merged = now
	if !w.c.isParked() {
		w.c.quiet()
	}
	w.sound = nil
	waited := w.o.waited().Milliseconds()
	w.c.note(func(r *CallRecord) { r.AcceptedBy, r.WaitedMS = by.label(), max(waited, 1) })
}

// back lets the caller wait on.
func (w *waiter) back(why string) {
	w.merged = time.Time{}
	w.c.note(func(r *CallRecord) { r.AcceptedBy, r.WaitedMS = "", 0 })
	w.o.back(why)
}
