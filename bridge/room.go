package bridge

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/transcode"
)

// Room is where participants meet. All rooms of an Exchange are changed under
// its one control lock; packets see immutable snapshots.
type Room struct {
	x        *Exchange
	name     string
	openedAt time.Time
	detach   func() // from the beat

	members  []*Participant // in order of joining; guarded by Exchange.mu
	watchers map[*watcher]struct{}

	stage atomic.Pointer[stage]
}

// stage is what the beat visits. It is immutable.
type stage struct {
	sinks   []*Sink
	sources []*Source
	members []*Participant
}

type watcher struct{ see func(Event) }

// Name returns the room's name.
func (r *Room) Name() string { return r.name }

// Watch has see called with every event of the room, also with those that are
// too fleeting for the event log: participant.speaking, text. see must not
// block. cancel ends it.
func (r *Room) Watch(see func(Event)) (cancel func()) {
	w := &watcher{see}
	r.x.mu.Lock()
	defer r.x.mu.Unlock()
	r.watchers[w] = struct{}{}
	return func() {
		r.x.mu.Lock()
		defer r.x.mu.Unlock()
		delete(r.watchers, w)
	}
}

// Tell shows an event to everybody who watches the room, without logging it.
func (r *Room) Tell(e Event) {
	e.Room, e.Time = r.name, time.Now().UTC()
	r.show(e)
}

func (r *Room) show(e Event) {
	r.x.mu.Lock()
	watchers := make([]*watcher, 0, len(r.watchers))
	for w := range r.watchers {
		watchers = append(watchers, w)
	}
	r.x.mu.Unlock()
	for _, w := range watchers {
		w.see(e)
	}
}

// Record returns the room as outsiders see it.
func (r *Room) Record() RoomRecord {
	r.x.mu.Lock()
	defer r.x.mu.Unlock()
	return r.recordLocked()
}

// Quality returns how the sound of all who are in the room has travelled, in the
// order of joining; see [Participant.QualityHistory].
func (r *Room) Quality() []ParticipantQuality {
	r.x.mu.Lock()
	members := slices.Clone(r.members)
	r.x.mu.Unlock()
	out := make([]ParticipantQuality, len(members))
	for i, p := range members {
		out[i] = ParticipantQuality{p.id, p.spec.Identity, p.spec.Kind, p.spec.CallID, p.quality.Load(), p.QualityHistory()}
	}
	return out
}

func (r *Room) recordLocked() RoomRecord {
	rec := RoomRecord{Name: r.name, OpenedAt: r.openedAt.UTC(), Participants: []ParticipantRecord{}}
	for _, p := range r.members {
		rec.Participants = append(rec.Participants, p.recordLocked(time.Now()))
	}
	return rec
}

// rewireLocked computes who hears and sees whom, and publishes it to the packets.
func (r *Room) rewireLocked() {
	inputs := map[*Sink][]*Source{}
	st := &stage{members: append([]*Participant(nil), r.members...)}
	for _, p := range r.members {
		p.seat.phoneIsUp = p.spec.Kind != KindPhone && r.phoneOfLocked(p.seat.person)
		for _, k := range p.sinks {
			inputs[k] = nil
			st.sinks = append(st.sinks, k)
		}
	}
	for _, p := range r.members {
		for _, s := range p.sources {
			st.sources = append(st.sources, s)
			for _, l := range r.members {
				if s.Codec().Audio() && hears(&l.seat, &p.seat) {
					for _, k := range l.sinks {
						inputs[k] = append(inputs[k], s)
					}
				}
			}
		}
	}
	for k, in := range inputs {
		k.setInputs(in)
		k.wide.Store(slices.ContainsFunc(in, func(s *Source) bool { return wideband(s.Codec()) }))
	}
	for _, s := range st.sources {
		s.fan.Store(r.fanLocked(s, inputs))
	}
	r.stage.Store(st)
	r.noteHearingLocked(time.Now())
}

func (r *Room) phoneOfLocked(person string) bool {
	for _, p := range r.members {
		if p.spec.Kind == KindPhone && p.seat.person == person {
			return true
		}
	}
	return false
}

// fanLocked builds a source's fan-out.
func (r *Room) fanLocked(s *Source, inputs map[*Sink][]*Source) *fanout {
	f := &fanout{codec: s.Codec()}
	for _, l := range r.members {
		for _, k := range l.forwards {
			if k.driver.Load() != s || !l.receivesLocked(s) {
				continue
			}
			// A phone may change its codec at any packet; its numbers need care then.
			if form := k.form.Load(); form.codec == f.codec && form.frame == 0 && s.owner.spec.Kind != KindPhone {
				f.forwards = append(f.forwards, k)
				continue
			}
			f.listeners = append(f.listeners, k)
			f.subscribe(s, k)
		}
		for _, k := range l.sinks {
			if !f.codec.Audio() || !hears(&l.seat, &s.owner.seat) {
				continue
			}
			f.listeners = append(f.listeners, k)
			f.subscribe(s, k)
			if len(inputs[k]) > 1 {
				f.sound = true
				f.wide = f.wide || k.form.Load().rateHz(true) == media.WidebandHz
			}
		}
	}
	f.sound = f.sound || len(f.renditions) > 0 || s.listenedLocked()
	return f
}

// subscribe adds a sink to the rendition that it shares with others of its kind,
// unless every packet passes untouched.
func (f *fanout) subscribe(s *Source, k *Sink) {
	form := k.form.Load()
	if form.codec == f.codec && form.frame == 0 {
		return
	}
	f.wide = f.wide || form.rateHz(true) == media.WidebandHz
	f.phones = f.phones || k.fills && form.frame > 0
	key := renditionKey{form.codec, form.rateHz(wideband(f.codec)), form.frame, transcode.OpusSettings{}}
	if form.codec == media.Opus {
		key.opus = form.opus
	}
	for _, r := range f.renditions {
		if r.renditionKey == key {
			r.sinks = append(r.sinks, k)
			return
		}
	}
	f.renditions = append(f.renditions, &rendition{
		renditionKey: key, sinks: []*Sink{k}, state: s.encoding(key),
	})
}

// tick is the room's share of a beat.
func (r *Room) tick(now time.Time, beat uint64) {
	st := r.stage.Load()
	for _, s := range st.sources {
		if s.speaker != nil {
			s.speaker.tick(now, beat)
		}
		if turns := s.turns.Load(); turns != nil {
			for _, w := range *turns {
				w.tick(now)
			}
		}
		if s.behind.Load() {
			s.flush(now)
		}
		if wake := s.wake.Load(); wake != 0 && now.UnixNano() >= wake {
			s.standIn(now)
		}
	}
	for _, k := range st.sinks {
		k.tick(now, beat)
	}
	if beat%10 == 0 {
		r.watchSpeakers(st, now)
	}
	if beat%50 == 0 {
		for _, s := range st.sources {
			s.tend(now)
		}
		for _, k := range st.sinks {
			k.tend(now)
		}
	}
}

func (r *Room) watchSpeakers(st *stage, now time.Time) {
	type turn struct {
		id string
		on bool
	}
	var turns []turn
	r.x.mu.Lock()
	for _, p := range st.members {
		if speaking := p.speakingLocked(now); speaking != p.wasSpeaking {
			p.wasSpeaking = speaking
			turns = append(turns, turn{p.id, speaking})
		}
	}
	r.x.mu.Unlock()
	for _, t := range turns {
		r.Tell(Event{Type: "participant.speaking", Data: map[string]any{"participant": t.id, "speaking": t.on}})
	}
}

// renditionKey tells renditions of one source apart.
type renditionKey struct {
	codec  media.Codec
	rateHz int
	frame  int // ticks per packet; 0: as the sound comes, cut into what Opus takes
	opus   transcode.OpusSettings
}

// encoding returns the state of a rendition, the same one for the same key
// while it is used.
func (s *Source) encoding(key renditionKey) *encoding {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.encodings[key]
	if e == nil {
		e = &encoding{used: time.Now()}
		if s.encodings == nil {
			s.encodings = map[renditionKey]*encoding{}
		}
		s.encodings[key] = e
	}
	return e
}

func (e *encoding) close() {
	if e.encoder != nil {
		e.encoder.Close()
		e.encoder = nil
	}
}
