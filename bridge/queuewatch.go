package bridge

import (
	"cmp"
	"time"
)

// QueuedCall is a call in a queue as the people of the queue see it.
type QueuedCall struct {
	Call     CallRecord `json:"call"`
	Position int        `json:"position"` // from 1; 0 for a call that was accepted just now
	WaitedMS int64      `json:"waited_ms"`
	Priority string     `json:"priority,omitempty"` // emergency, high or low; empty: between high and low
	Room     string     `json:"room"`               // where who accepts comes to
	// AcceptedBy is who has accepted and has not talked yet, empty while the call waits.
	AcceptedBy string      `json:"accepted_by,omitempty"`
	Handover   *Handover   `json:"handover,omitempty"`   // what whoever handed the call over wants its next to know
	Transcript []Utterance `json:"transcript,omitempty"` // what was said on the call so far
}

// QueueRecord is a queue in figures.
type QueueRecord struct {
	Name      string            `json:"name"`
	Waiting   int               `json:"waiting"`
	LongestMS int64             `json:"longest_ms"` // how long who has waited for longest has
	Watching  int               `json:"watching"`   // who look at it and may accept
	Left      map[string]uint64 `json:"left"`       // how many calls have left it, by why: accepted, abandoned, timeout, nobody, full, transferred
}

// label names who has accepted for people to read.
func (a acceptance) label() string { return cmp.Or(a.identity, a.name) }

// record is the offer as people see it. queues.mu is held.
func (o *queued) record() QueuedCall {
	rec := o.spec.call.Record()
	return QueuedCall{
		Call: rec, Position: o.q.position(o), WaitedMS: o.waited().Milliseconds(), Priority: o.spec.priority,
		Room: o.spec.room, AcceptedBy: o.by.label(), Handover: o.spec.handover, Transcript: o.spec.call.Transcript(),
	}
}

// knows is an error unless the plan has the queue.
func (s *queues) knows(name string) error {
	if _, ok := s.x.plan().QueueNamed(name); !ok {
		return refuse(NotFound, "", "there is no queue %q in the dial plan", name)
	}
	return nil
}

// QueueCalls returns the calls of a queue, whose turn is first first. An error is
// of code NotFound.
func (x *Exchange) QueueCalls(name string) ([]QueuedCall, error) {
	x.init()
	if err := x.queues.knows(name); err != nil {
		return nil, err
	}
	x.queues.mu.Lock()
	defer x.queues.mu.Unlock()
	all := []QueuedCall{}
	for _, o := range x.queues.ofLocked(name).line {
		all = append(all, o.record())
	}
	return all, nil
}

// AcceptQueued accepts a call of a queue on behalf of somebody in a browser, who
// is then to come into its room within 20 s: else, or when they vanish at once, it
// waits again. callID empty means the call whose turn it is. Exactly one accept
// wins: an error is of code Conflict when somebody else was faster, and NotFound
// when no such call waits. The same identity may ask again.
func (x *Exchange) AcceptQueued(name, callID, identity, display string) (QueuedCall, error) {
	x.init()
	if identity == "" {
		return QueuedCall{}, refuse(Invalid, "identity", "identity must not be empty")
	}
	if err := x.queues.knows(name); err != nil {
		return QueuedCall{}, err
	}
	x.queues.mu.Lock()
	o, err := x.queues.ofLocked(name).choose(callID, identity)
	if err != nil {
		x.queues.mu.Unlock()
		if c, live := x.Call(callID); live && c.Record().Queue == name && c.Record().AcceptedBy != "" {
			return QueuedCall{}, refuse(Conflict, "", "%s has accepted call %s", c.Record().AcceptedBy, callID)
		}
		return QueuedCall{}, err
	}
	won := o.turnsLocked(inLine, wasTaken, acceptance{identity: identity, name: display, at: time.Now()})
	rec := o.record()
	x.queues.mu.Unlock()
	if won {
		o.emit("queue.accepted", map[string]any{"by": identity})
	}
	return rec, nil
}

// choose finds the call that somebody in a browser may accept. queues.mu is held.
func (q *queue) choose(callID, identity string) (*queued, error) {
	for _, o := range q.line {
		switch {
		case callID == "" && (o.state != inLine || o.declined[identity]):
		case callID != "" && o.spec.call.id != callID:
		case o.state == inLine || o.by.identity == identity:
			return o, nil
		default:
			return nil, refuse(Conflict, "", "%s has accepted call %s", o.by.label(), callID)
		}
	}
	if callID == "" {
		return nil, refuse(NotFound, "", "nobody waits in queue %s", q.name)
	}
	return nil, refuse(NotFound, "", "call %s does not wait in queue %s", callID, q.name)
}

// DeclineQueued notes that somebody in a browser does not take a call. It waits on
// for the others; an error is as of [Exchange.AcceptQueued].
func (x *Exchange) DeclineQueued(name, callID, identity string) error {
	x.init()
	if err := x.queues.knows(name); err != nil {
		return err
	}
	x.queues.mu.Lock()
	o, err := x.queues.ofLocked(name).choose(callID, identity)
	if err == nil && callID != "" {
		back := o.state == wasTaken // by the same one
		if back {
			o.turnsLocked(wasTaken, inLine, acceptance{})
		}
		o.declined[identity] = true
		o.spec.tell()
	}
	x.queues.mu.Unlock()
	if err != nil {
		return err
	}
	o.emit("queue.declined", map[string]any{"by": identity})
	return nil
}

// QueueWatch is somebody who looks at a queue. While it is open, the queue has
// somebody who may accept, if they are available.
type QueueWatch struct {
	// Changed holds one when the calls of the queue may have changed.
	Changed <-chan struct{}

	q         *queue
	queues    *queues
	changed   chan struct{}
	identity  string
	available bool
}

// WatchQueue lets somebody look at a queue until they call Close.
func (x *Exchange) WatchQueue(name, identity string, available bool) (*QueueWatch, error) {
	x.init()
	if err := x.queues.knows(name); err != nil {
		return nil, err
	}
	changed := make(chan struct{}, 1)
	w := &QueueWatch{Changed: changed, queues: x.queues, changed: changed, identity: identity, available: available}
	x.queues.mu.Lock()
	defer x.queues.mu.Unlock()
	w.q = x.queues.ofLocked(name)
	w.q.watches[w] = struct{}{}
	w.q.changed()
	return w, nil
}

func (w *QueueWatch) tell() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// Close ends the look. It may be called twice.
func (w *QueueWatch) Close() {
	w.queues.mu.Lock()
	defer w.queues.mu.Unlock()
	delete(w.q.watches, w)
	w.q.changed()
}

// Queues returns the queues of the plan in figures, in its order.
func (x *Exchange) Queues() []QueueRecord {
	x.init()
	all := []QueueRecord{}
	x.queues.mu.Lock()
	defer x.queues.mu.Unlock()
	for _, settings := range x.plan().Queues {
		all = append(all, x.queues.ofLocked(settings.Name).figures())
	}
	return all
}

// figures is the queue in figures. queues.mu is held.
func (q *queue) figures() QueueRecord {
	rec := QueueRecord{Name: q.name, Left: map[string]uint64{}}
	for why, n := range q.left {
		rec.Left[why] = n
	}
	for _, o := range q.waiting() {
		rec.Waiting++
		rec.LongestMS = max(rec.LongestMS, o.waited().Milliseconds())
	}
	for w := range q.watches {
		if w.available {
			rec.Watching++
		}
	}
	return rec
}
