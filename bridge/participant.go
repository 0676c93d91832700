package bridge

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/rtp"
)

// Kinds of participants.
const (
	KindPhone   = "phone"
	KindBrowser = "browser"
	KindWHIP    = "whip"
	KindWHEP    = "whep"
	KindAgent   = "agent"
)

// JoinSpec says who comes into a room.
type JoinSpec struct {
	Identity string // the same for reconnections of one human; not unique among phones
	Name     string // for people to read
	Kind     string // one of the Kind constants
	Role     Role
	Person   string // who it is, if the same human holds other legs too; default: CallID's phone, else Identity
	CallID   string // phones: their call; browsers: the call whose Person they are
	HeardBy  string // HeardByAll, HeardByNobody, HeardByHumans or a participant's id; default: by role
	// Keys is called with every key that somebody else in the room has pressed. It must not block.
	Keys func(from *Participant, key rtp.Digit)
	// Offered is called with a call that this participant may take over, and again
	// when that has changed; nil: they are never asked. It must not block.
	Offered func(Offer)
	// Changed is called after members or tracks of the room changed. It must not block.
	Changed func()
}

// Participant is one leg's seat in a room. Its methods are safe for concurrent use.
type Participant struct {
	x      *Exchange
	id     string
	spec   JoinSpec
	joined time.Time

	// Guarded by Exchange.mu.
	room     *Room
	seat     seat
	away     bool
	left     bool
	offered  string // the transfer that they are asked to take; empty: none
	reach    reach
	log      *hearingLog // of a call's phone
	sources  []*Source
	turns    []*turnWatch // replaced, never changed in place
	sinks    []*Sink      // listening
	forwards []*Sink

	heard       Hearing // of tracks that have ended; guarded by Exchange.mu
	meter       meter
	quality     atomic.Pointer[media.Quality]
	wasSpeaking bool // the beat's alone
}

// Join seats a participant. A room that was empty opens.
func (r *Room) Join(spec JoinSpec) (*Participant, error) {
	if !spec.Role.Valid() {
		return nil, refuse(Invalid, "role", "role %q is unknown; use dispatcher, supervisor, agent, guest or caller", spec.Role)
	}
	if spec.Identity == "" {
		return nil, refuse(Invalid, "identity", "identity must not be empty")
	}
	p := &Participant{x: r.x, id: NewID("p"), spec: spec, joined: time.Now().UTC()}
	p.seat = seat{id: p.id, person: spec.person(), role: spec.Role, heardBy: spec.HeardBy}
	if p.seat.heardBy == "" {
		p.seat.heardBy = spec.Role.heardBy()
	}
	if spec.Kind == KindPhone && spec.CallID != "" {
		p.log = &hearingLog{}
	}
	r.x.change(func(c *change) { p.enterLocked(r.x.roomLocked(r.name, c), c) })
	return p, nil
}

// person gives phones one Person per call, so that two calls from one number
// are two people, and browsers the Person of the call they are bound to.
func (j JoinSpec) person() string {
	switch {
	case j.Person != "":
		return j.Person
	case j.CallID != "":
		return j.CallID
	}
	return j.Identity
}

func (p *Participant) enterLocked(r *Room, c *change) {
	p.room = r
	r.members = append(r.members, p)
	for _, ch := range p.x.waiting[r.name] {
		close(ch)
	}
	delete(p.x.waiting, r.name)
	r.rewireLocked()
	c.event("participant.joined", r, p, nil)
	c.changed(r)
}

func (p *Participant) exitLocked(c *change) {
	r := p.room
	p.log.close(time.Now(), nil)
	r.members = slices.DeleteFunc(slices.Clone(r.members), func(m *Participant) bool { return m == p })
	for _, m := range r.members { // nobody forwards what is gone
		m.forwards = slices.DeleteFunc(slices.Clone(m.forwards), func(k *Sink) bool {
			d := k.driver.Load()
			return d != nil && d.owner == p
		})
	}
	for _, s := range p.sources {
		s.fan.Store(&fanout{})
	}
	r.rewireLocked()
	c.event("participant.left", r, p, nil)
	c.changed(r)
	r.x.closeIfEmptyLocked(r, c)
}

// Leave gives up the seat: tracks end, sinks close. Leaving twice is harmless.
func (p *Participant) Leave() {
	var sources []*Source
	var sinks []*Sink
	p.x.change(func(c *change) {
		if p.left {
			return
		}
		p.left = true
		sources, sinks = p.sources, append(slices.Clone(p.sinks), p.forwards...)
		p.exitLocked(c)
		p.sources, p.sinks, p.forwards = nil, nil, nil
	})
	for _, s := range sources {
		s.release()
	}
	for _, k := range sinks {
		k.Close()
	}
}

// Move takes the seat to another room; its streams go on without a break.
func (p *Participant) Move(room string) error {
	p.x.change(func(c *change) {
		if p.left || p.room.name == room {
			return
		}
		p.exitLocked(c)
		for _, k := range p.sinks {
			k.setInputs(nil)
		}
		p.forwards = nil
		p.enterLocked(p.x.roomLocked(room, c), c)
	})
	return nil
}

// ID returns the participant's id.
func (p *Participant) ID() string { return p.id }

// Spec returns what the participant joined with.
func (p *Participant) Spec() JoinSpec { return p.spec }

// Room returns the room that the participant is in now.
func (p *Participant) Room() *Room {
	x := p.x
	x.mu.Lock()
	defer x.mu.Unlock()
	return p.room
}

// Publish adds a track. It is an error for a role that may not send it: a
// caller's microphone while their phone is up, or a camera without the grant.
func (p *Participant) Publish(t TrackSpec) (*Source, error) { return p.publish(t, nil) }

func (p *Participant) publish(t TrackSpec, v *Speaker) (*Source, error) {
	s := newSource(p, t)
	if v != nil {
		s.speaker, v.source = v, s
		s.playout.steady = true
	}
	var err error
	p.x.change(func(c *change) {
		if err = p.mayPublishLocked(t); err != nil {
			return
		}
		p.sources = append(slices.Clone(p.sources), s)
		for _, w := range p.turns {
			w.attachLocked(s)
		}
		p.room.rewireLocked()
		c.event("track.published", p.room, p, map[string]any{"track": t.ID, "kind": kindOf(t.Codec), "codec": t.Codec.String()})
		c.changed(p.room)
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (p *Participant) mayPublishLocked(t TrackSpec) error {
	switch {
	case p.left:
		return refuse(Conflict, "", "participant %s has left the room", p.id)
	case t.Codec.Video() && !p.spec.Role.SendsVideo():
		return refuse(Forbidden, "video", "a %s may not send video", p.spec.Role)
	case t.Codec.Audio() && p.spec.Role == RoleCaller && p.spec.Kind != KindPhone && p.room.phoneOfLocked(p.seat.person):
		return refuse(Forbidden, "audio", "a caller speaks through the phone while the phone call is up")
	case !t.Codec.Audio() && !t.Codec.Video():
		return refuse(Invalid, "codec", "a track needs an audio or video codec, not %s", t.Codec)
	case slices.ContainsFunc(p.sources, func(s *Source) bool { return s.id == t.ID }):
		return refuse(Conflict, "id", "track %s is published already", t.ID)
	}
	return nil
}

func (p *Participant) unpublish(s *Source) {
	p.x.change(func(c *change) {
		i := slices.Index(p.sources, s)
		if i < 0 {
			return
		}
		p.sources = slices.Delete(slices.Clone(p.sources), i, i+1)
		p.heard = p.heard.plus(s.Hearing())
		p.heard.Buffer = 0
		s.fan.Store(&fanout{})
		p.room.rewireLocked()
		c.event("track.ended", p.room, p, map[string]any{"track": s.id, "kind": kindOf(s.Codec())})
		c.changed(p.room)
	})
	s.release()
}

// Listen opens the one stream that carries what this seat hears, in codec; ptime is the
// sound per packet for G.711 and G.722, 0 for 20 ms. A phone's and an agent's
// stream never falls silent.
func (p *Participant) Listen(w media.Writer, codec media.Codec, ptime time.Duration) *Sink {
	k := newSink(p, w, codec, ptime, p.spec.Kind == KindPhone || p.spec.Kind == KindAgent)
	p.x.change(func(c *change) {
		if p.left {
			k.closed.Store(true)
			return
		}
		p.sinks = append(slices.Clone(p.sinks), k)
		p.room.rewireLocked()
	})
	return k
}

// Forward opens a stream that carries this one source to one listener, as it is
// where the codec is the same, else through the rendition that all share.
func (s *Source) Forward(w media.Writer, codec media.Codec, listener *Participant) *Sink {
	k := newSink(listener, w, codec, 0, false)
	k.driver.Store(s)
	listener.x.change(func(c *change) {
		if listener.left {
			k.closed.Store(true)
			return
		}
		listener.forwards = append(slices.Clone(listener.forwards), k)
		listener.room.rewireLocked()
	})
	return k
}

func (p *Participant) drop(k *Sink) {
	p.x.change(func(c *change) {
		same := func(other *Sink) bool { return other == k }
		p.sinks = slices.DeleteFunc(slices.Clone(p.sinks), same)
		p.forwards = slices.DeleteFunc(slices.Clone(p.forwards), same)
		p.room.rewireLocked()
	})
}

// receivesLocked reports whether s may be forwarded to this participant.
func (p *Participant) receivesLocked(s *Source) bool {
	if s.Codec().Audio() {
		return hears(&p.seat, &s.owner.seat)
	}
	return sees(&p.seat, &s.owner.seat)
}

// Sources returns every track that this participant may hear or see now.
func (p *Participant) Sources() []*Source {
	x := p.x
	x.mu.Lock()
	defer x.mu.Unlock()
	var out []*Source
	if p.left {
		return nil
	}
	for _, m := range p.room.members {
		for _, s := range m.sources {
			if m.left || !p.receivesLocked(s) {
				continue
			}
			out = append(out, s)
		}
	}
	return out
}
