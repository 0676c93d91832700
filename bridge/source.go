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
	// longestMend is the longest gap that is filled; longer ones stay silent.
	longestMend = 60 * time.Millisecond * media.NarrowbandHz / time.Second
	// longestPacket bounds a packet's sound: Opus' 120 ms, in samples.
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
	codec    media.Codec
	owner    *Participant
	keyframe func()

	listened bool // keys are looked for in its sound; guarded by Exchange.mu

	fan    atomic.Pointer[fanout]
	heard  atomic.Int64 // when the last packet came, Unix nanoseconds
	behind atomic.Bool  // packets wait behind a gap: the beat looks after them
	level  level

	mu      sync.Mutex // one packet at a time; taken before any Sink.mu
	order   *rtp.Reorder
	clock   unwrap
	decoder transcode.Decoder // made when somebody needs sound rather than payloads
	decodes media.Codec       // what it decodes
	next    int64             // position in samples where the last decoded sound ended
	playout playout
	now     time.Time
	// encodings are the encoders of this source's renditions, by codec and packet length.
	encodings map[renditionKey]*encoding
	packet    int         // samples in the packet under way
	coding    media.Codec // and its codec: a phone may change it at any packet
	ear       *ear        // listens for keys; nil: nobody asked
	pcm       [longestPacket]int16

	frame     [media.FrameSamples]int16 // this beat's sound; the beat's alone
	frameBeat uint64
}

// fanout says who gets a source's packets. It is immutable.
type fanout struct {
	forwards   []*Sink      // the same payload, packet by packet
	listeners  []*Sink      // choose between direct and mixed by themselves
	renditions []*rendition // other codecs, for listeners and forwards
	sound      bool         // somebody needs decoded sound
}

func newSource(owner *Participant, t TrackSpec) *Source {
	s := &Source{id: t.ID, codec: t.Codec, owner: owner, keyframe: t.RequestKeyframe, order: rtp.NewReorder(reorderMost, reorderWait)}
	s.fan.Store(&fanout{})
	return s
}

// ID returns the track's id, unique within its participant.
func (s *Source) ID() string { return s.id }

// Codec returns what the packets are encoded in.
func (s *Source) Codec() media.Codec { return s.codec }

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
	if p.Codec == s.codec {
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
	if !p.Codec.Audio() || p.Codec.ClockRate() != s.codec.ClockRate() {
		return
	}
	samples, err := transcode.Samples(p.Codec, p.Payload, media.NarrowbandHz)
	if err != nil || samples > longestPacket {
		return
	}
	f := s.fan.Load()
	s.packet, s.coding = samples, p.Codec
	ticks := s.clock.next(p.Timestamp)
	at := ticks * media.NarrowbandHz / int64(s.codec.ClockRate())
	mixed := false
	for _, k := range f.listeners {
		switch k.road(s, s.now) {
		case roadMixed:
			mixed = true
		case roadDirect:
			if k.passes(p.Codec, samples) {
				k.direct(s, p.Payload, at, samples, lost, p.Marker, s.now)
			}
		}
	}
	if f.sound {
		s.open(mixed)
		s.decode(f, p, at, samples, lost)
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
func (s *Source) decode(f *fanout, p *media.Packet, at int64, samples, lost int) {
	if !s.ready(p.Codec, at) {
		return
	}
	if gap := at - s.next; lost > 0 && gap > 0 {
		s.mend(f, p.Payload, at, int(min(gap, int64(longestMend))))
	}
	n, err := s.decoder.Decode(p.Payload, s.pcm[:])
	if err != nil {
		if n, err = s.decoder.Conceal(s.pcm[:samples]); err != nil {
			return
		}
	}
	s.level.measure(s.pcm[:n], s.now)
	s.ear.hear(s.pcm[:n])
	s.deliver(f, sound{pcm: s.pcm[:n], at: at, lost: lost, marker: p.Marker})
	s.next = at + int64(n)
}

// ready makes sure that there is a decoder for codec.
func (s *Source) ready(codec media.Codec, at int64) bool {
	if s.decoder != nil && s.decodes == codec {
		return true
	}
	d, err := transcode.NewDecoder(codec, media.NarrowbandHz)
	if err != nil {
		return false
	}
	if s.decoder != nil {
		s.decoder.Close()
	} else {
		s.next = at
	}
	s.decoder, s.decodes = d, codec
	return true
}

// mend makes up the last gap samples before position at: from the redundancy in
// the next payload where there is some, else by concealment.
func (s *Source) mend(f *fanout, next []byte, at int64, gap int) {
	const step = media.FrameSamples
	for left := gap; left > 0; {
		n := min(left, step)
		pcm, err := s.pcm[:n], error(nil)
		if left == n {
			_, err = s.decoder.Recover(next, pcm)
		} else {
			_, err = s.decoder.Conceal(pcm)
		}
		if err != nil {
			return
		}
		s.deliver(f, sound{pcm: pcm, at: at - int64(left), made: true})
		left -= n
	}
}

// sound is decoded narrowband sound on its way from a Source.
type sound struct {
	pcm    []int16
	at     int64 // position on the source's timeline, in samples
	lost   int   // packets missing before it
	made   bool  // made up for a lost packet
	marker bool
}

func (s *Source) deliver(f *fanout, d sound) {
	s.playout.put(d.at, d.pcm)
	for _, r := range f.renditions {
		r.push(s, d)
	}
}

// beatFrame returns the source's next 20 ms for the mixed road, the same for
// every sink within one beat.
func (s *Source) beatFrame(beat uint64) []int16 {
	if s.frameBeat != beat {
		s.frameBeat = beat
		s.mu.Lock()
		s.playout.start()
		s.playout.take(s.frame[:])
		s.mu.Unlock()
	}
	return s.frame[:]
}

// release gives codec state back when the track is gone.
func (s *Source) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.decoder != nil {
		s.decoder.Close()
		s.decoder = nil
	}
	for _, e := range s.encodings {
		e.close()
	}
	s.encodings = nil
}

// unwrap turns 32-bit timestamps into positions that do not wrap.
type unwrap struct {
	last  int64
	begun bool
}

func (u *unwrap) next(ts uint32) int64 {
	if !u.begun {
		u.last, u.begun = int64(ts), true
		return u.last
	}
	u.last += int64(int32(ts - uint32(u.last)))
	return u.last
}

// drain makes the jitter buffer as shallow as it can be, before the road goes
// back to direct and what it holds would be skipped.
func (s *Source) drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.playout.open && s.playout.depth() > 2*joinSamples {
		s.playout.cut(s.playout.depth() - 2*joinSamples)
	}
}

// peek copies the next sound of the jitter buffer, or its continuation.
func (s *Source) peek(pcm []int16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.playout.peek(pcm)
}
