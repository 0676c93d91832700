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
	// Marked is called when a mark's place has been played out, or at once for
	// each mark that [Speaker.Clear] passes over. It is called on the beat, or by
	// Clear, with no lock held, and must not block.
	Marked func(name string)
	// Began and Rested are called on the beat when sound begins after silence, and
	// when all that was written has been played. They must not block; nil: nobody asks.
	Began, Rested func()
}

// Speaker plays out what an agent says: sound and marks are written as fast as
// they come and leave by the beat, 20 ms at a time, as packets of a Source. Its
// methods are safe for concurrent use.
type Speaker struct {
	spec   SpeakerSpec
	source *Source

	mu      sync.Mutex
	queue   []byte // from head on: sound that waits, a byte is 125 µs
	head    int
	marks   []mark
	written int64 // samples since the beginning
	played  int64
	talking bool
	closed  bool
	held    bool

	packet media.Packet // the beat's
	begun  time.Time    // of the stream's timestamps
}

type mark struct {
	name string
	at   int64 // samples since the beginning
}

const defaultMost = 10 * time.Minute

// mostMarks bounds the marks that wait.
const mostMarks = 10000

// Speak publishes the participant's voice.
func (p *Participant) Speak(spec SpeakerSpec) (*Speaker, error) {
	if spec.Codec != media.PCMU && spec.Codec != media.PCMA {
		return nil, refuse(Invalid, "codec", "a speaker speaks PCMU or PCMA, not %s", spec.Codec)
	}
	if spec.Most <= 0 {
		spec.Most = defaultMost
	}
	v := &Speaker{spec: spec}
	if _, err := p.publish(TrackSpec{ID: spec.ID, Codec: spec.Codec}, v); err != nil {
		return nil, err
	}
	return v, nil
}

// Write adds sound, codec bytes of any length. It is an error of code
// LimitReached, and nothing is added, when more would wait than Most.
func (v *Speaker) Write(payload []byte) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch waiting := len(v.queue) - v.head + len(payload); {
	case v.closed:
		return refuse(Conflict, "", "the voice has ended")
	case time.Duration(waiting)*time.Second/media.NarrowbandHz > v.spec.Most:
		return refuse(LimitReached, "media", "more than %s of sound waits to be played", v.spec.Most)
	}
	if v.head > 0 && v.head == len(v.queue) {
		v.queue, v.head = v.queue[:0], 0
	}
	v.queue = append(v.queue, payload...)
	v.written += int64(len(payload))
	return nil
}

// Mark asks to be told when all sound that was written before it has been played.
func (v *Speaker) Mark(name string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.marks) >= mostMarks {
		return refuse(LimitReached, "mark", "more than %d marks wait", mostMarks)
	}
	v.marks = append(v.marks, mark{name, v.written})
	return nil
}

// Clear drops what waits, tells of every mark that waited, and returns how much
// sound was dropped.
func (v *Speaker) Clear() (dropped time.Duration) {
	v.mu.Lock()
	n := len(v.queue) - v.head
	v.queue, v.head = v.queue[:0], 0
	v.written = v.played
	marks := v.marks
	v.marks = nil
	v.mu.Unlock()
	v.tell(marks)
	return time.Duration(n) * time.Second / media.NarrowbandHz
}

// Played returns how much of its sound has been played out since it began,
// without silence between. Truncation counts on it.
func (v *Speaker) Played() time.Duration {
	v.mu.Lock()
	defer v.mu.Unlock()
	return time.Duration(v.played) * time.Second / media.NarrowbandHz
}

// Waiting returns how much sound waits to be played.
func (v *Speaker) Waiting() time.Duration {
	v.mu.Lock()
	defer v.mu.Unlock()
	return time.Duration(len(v.queue)-v.head) * time.Second / media.NarrowbandHz
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
	v.closed, v.queue, v.marks = true, nil, nil
	v.mu.Unlock()
	v.source.Close()
}

func (v *Speaker) tell(marks []mark) {
	if v.spec.Marked == nil {
		return
	}
	for _, m := range marks {
		v.spec.Marked(m.name)
	}
}

// tick plays the next 20 ms. Marks are told when the packet before them is over:
// on the beat after the one that sent it.
func (v *Speaker) tick(now time.Time) {
	v.mu.Lock()
	due := 0
	for due < len(v.marks) && !v.held && v.marks[due].at <= v.played {
		due++
	}
	marks := v.marks[:due:due]
	v.marks = v.marks[due:]
	n := min(media.FrameSamples, len(v.queue)-v.head)
	if v.held {
		n = 0
	}
	began, rested := n > 0 && !v.talking, n == 0 && v.talking
	v.talking = n > 0
	if n > 0 {
		if v.begun.IsZero() {
			v.begun = now
		}
		v.packet.Payload = append(v.packet.Payload[:0], v.queue[v.head:v.head+n]...)
		for len(v.packet.Payload) < media.FrameSamples {
			v.packet.Payload = append(v.packet.Payload, silenceByte[v.spec.Codec])
		}
		v.head += n
		v.played += int64(n)
	}
	v.mu.Unlock()
	v.tell(marks)
	if began && v.spec.Began != nil {
		v.spec.Began()
	}
	if rested && v.spec.Rested != nil {
		v.spec.Rested()
	}
	if n == 0 {
		return
	}
	frames := (now.Sub(v.begun) + media.FrameDuration/2) / media.FrameDuration
	v.packet.Codec, v.packet.Marker, v.packet.Arrived = v.spec.Codec, began, now
	v.packet.SequenceNumber++
	v.packet.Timestamp = uint32(frames) * media.FrameSamples
	v.source.Push(&v.packet)
}
