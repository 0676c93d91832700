package bridge

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/rtp"
	"github.com/roomline/roomline/transcode"
)

const (
	// activeFor is how long after its last packet a source still counts as a speaker.
	activeFor = 500 * time.Millisecond
	// reorderWait is how long a packet waits for the missing one before it, and
	// reorderMost how many wait: the next packet but one ends it.
	reorderWait = 30 * time.Millisecond
	reorderMost = 2
	// longestMend is the longest gap that is filled, in ticks; longer ones stay silent.
	longestMend = 60 * time.Millisecond * media.NarrowbandHz / time.Second
	// longestPacket bounds a packet's sound: Opus' 120 ms, in ticks. At 16 kHz it
	// is twice as many samples.
	longestPacket = 960
)

// TrackSpec describes a track that a participant publishes.
type TrackSpec struct {
	ID              string      // unique within the participant
	Codec           media.Codec // decides whether it is audio or video
	RequestKeyframe func()      // video: asks the publisher for a picture that stands alone; may be nil
}

// Source is one published track. [Source.Push] is the way in for its packets.
type Source struct {
	id       string
	codec    atomic.Uint32 // media.Codec; set with Exchange.mu held
	owner    *Participant
	keyframe func()

	listened bool // keys are looked for in its sound; guarded by Exchange.mu

	fan    atomic.Pointer[fanout]
	heard  atomic.Int64 // when the last packet came, Unix nanoseconds
	behind atomic.Bool  // packets wait behind a gap: the beat looks after them
	level  level

	mu      sync.Mutex // one packet at a time; taken before any Sink.mu
	order   *rtp.Reorder
	clock   timeline
	decoder transcode.Decoder // made when somebody needs sound rather than payloads
	decodes media.Codec       // what it decodes
	rateHz  int               // and at which rate
	next    int64             // position in ticks where the last decoded sound ended
	heir    *heir             // a decoder that takes over soon; nil: none
	seams   seams
	playout playout
	now     time.Time
	// encodings are the encoders of this source's renditions, by codec, rate and packet length.
	encodings map[renditionKey]*encoding
	ear       *ear // listens for keys; nil: nobody asked
	pcm       [2 * longestPacket]int16
	convert   converter

	beat beatSound
}

// fanout says who gets a source's packets. It is immutable.
type fanout struct {
	codec      media.Codec  // of the source
	wide       bool         // Opus is decoded at 16 kHz, for somebody who hears it
	forwards   []*Sink      // the same payload, packet by packet
	listeners  []*Sink      // choose between direct and mixed by themselves
	renditions []*rendition // other codecs, for listeners and forwards
	sound      bool         // somebody needs decoded sound
}

func newSource(owner *Participant, t TrackSpec) *Source {
	s := &Source{id: t.ID, owner: owner, keyframe: t.RequestKeyframe, order: rtp.NewReorder(reorderMost, reorderWait)}
	s.codec.Store(uint32(t.Codec))
	s.playout.times = 1
	s.fan.Store(&fanout{codec: t.Codec})
	return s
}

// ID returns the track's id, unique within its participant.
func (s *Source) ID() string { return s.id }

// Codec returns what the packets are encoded in.
func (s *Source) Codec() media.Codec { return media.Codec(s.codec.Load()) }

// Recode says that the packets' codec changes, after a re-INVITE. Packets of
// either kind are heard before and after it.
func (s *Source) Recode(codec media.Codec) {
	s.owner.x.change(func(c *change) {
		if s.Codec() == codec || !codec.Audio() {
			return
		}
		s.codec.Store(uint32(codec))
		s.owner.room.rewireLocked()
		c.changed(s.owner.room)
	})
}

// Participant returns who publishes the track.
func (s *Source) Participant() *Participant { return s.owner }

// RequestKeyframe asks the publisher of a video track for a picture that stands alone.
func (s *Source) RequestKeyframe() {
	if s.keyframe != nil {
		s.keyframe()
	}
}

// Close unpublishes the track.
func (s *Source) Close() { s.owner.unpublish(s) }

// Push takes one packet along its whole road, in the caller's goroutine: to
// forwards as it is, then, in order, to whoever needs its sound. The packet is
// the caller's again afterwards.
func (s *Source) Push(p *media.Packet) {
	s.heard.Store(p.Arrived.UnixNano())
	f := s.fan.Load()
	if p.Codec == f.codec {
		for _, k := range f.forwards {
			k.relay(s, p)
		}
	}
	if len(f.listeners) == 0 && len(f.renditions) == 0 && !f.sound {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = p.Arrived
	s.order.Push(p, s.inOrder)
	s.behind.Store(!s.order.Deadline().IsZero())
}

// flush lets go of packets that have waited behind a gap for long enough.
func (s *Source) flush(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = now
	s.order.Flush(now, s.inOrder)
	s.behind.Store(!s.order.Deadline().IsZero())
}

// active reports whether packets arrived lately.
func (s *Source) active(now time.Time) bool {
	return now.UnixNano()-s.heard.Load() < int64(activeFor)
}

// inOrder carries the next packet in sequence; lost packets are missing before it.
func (s *Source) inOrder(p *media.Packet, lost int) {
	if !p.Codec.Audio() {
		return
	}
	ticks, err := transcode.Samples(p.Codec, p.Payload, media.NarrowbandHz)
	if err != nil || ticks > longestPacket {
		return
	}
	f := s.fan.Load()
	at := s.clock.place(p.Timestamp, p.Codec.ClockRate(), ticks)
	mixed := false
	for _, k := range f.listeners {
		switch k.road(s, s.now) {
		case roadMixed:
			mixed = true
		case roadDirect:
			if k.passes(s, p.Codec, ticks) {
				k.direct(s, &portion{codec: p.Codec, payload: p.Payload, at: at, ticks: ticks, lost: lost, marker: p.Marker}, s.now)
			}
		}
	}
	if f.sound {
		s.open(mixed)
		s.decode(f, p, at, ticks, lost)
	}
}

// open starts and stops the jitter buffer with the need for it.
func (s *Source) open(mixed bool) {
	if mixed {
		s.playout.start()
	} else {
		s.playout.stop()
	}
}

// decode makes sound of a packet, mends the gap before it, and sends both on.
func (s *Source) decode(f *fanout, p *media.Packet, at int64, ticks, lost int) {
	if !s.ready(p.Codec, rateOf(p.Codec, f.wide), at) {
		return
	}
	if gap := at - s.next; lost > 0 && gap > 0 {
		s.mend(f, p.Payload, at, int(min(gap, int64(longestMend))))
	}
	n, err := s.decoder.Decode(p.Payload, s.pcm[:])
	if err != nil {
		if n, err = s.decoder.Conceal(s.pcm[:ticks*times(s.rateHz)]); err != nil {
			return
		}
	}
	if s.heir != nil {
		n = s.inherit(p.Payload, at, n)
	}
	s.level.measure(s.pcm[:n], s.now)
	d := sound{pcm: s.pcm[:n], rateHz: s.rateHz, at: at, lost: lost, marker: p.Marker}
	if s.seams.open {
		s.seams.fade(d.pcm, d.rateHz)
		d.seams, s.seams.open = &s.seams, false
	}
	if s.ear != nil {
		if lost > 0 {
			s.ear.detector.Gap()
		}
		s.ear.hear(s.convert.at(&d, media.NarrowbandHz))
	}
	s.deliver(f, &d)
	s.next = at + int64(n/times(s.rateHz))
}

// mend makes up the last gap ticks before position at: from the redundancy in
// the next payload where there is some, else by concealment.
func (s *Source) mend(f *fanout, next []byte, at int64, gap int) {
	const step = media.FrameSamples
	for left := gap; left > 0; {
		n := min(left, step)
		pcm, err := s.pcm[:n*times(s.rateHz)], error(nil)
		if left == n {
			_, err = s.decoder.Recover(next, pcm)
		} else {
			_, err = s.decoder.Conceal(pcm)
		}
		if err != nil {
			return
		}
		s.deliver(f, &sound{pcm: pcm, rateHz: s.rateHz, at: at - int64(left), made: true})
		left -= n
	}
}

func (s *Source) deliver(f *fanout, d *sound) {
	s.playout.put(d.at, d.pcm, times(d.rateHz))
	for _, r := range f.renditions {
		r.push(s, d)
	}
}

// beatSound is a source's 20 ms for the mixed road. It is the beat's alone.
type beatSound struct {
	number  uint64
	frame   [2 * media.FrameSamples]int16
	sound   sound
	convert converter
}

// beatFrame returns the source's next 20 ms for the mixed road at a rate, the
// same for every sink within one beat.
func (s *Source) beatFrame(beat uint64, rateHz int) []int16 {
	b := &s.beat
	if b.number != beat {
		b.number = beat
		s.mu.Lock()
		frame := b.frame[:media.FrameSamples*s.playout.times]
		s.playout.start()
		s.playout.take(frame)
		b.sound = sound{pcm: frame, rateHz: media.NarrowbandHz * s.playout.times, at: int64(beat) * media.FrameSamples}
		s.mu.Unlock()
	}
	return b.convert.at(&b.sound, rateHz)
}

// release gives codec state back when the track is gone.
func (s *Source) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.disown()
	if s.decoder != nil {
		s.decoder.Close()
		s.decoder = nil
	}
	for _, e := range s.encodings {
		e.close()
	}
	s.encodings = nil
}

// timeline turns 32-bit timestamps into positions in ticks that do not wrap. A
// codec with another clock goes on where the last packet ended.
type timeline struct {
	rateHz int64
	last   int64
	shift  int64 // position minus the clock's ticks
	end    int64 // of the last packet
	begun  bool
}

// place is the position of a packet that lasts so many ticks.
func (t *timeline) place(ts uint32, rateHz, ticks int) int64 {
	rate := int64(rateHz)
	switch {
	case !t.begun:
		t.last = int64(ts)
	case t.rateHz != rate:
		t.last = int64(ts)
		t.shift = t.end - t.last*media.NarrowbandHz/rate
	default:
		t.last += int64(int32(ts - uint32(t.last)))
	}
	t.rateHz, t.begun = rate, true
	at := t.last*media.NarrowbandHz/rate + t.shift
	t.end = at + int64(ticks)
	return at
}

// drain makes the jitter buffer as shallow as it can be, before the road goes
// back to direct and what it holds would be skipped.
func (s *Source) drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if spare := 2 * joinSamples * s.playout.times; s.playout.open && s.playout.depth() > spare {
		s.playout.cut(s.playout.depth() - spare)
	}
}

// peek returns the next 5 ms of the jitter buffer, or its continuation.
func (s *Source) peek() (t tail) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.times = s.playout.times
	s.playout.peek(t.pcm[:joinSamples*t.times])
	return t
}
