package bridge

import (
	"slices"
	"time"
)

// Who heard whom on a call is kept while it lives, and goes into its record: for
// everybody with a voice in the caller's room, from when to when who could hear it.

const (
	mostSpans   = 300 // kept per call; the oldest go first
	mostHearers = 32  // in larger rooms it is not kept
)

// HeardSpan is a time in which a participant of a call's room could be heard by the
// same people all along, whether it spoke or not.
type HeardSpan struct {
	Participant string   `json:"participant"` // id
	Identity    string   `json:"identity"`
	Role        Role     `json:"role"`
	HeardBy     []Hearer `json:"heard_by" nullable:"false"`
	FromMS      int64    `json:"from_ms"` // since the call was answered, like the transcript; 0 for what was before
	ToMS        int64    `json:"to_ms"`   // of one that goes on: until now
}

// Hearer is somebody who could hear a participant.
type Hearer struct {
	Participant string `json:"participant"` // id
	Identity    string `json:"identity"`
	Role        Role   `json:"role"`
}

// reach is who can hear a participant. It is guarded by Exchange.mu; the slice is
// never changed.
type reach struct {
	hearers []Hearer
	turn    int // counts changes
}

// span is a HeardSpan under way or over.
type span struct {
	who      *Participant
	hearers  []Hearer
	turn     int
	from, to time.Time // to is zero while it goes on
}

// hearingLog is what a phone's seat keeps. It is guarded by Exchange.mu.
type hearingLog struct{ spans []*span }

// noteHearingLocked brings everybody's reach and the logs of the room's phones up
// to date.
func (r *Room) noteHearingLocked(now time.Time) {
	if len(r.members) > mostHearers {
		for _, p := range r.members {
			p.log.close(now, nil)
		}
		return
	}
	var scratch [mostHearers]Hearer
	for _, p := range r.members {
		hearers := scratch[:0]
		for _, l := range r.members {
			if l.spec.Kind != KindWHIP && p.hasVoice() && hears(&l.seat, &p.seat) {
				hearers = append(hearers, Hearer{l.id, l.spec.Identity, l.spec.Role})
			}
		}
		if !slices.Equal(hearers, p.reach.hearers) {
			p.reach = reach{slices.Clone(hearers), p.reach.turn + 1}
		}
	}
	for _, p := range r.members {
		p.log.follow(r.members, now)
	}
}

func (p *Participant) hasVoice() bool {
	return slices.ContainsFunc(p.sources, func(s *Source) bool { return s.Codec().Audio() })
}

// follow ends what is over and begins what is new.
func (l *hearingLog) follow(members []*Participant, now time.Time) {
	if l == nil {
		return
	}
	l.close(now, func(s *span) bool { return s.turn == s.who.reach.turn && slices.Contains(members, s.who) })
	for _, p := range members {
		goesOn := slices.ContainsFunc(l.spans, func(s *span) bool { return s.who == p && s.to.IsZero() })
		if goesOn || len(p.reach.hearers) == 0 {
			continue
		}
		if len(l.spans) == mostSpans {
			l.spans = append(l.spans[:0:0], l.spans[mostSpans/4:]...)
		}
		l.spans = append(l.spans, &span{who: p, hearers: p.reach.hearers, turn: p.reach.turn, from: now})
	}
}

// close ends what does not go on; goesOn may be nil for nothing.
func (l *hearingLog) close(now time.Time, goesOn func(*span) bool) {
	if l == nil {
		return
	}
	for _, s := range l.spans {
		if s.to.IsZero() && (goesOn == nil || !goesOn(s)) {
			s.to = now
		}
	}
}

// Heard returns who could hear whom on the call so far, in the order in which it
// began. Moments of less than a millisecond are left out.
func (c *Call) Heard() []HeardSpan {
	l := c.heard.Load()
	if l == nil {
		return nil
	}
	rec := c.Record()
	since := rec.CreatedAt
	if rec.AnsweredAt != nil {
		since = *rec.AnsweredAt
	}
	at := func(t time.Time) int64 { return max(0, t.Sub(since).Milliseconds()) }
	c.x.mu.Lock()
	defer c.x.mu.Unlock()
	var out []HeardSpan
	for _, s := range l.spans {
		to := s.to
		if to.IsZero() {
			to = time.Now()
		}
		if at(s.from) < at(to) {
			out = append(out, HeardSpan{s.who.id, s.who.spec.Identity, s.who.spec.Role, s.hearers, at(s.from), at(to)})
		}
	}
	return out
}
