package bridge

import "sort"

// change is one alteration under the control lock. What others must be told is
// collected and told after the lock is free.
type change struct {
	x      *Exchange
	events []Event
	rooms  []*Room
}

func (x *Exchange) change(alter func(c *change)) {
	x.init()
	c := &change{x: x}
	notify := c.run(alter)
	for _, e := range c.events {
		x.told(e)
	}
	for _, f := range notify {
		f()
	}
}

// run alters under the lock and returns whom to call back afterwards.
func (c *change) run(alter func(c *change)) (notify []func()) {
	c.x.mu.Lock()
	defer c.x.mu.Unlock()
	alter(c)
	for i := range c.events {
		c.events[i] = c.x.events.publish(c.events[i])
	}
	seen := map[*Room]bool{}
	for _, r := range c.rooms {
		if seen[r] {
			continue
		}
		seen[r] = true
		for _, p := range r.members {
			if p.spec.Changed != nil {
				notify = append(notify, p.spec.Changed)
			}
		}
	}
	return notify
}

func (c *change) changed(r *Room) { c.rooms = append(c.rooms, r) }

// event notes an event of a room, or of a participant in it.
func (c *change) event(kind string, r *Room, p *Participant, data map[string]any) {
	e := Event{Type: kind, Room: r.name, Data: map[string]any{}}
	if p != nil {
		e.CallID = p.spec.CallID
		e.Data["participant"], e.Data["identity"], e.Data["kind"] = p.id, p.spec.Identity, p.spec.Kind
	}
	for k, v := range data {
		e.Data[k] = v
	}
	c.events = append(c.events, e)
}

// emit publishes one event outside of any change.
func (x *Exchange) emit(e Event) { x.told(x.events.publish(e)) }

// told passes a published event to the watchers of its room.
func (x *Exchange) told(e Event) {
	if r, ok := x.Room(e.Room); ok && e.Room != "" {
		r.show(e)
	}
}

func sortByID(calls []CallRecord) {
	sort.Slice(calls, func(i, j int) bool { return calls[i].ID < calls[j].ID })
}

func sortByName(rooms []RoomRecord) {
	sort.Slice(rooms, func(i, j int) bool { return rooms[i].Name < rooms[j].Name })
}
