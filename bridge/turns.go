package bridge

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roomline/roomline/media"
)

// TurnSpec says what counts as a turn of speaking. Zero values take the usual ones.
type TurnSpec struct {
	OverNoise float64       // by how many dB a voice is louder than its line's noise: 10
	Least     time.Duration // of voice, for a turn to begin: 60 ms
	Hangover  time.Duration // of silence, for it to have ended: 500 ms
}

// Turn is the beginning or the end of a turn of speaking.
type Turn struct {
	Began bool      // else it ended
	At    time.Time // when the voice began, or was last heard
}

// Turns has told called when the participant begins and ends turns of speaking,
// until stop. Voice is what stands out from the noise of the line. A turn that began
// is told within 20 ms of Least, its end within 20 ms of Hangover; a participant who
// sends no sound any more has ended theirs too. told runs on the beat, with no lock
// held, one call at a time, and must not wait. stop may be called again.
func (p *Participant) Turns(spec TurnSpec, told func(Turn)) (stop func()) {
	w := &turnWatch{told: told, voice: newVoiceMeter(spec)}
	if w.hangover = spec.Hangover; w.hangover <= 0 {
		w.hangover = 500 * time.Millisecond
	}
	p.x.change(func(*change) {
		p.turns = append(slices.Clone(p.turns), w)
		for _, s := range p.sources {
			w.attachLocked(s)
		}
	})
	return func() { p.x.change(func(*change) { p.endTurnsLocked(w) }) }
}

func (p *Participant) endTurnsLocked(w *turnWatch) {
	p.turns = slices.DeleteFunc(slices.Clone(p.turns), func(other *turnWatch) bool { return other == w })
	for s, t := range w.taps {
		s.untapLocked(t)
		s.turns.Store(s.owner.turnsLocked())
	}
	w.taps = nil
}

// turnsLocked is what the beat looks after for the participant's sound; nil: nothing.
func (p *Participant) turnsLocked() *[]*turnWatch {
	if len(p.turns) == 0 {
		return nil
	}
	now := p.turns // the beat reads what is published, without the lock
	return &now
}

// turnWatch tells one who asked of a participant's turns.
type turnWatch struct {
	told     func(Turn)
	hangover time.Duration
	taps     map[*Source]*tap // guarded by Exchange.mu

	mu    sync.Mutex // more than one track may be heard
	voice voiceMeter
	began atomic.Int64 // when the voice began that was heard last, Unix nanoseconds
	heard atomic.Int64 // when it was last heard

	ticking sync.Mutex // a seat that moves may be in two rooms' beats for a moment
	talking bool
}

// attachLocked listens to a track. Exchange.mu is held.
func (w *turnWatch) attachLocked(s *Source) {
	if !s.Codec().Audio() {
		return
	}
	t := &tap{hear: func(pcm []int16, _ time.Duration) { w.hear(pcm, time.Now()) }}
	if w.taps == nil {
		w.taps = map[*Source]*tap{}
	}
	w.taps[s] = t
	s.tapLocked(t)
	s.turns.Store(s.owner.turnsLocked())
}

func (w *turnWatch) hear(pcm []int16, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	speaks, since := w.voice.hear(pcm)
	if !speaks {
		return
	}
	if began := now.Add(-lasting(since)); now.UnixNano()-w.heard.Load() >= int64(w.hangover) {
		w.began.Store(began.UnixNano())
	}
	w.heard.Store(now.UnixNano())
}

// tick tells what has changed.
func (w *turnWatch) tick(now time.Time) {
	w.ticking.Lock()
	defer w.ticking.Unlock()
	heard := w.heard.Load()
	talks := heard != 0 && now.UnixNano()-heard < int64(w.hangover)
	if talks == w.talking {
		return
	}
	w.talking = talks
	if talks {
		w.told(Turn{true, time.Unix(0, w.began.Load())})
	} else {
		w.told(Turn{false, time.Unix(0, heard)})
	}
}

// The measures of voiceMeter, in frames of 10 ms and dBov.
const (
	voiceFrame     = 80
	voiceFull      = 12    // frames that count at most
	noiseCeil      = -40.0 // what is louder is no line's noise
	noiseBottom    = -72.0
	voiceFloor     = -52.0 // what is softer is no voice
	digitalSilence = -80.0
	noiseFalls     = 0.25  // of the way down to a softer frame, per frame
	noiseRises     = 0.03  // dB per frame, 3 dB in a second
	noiseCreeps    = 0.006 // while somebody speaks
	steadyFor      = 30    // frames that are alike are noise, not voice:
	steadyRange    = 6.0   // dB between the softest and the loudest of them
)

// voiceMeter tells voice from the noise of a line by how loud it is.
type voiceMeter struct {
	over  float64
	least int     // frames
	noise float64 // of the line; 0: not known yet
	score int     // frames that were loud lately, less those that were not
	voice bool
	since int     // samples since the voice began
	soft  float64 // of the last frames that are alike,
	hard  float64 // the softest and the loudest,
	alike int     // and how many they are
	rest  [voiceFrame]int16
	n     int
}

func newVoiceMeter(spec TurnSpec) voiceMeter {
	m := voiceMeter{over: spec.OverNoise, least: int(spec.Least / (10 * time.Millisecond))}
	if m.over <= 0 {
		m.over = 10
	}
	if m.least <= 0 {
		m.least = 6
	}
	return m
}

// hear takes sound at 8 kHz, and reports whether there was voice in it, and how many
// samples before its end that began.
func (m *voiceMeter) hear(pcm []int16) (speaks bool, since int) {
	for len(pcm) > 0 {
		n := copy(m.rest[m.n:], pcm)
		pcm = pcm[n:]
		if m.n += n; m.n == voiceFrame {
			m.n = 0
			speaks = m.frame() || speaks
		}
	}
	return speaks, m.since
}

// frame judges 10 ms, and reports whether they are voice.
func (m *voiceMeter) frame() bool {
	db := media.Level(m.rest[:])
	m.learn(db)
	loud := db > max(m.noise+m.over, voiceFloor)
	if m.since += voiceFrame; m.score == 0 {
		m.since = 0
	}
	if loud {
		m.score = min(m.score+1, voiceFull)
		if m.since == 0 {
			m.since = voiceFrame
		}
	} else if m.score > 0 {
		m.score--
	}
	switch {
	case m.score >= m.least:
		m.voice = true
	case m.score == 0:
		m.voice = false
	}
	return m.voice && loud
}

func (m *voiceMeter) learn(db float64) {
	switch {
	case db < digitalSilence: // nobody's line
		return
	case m.noise == 0:
		m.noise = db
	case db < m.noise:
		m.noise += (db - m.noise) * noiseFalls
	case m.voice:
		m.noise += min(noiseCreeps, db-m.noise)
	default:
		m.noise += min(noiseRises, db-m.noise)
	}
	if m.steady(db) {
		m.noise = max(m.noise, (m.soft+m.hard)/2)
	}
	m.noise = min(max(m.noise, noiseBottom), noiseCeil)
}

// steady reports whether the last frames were all alike, as a voice's are not.
func (m *voiceMeter) steady(db float64) bool {
	m.soft, m.hard, m.alike = min(m.soft, db), max(m.hard, db), m.alike+1
	if m.hard-m.soft > steadyRange || m.alike == 1 {
		m.soft, m.hard, m.alike = db, db, 1
	}
	return m.alike >= steadyFor
}
