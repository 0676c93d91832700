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
	// reorderWait is how long a packet waits for a missing one before it, and
	// reorderMost how many wait; towards a phone they stop waiting when something
	// would have to stand in. They wait only where packets came out of order among
	// the last reorderMemory: elsewhere a gap is a loss, and mending it at once
	// keeps the packet after it in time.
	reorderWait   = 60 * time.Millisecond
	reorderMost   = 4
	reorderMemory = 1500
	// longestMend is the longest gap that is filled at once, in ticks.
	longestMend = 120 * media.NarrowbandHz / 1000
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
	speaker  *Speaker // whose packets the beat makes; nil: they come from outside

	fan     atomic.Pointer[fanout]
	heard   atomic.Int64                 // when the last packet came, Unix nanoseconds
	behind  atomic.Bool                  // packets wait behind a gap: the beat looks after them
	turns   atomic.Pointer[[]*turnWatch] // nil: nobody asks for its owner's turns
	wake    atomic.Int64                 // when the beat has to stand in, Unix nanoseconds; 0: never
	level   level
	hearing hearing // counted by decode (heard, recovered, concealed on the direct road) and playout (concealed there, buffer)

	mu      sync.Mutex // one packet at a time; taken before any Sink.mu
	order   *rtp.Reorder
	ahead   overtaking
	clock   timeline
	decoder transcode.Decoder // made when somebody needs sound rather than payloads
	decodes media.Codec       // what it decodes
	rateHz  int               // and at which rate
	next    int64             // position in ticks where the last decoded sound ended
	heir    *heir             // a decoder that takes over soon; nil: none
	seams   seams
	lull    lull
	playout playout
	now     time.Time
	// encodings are the encoders of this source's renditions, by codec, rate and packet length.
	encodings map[renditionKey]*encoding
	ear       *ear   // listens for keys; nil: nobody asked
	taps      []*tap // replaced, never changed in place
	pcm       [2 * longestPacket]int16
	convert   converter

	beat lazy[beatSound]
}

// fanout says who gets a source's packets. It is immutable.
type fanout struct {
	codec      media.Codec  // of the source
	wide       bool         // Opus is decoded at 16 kHz, for somebody who hears it
	forwards   []*Sink      // the same payload, packet by packet
	listeners  []*Sink      // choose between direct and mixed by themselves
	renditions []*rendition // other codecs, for listeners and forwards
	sound      bool         // somebody needs decoded sound
	phones     bool         // and some of them must never be without
}

func newSource(owner *Participant, t TrackSpec) *Source {
	s := &Source{id: t.ID, owner: owner, keyframe: t.RequestKeyframe, order: rtp.NewReorder(reorderMost, reorderWait)}
	s.order.Memory = reorderMemory
	s.codec.Store(uint32(t.Codec))
	s.playout.times, s.playout.hearing = 1, &s.hearing
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
	s.ahead.adapt(s.order, s.playout.open, s.now)
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
	if p.Codec == media.ComfortNoise {
		s.hush(s.fan.Load(), p)
		return
	}
	if !p.Codec.Audio() {
		return
	}
	ticks, err := transcode.Samples(p.Codec, p.Payload, media.NarrowbandHz)
	if err != nil || ticks > longestPacket {
		return
	}
	f := s.fan.Load()
	at, late := s.clock.place(p.Timestamp, p.Codec.ClockRate(), ticks, s.now), 0
	mixed := s.choose(f, p.Codec, ticks, lost)
	sounds := f.sound && s.ready(p.Codec, rateOf(p.Codec, f.wide), at)
	if sounds {
		s.open(mixed)
		at, late = s.catchUp(f, p, at, ticks, lost)
	}
	for _, k := range f.listeners {
		if k.untouched.Load() && k.driver.Load() == s {
			k.direct(s, &portion{codec: p.Codec, payload: p.Payload, at: at, ticks: ticks, lost: lost, marker: p.Marker}, s.now)
		}
	}
	if !sounds {
		s.lull.over()
		return
	}
	s.decode(f, p, at, ticks, lost, late)
	s.heed(f)
}

// choose finds the road to each listener for a packet that comes after so many
// lost ones. It reports whether one of them is mixed.
func (s *Source) choose(f *fanout, codec media.Codec, ticks, lost int) (mixed bool) {
	whole := lost == 0 && s.lull.made == 0 && !s.seams.open
	for _, k := range f.listeners {
		switch k.road(s, s.now) {
		case roadMixed:
			mixed = true
		case roadDirect:
			k.chooseForm(s, codec, ticks, whole)
		}
	}
	return mixed
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
