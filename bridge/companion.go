package bridge

import (
	"context"
	"time"

	"github.com/roomline/roomline/dialplan"
)

const (
	companionComes = 15 * time.Second // for an agent that is sent into a room to be ready
	companionWaits = time.Minute      // alone in a room where nobody has been yet
	companionStays = 5 * time.Second  // after the last one has left
)

// companion is an agent that was sent into a room by itself, such as a co-pilot:
// no call depends on it. It leaves when everybody else has.
type companion struct {
	x     *Exchange
	leg   AgentLeg
	name  string
	ready chan struct{}
	over  chan struct{}
	end   AgentEvent // once over is closed

	seat *Participant // once ready is closed; written with Exchange.mu held
}

// SendAgent brings an agent into a room and waits until it is there. It hears
// everybody and is heard by whom spec.HeardBy says. CallID, From, To and Direction
// need not be set. What it can be refused for: NotFound, Invalid, LimitReached,
// Unavailable, which is also what an agent that cannot be reached is.
func (x *Exchange) SendAgent(ctx context.Context, spec AgentSpec) (ParticipantRecord, error) {
	x.init()
	if err := x.checkCompanion(spec); err != nil {
		return ParticipantRecord{}, err
	}
	if c, ok := x.Call(x.oldestCallIn(spec.Room)); ok {
		rec := c.Record()
		spec.From, spec.To, spec.Direction = rec.From, rec.To, rec.Direction
	}
	leg, err := x.Agents.Send(spec)
	if err != nil {
		return ParticipantRecord{}, err
	}
	m := &companion{x: x, leg: leg, name: spec.Agent, ready: make(chan struct{}), over: make(chan struct{})}
	if !x.accompany(m) {
		leg.End("the gateway is shutting down")
		return ParticipantRecord{}, refuse(Unavailable, "", "the gateway is shutting down")
	}
	return m.arrival(ctx)
}

func (x *Exchange) checkCompanion(spec AgentSpec) error {
	if x.Agents == nil || x.Draining() {
		return refuse(Unavailable, "agent", "this gateway sends no agents now")
	}
	if _, ok := x.plan().AgentNamed(spec.Agent); !ok {
		return refuse(NotFound, "agent", "the dial plan has no agent %q", spec.Agent)
	}
	if _, err := dialplan.RoomName(spec.Room); err != nil {
		return refuse(Invalid, "room", "%s", err)
	}
	switch spec.HeardBy {
	case "", HeardByAll, HeardByHumans, HeardByNobody:
		return nil
	}
	r, _ := x.Room(spec.Room)
	if r != nil {
		for _, p := range r.Record().Participants {
			if p.ID == spec.HeardBy {
				return nil
			}
		}
	}
	return refuse(Invalid, "heard_by", "expected all, humans, nobody, or the id of somebody in the room")
}

// accompany starts to look after a companion; false when it is too late.
func (x *Exchange) accompany(m *companion) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.stopping {
		return false
	}
	x.companions[m] = struct{}{}
	x.running.Go(m.run)
	return true
}

// arrival waits for the agent.
func (m *companion) arrival(ctx context.Context) (ParticipantRecord, error) {
	timeout := time.NewTimer(companionComes)
	defer timeout.Stop()
	select {
	case <-m.ready:
		return m.seat.Record(), nil
	case <-m.over:
		return ParticipantRecord{}, refuse(Unavailable, "agent", "agent %s did not come: %s", m.name, m.end.words())
	case <-timeout.C:
		m.leg.End("it was not ready in time")
		return ParticipantRecord{}, refuse(Unavailable, "agent", "agent %s was not ready in time", m.name)
	case <-ctx.Done():
		m.leg.End("nobody waits for it any more")
		return ParticipantRecord{}, ctx.Err()
	}
}

func (e AgentEvent) words() string {
	switch {
	case e.Reason != "":
		return e.Reason
	case e.Fault == FaultNone:
		return "it said goodbye"
	}
	return string(e.Fault)
}

// run follows a companion until it has left.
func (m *companion) run() {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	lonely := time.Now().Add(companionWaits)
	for {
		select {
		case e, ok := <-m.leg.Events():
			if m.told(e, ok) {
				return
			}
		case now := <-second.C:
			switch {
			case m.accompanies():
				lonely = now.Add(companionStays)
			case !now.Before(lonely):
				m.leg.End("nobody is left in the room")
			}
		}
	}
}

// told takes an event, and reports whether it was the last.
func (m *companion) told(e AgentEvent, ok bool) (last bool) {
	switch {
	case !ok || e.Kind == AgentEnded:
		m.x.mu.Lock()
		delete(m.x.companions, m)
		m.x.mu.Unlock()
		m.end = e
		close(m.over)
		return true
	case e.Kind == AgentReady:
		m.x.mu.Lock()
		m.seat = m.leg.Participant()
		m.x.mu.Unlock()
		close(m.ready)
	}
	return false
}

// accompanies reports whether anybody but agents is with it.
func (m *companion) accompanies() bool {
	if m.seat == nil {
		return false
	}
	m.x.mu.Lock()
	defer m.x.mu.Unlock()
	for _, p := range m.seat.room.members {
		if p.spec.Kind != KindAgent {
			return true
		}
	}
	return false
}

// RemoveAgent says goodbye to an agent that SendAgent has brought into a room. An
// agent that serves a call is not removed: the call is ended or transferred.
func (x *Exchange) RemoveAgent(room, participant string) error {
	x.init()
	var found *companion
	x.mu.Lock()
	for m := range x.companions {
		if m.seat != nil && m.seat.id == participant && m.seat.room.name == room {
			found = m
		}
	}
	x.mu.Unlock()
	if found == nil {
		return refuse(NotFound, "id", "no agent %s was sent into room %s", participant, room)
	}
	found.leg.End("removed")
	return nil
}

// dismissCompanions ends them all when the gateway stops.
func (x *Exchange) dismissCompanions() {
	x.mu.Lock()
	var all []*companion
	for m := range x.companions {
		all = append(all, m)
	}
	x.mu.Unlock()
	for _, m := range all {
		m.leg.End("the gateway is shutting down")
	}
}
