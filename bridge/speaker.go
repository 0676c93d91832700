package bridge

import (
	"sync"
	"time"

	"github.com/roomline/roomline/media"
)

// SpeakerSpec describes the voice of a participant whose sound comes faster than
// it is heard.
type SpeakerSpec struct {
	ID    string        // of its track, unique within the participant
	Codec media.Codec   // PCMU or PCMA: a phone in the same codec gets the bytes untouched
	Most  time.Duration // how much may wait to be played, 10 min where 0
	// Marked is called when a mark's place has been played out, at most 20 ms after
	// it and never before, or at once for each mark that [Speaker.Clear] passes over;
	// one at a time, in the order of the marks. It is called on the beat, or by
	// Clear, with no lock held, and must not block.
	Marked func(name string)
	// Began and Rested are called on the beat: when sound begins after silence, and
	// when there has been none for some 60 ms after all that was written has been
	// played. They must not block; nil: nobody asks.
	Began, Rested func()
}

// Speaker plays out what an agent says: sound and marks are written as fast as
// they come and leave by the beat, 20 ms at a time, as packets of a Source.
//
//	Write → backlog (waits) → cushion (may it begin?) → tick → Source
//
// Sound that comes just in time is begun with a little later, so that the network's
// jitter makes no gaps; where one comes about all the same, or the sound ends, it
// fades out. Its methods are safe for concurrent use.
type Speaker struct {
	spec   SpeakerSpec
	source *Source

	mu      sync.Mutex
	waiting backlog
	marks   marks
	cushion cushion
	slack   slack
	written int64 // samples since the beginning, less those that were cleared
	played  int64 // of them, up to the end of the packet sent last
	sent    time.Time
	flight  int // samples of sound in that packet
	talking bool
	flowing bool // the last packet was full
	cut     bool // what is being said is to end at once
	closed  bool
	held    bool

	stage speakerStage
}

const defaultMost = 10 * time.Minute

// Speak publishes the participant's voice.
func (p *Participant) Speak(spec SpeakerSpec) (*Speaker, error) {
	if spec.Codec != media.PCMU && spec.Codec != media.PCMA {
		return nil, refuse(Invalid, "codec", "a speaker speaks PCMU or PCMA, not %s", spec.Codec)
	}
	if spec.Most <= 0 {
		spec.Most = defaultMost
	}
	v := &Speaker{spec: spec}
	if err := v.stage.open(spec.Codec); err != nil {
		return nil, err
	}
	if _, err := p.publish(TrackSpec{ID: spec.ID, Codec: spec.Codec}, v); err != nil {
		return nil, err
	}
	return v, nil
}

// Write adds sound, codec bytes of any length, which are copied. It is an error
// of code LimitReached, and nothing is added, when more would wait than Most.
func (v *Speaker) Write(payload []byte) error {
	now := time.Now()
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case v.closed:
		return refuse(Conflict, "", "the voice has ended")
	case lasting(v.waiting.n+len(payload)) > v.spec.Most:
		return refuse(LimitReached, "media", "more than %s of sound waits to be played", v.spec.Most)
	case len(payload) == 0:
		return nil
	}
	v.cushion.comes(now, len(payload), v.waiting.n == 0, !v.talking)
	v.waiting.push(payload)
	v.written += int64(len(payload))
	return nil
}

// Mark asks to be told when all sound that was written before it has been played.
// It is an error of code LimitReached when too many marks wait.
func (v *Speaker) Mark(name string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return refuse(Conflict, "", "the voice has ended")
	}
	return v.marks.add(name, v.written)
}

// Clear drops what waits, tells of every mark that waited, and returns how much
// sound was dropped. No sound that was written before it is sent after the packet
// that is under way; what is being said fades out within 5 ms.
func (v *Speaker) Clear() (dropped time.Duration) {
	v.mu.Lock()
	dropped = lasting(v.waiting.clear())
	v.written, v.cut, v.talking, v.flowing = v.played, v.talking || v.cut, false, false
	v.marks.pass()
	v.mu.Unlock()
	v.tell()
	return dropped
}

// Played returns how much of its sound has been played out since it began, to the
// millisecond, without silence between. Truncation counts on it. After Clear it
// goes on by what was under way, at most 20 ms.
func (v *Speaker) Played() time.Duration {
	now := time.Now()
	v.mu.Lock()
	defer v.mu.Unlock()
	left := max(0, lasting(v.flight)-now.Sub(v.sent))
	return time.Duration(v.played)*time.Second/media.NarrowbandHz - left
}

// Waiting returns how much sound waits to be played.
func (v *Speaker) Waiting() time.Duration {
	v.mu.Lock()
	defer v.mu.Unlock()
	return lasting(v.waiting.n)
}

// Hold keeps everything back until it is released: sound and marks wait.
func (v *Speaker) Hold(on bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.held = on
}

// Source returns the track that it publishes.
func (v *Speaker) Source() *Source { return v.source }

// Close ends the track. What waits is not played, and no mark is told any more.
func (v *Speaker) Close() {
	v.mu.Lock()
	v.closed, v.waiting, v.marks = true, backlog{}, marks{}
	v.mu.Unlock()
	v.source.Close()
}

// tell tells of the marks that are due. Who comes while another one does so leaves
// it to them, so that marks stay in order and a callback may call anything.
func (v *Speaker) tell() {
	v.mu.Lock()
	defer v.mu.Unlock()
	for {
		name, ok := v.marks.pull()
		if !ok {
			return
		}
		if v.spec.Marked != nil {
			v.mu.Unlock()
			v.spec.Marked(name)
			v.mu.Lock()
		}
		v.marks.told()
	}
}
