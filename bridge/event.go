package bridge

import (
	"sync"
	"time"
)

// eventRing is how many recent events stay in memory for subscribers that come back.
const eventRing = 4096

// hub hands every event to its subscribers in one order. A subscriber that does
// not keep up is dropped: its channel is closed, and it can resume by id.
type hub struct {
	clock   eventClock
	emitted func(Event) // called in the order of ids; may be nil

	mu          sync.Mutex
	ring        []Event // oldest first once it has wrapped at head
	head        int
	subscribers map[chan Event]struct{}
}

func (h *hub) publish(e Event) Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	e.Time = time.Now().UTC()
	e.ID = h.clock.next(e.Time)
	if h.emitted != nil {
		h.emitted(e)
	}
	if len(h.ring) < eventRing {
		h.ring = append(h.ring, e)
	} else {
		h.ring[h.head] = e
		h.head = (h.head + 1) % eventRing
	}
	for ch := range h.subscribers {
		select {
		case ch <- e:
		default:
			delete(h.subscribers, ch)
			close(ch)
		}
	}
	return e
}

// subscribe returns the events after the given id that are still in memory,
// then live ones. complete is false when events between after and the oldest in
// memory may be missing.
func (h *hub) subscribe(after string) (ch chan Event, backlog []Event, complete bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if after != "" {
		for i := range h.ring {
			if e := h.ring[(h.head+i)%len(h.ring)]; e.ID > after {
				backlog = append(backlog, e)
			}
		}
	}
	complete = after == "" || (len(h.ring) > 0 && h.ring[h.head%len(h.ring)].ID <= after)
	if h.subscribers == nil {
		h.subscribers = map[chan Event]struct{}{}
	}
	ch = make(chan Event, 1024)
	h.subscribers[ch] = struct{}{}
	return ch, backlog, complete
}

func (h *hub) unsubscribe(ch chan Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, on := h.subscribers[ch]; on {
		delete(h.subscribers, ch)
		close(ch)
	}
}

// Subscription delivers events in order.
type Subscription struct {
	// Events is closed when the subscription is cancelled or its reader fell too far behind.
	Events <-chan Event
	// Backlog are the events after the given id that were still in memory; they come before Events.
	Backlog []Event
	// Complete is false when older events must be fetched from the store to fill
	// the gap between the given id and Backlog.
	Complete bool

	cancel func()
}

// Close ends the subscription. It may be called twice.
func (s *Subscription) Close() { s.cancel() }

// Subscribe delivers every event after the one with the given id, or from now
// on when after is empty.
func (x *Exchange) Subscribe(after string) *Subscription {
	ch, backlog, complete := x.events.subscribe(after)
	return &Subscription{Events: ch, Backlog: backlog, Complete: complete, cancel: func() { x.events.unsubscribe(ch) }}
}

// Emit publishes an event of another part of the house; its ID and Time are given here.
func (x *Exchange) Emit(e Event) {
	x.init()
	x.emit(e)
}
