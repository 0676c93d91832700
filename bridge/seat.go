package bridge

import (
	"time"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/rtp"
)

// Mute stops or restores the participant's voice. Cameras go on.
func (p *Participant) Mute(on bool) { p.set(func() { p.seat.muted = on }) }

// SetHeardBy says who hears the participant: HeardByAll, HeardByNobody,
// HeardByHumans or a participant's id. It is an error for whom the role does not
// allow it.
func (p *Participant) SetHeardBy(whom string) error {
	if err := p.spec.Role.mayBeHeardBy(whom); err != nil {
		return err
	}
	p.set(func() { p.seat.heardBy = whom })
	return nil
}

// SetAway says that the participant's network is lost, or back.
func (p *Participant) SetAway(on bool) { p.set(func() { p.away = on }) }

// Withhold makes the participant deaf and dumb, or lets it take part.
func (p *Participant) Withhold(on bool) { p.hold(on) }

// hold makes the participant deaf and dumb while its call is on hold.
func (p *Participant) hold(on bool) { p.set(func() { p.seat.held = on }) }

func (p *Participant) set(f func()) {
	p.x.change(func(c *change) {
		if p.left {
			return
		}
		was := p.reach.turn
		f()
		p.room.rewireLocked()
		c.changed(p.room)
		if p.reach.turn != was {
			c.event("participant.hearing", p.room, p, map[string]any{"heard_by": p.reach.hearers, "muted": p.seat.muted, "held": p.seat.held, "rule": p.seat.heardBy})
		}
	})
}

// SetQuality takes how the participant's packets travel, adds what became of their
// sound here and in the time before, and keeps and returns it. It is called every
// second or two; when the leg's class changes it emits participant.quality with
// class, was, and the figures of the last seconds.
func (p *Participant) SetQuality(q media.Quality, now time.Time) media.Quality {
	h := p.hearing()
	q.HeardMS, q.RecoveredMS = media.Milliseconds(h.Heard), media.Milliseconds(h.Recovered)
	q.ConcealedMS, q.BufferMS = media.Milliseconds(h.Concealed), media.Milliseconds(h.Buffer)
	q.Rate()
	turn := p.meter.take(&q, now)
	p.quality.Store(&q)
	if turn != nil {
		p.x.change(func(c *change) {
			if p.left {
				return
			}
			c.event("participant.quality", p.room, p, map[string]any{"class": turn.to, "was": turn.from, "quality": turn.point})
		})
	}
	return q
}

// hearing sums up all audio that the participant has published.
func (p *Participant) hearing() Hearing {
	x := p.x
	x.mu.Lock()
	defer x.mu.Unlock()
	sum := p.heard
	for _, s := range p.sources {
		sum = sum.plus(s.Hearing())
	}
	return sum
}

// QualityHistory returns how the participant's sound has travelled, a point for
// every five seconds, oldest first, of the last 20 minutes.
func (p *Participant) QualityHistory() []media.QualityPoint { return p.meter.history() }

func (p *Participant) remoteLoss() float64 {
	if q := p.quality.Load(); q != nil {
		return q.RemoteLoss
	}
	return 0
}

func (p *Participant) speakingLocked(now time.Time) bool {
	for _, s := range p.sources {
		if s.Codec().Audio() && !p.seat.muted && s.level.speaking(now) {
			return true
		}
	}
	return false
}

// pressed tells a key to everybody else in the room who listens for keys, and
// reports whether an agent is among them.
func (p *Participant) pressed(key rtp.Digit) (agent bool) {
	var listeners []func(*Participant, rtp.Digit)
	p.x.mu.Lock()
	for _, m := range p.room.members {
		if m != p && m.spec.Keys != nil && !m.seat.held {
			listeners = append(listeners, m.spec.Keys)
			agent = agent || m.spec.Kind == KindAgent
		}
	}
	p.x.mu.Unlock()
	for _, tell := range listeners {
		tell(p, key)
	}
	return agent
}

// Record returns the participant as outsiders see it.
func (p *Participant) Record() ParticipantRecord {
	x := p.x
	x.mu.Lock()
	defer x.mu.Unlock()
	return p.recordLocked(time.Now())
}

func (p *Participant) recordLocked(now time.Time) ParticipantRecord {
	rec := ParticipantRecord{
		ID: p.id, Identity: p.spec.Identity, Name: p.spec.Name, Kind: p.spec.Kind, Role: p.spec.Role,
		Person: p.seat.person, CallID: p.spec.CallID, JoinedAt: p.joined, Muted: p.seat.muted, Away: p.away,
		HeardBy: p.seat.heardBy, Held: p.seat.held, Speaking: p.speakingLocked(now), LevelDB: silentDB,
		Hears: []string{}, Tracks: []TrackRecord{}, Quality: p.quality.Load(),
	}
	for _, s := range p.sources {
		rec.Tracks = append(rec.Tracks, TrackRecord{ID: s.id, Kind: kindOf(s.Codec()), Codec: s.Codec().String()})
		if s.Codec().Audio() {
			rec.LevelDB = max(rec.LevelDB, s.level.read(now))
		}
	}
	for _, k := range p.sinks {
		rec.Road = k.Road()
	}
	for _, m := range p.room.members {
		if hears(&p.seat, &m.seat) {
			rec.Hears = append(rec.Hears, m.id)
		}
	}
	return rec
}

func kindOf(c media.Codec) string {
	if c.Video() {
		return "video"
	}
	return "audio"
}
