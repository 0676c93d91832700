package webrtc

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	pionrtp "github.com/pion/rtp"
	pion "github.com/pion/webrtc/v4"

	"github.com/roomline/roomline/media"
)

// maxPacket is the longest RTP packet that we read; pion's receive MTU is 1460.
const maxPacket = 1500

// rtpHeader is the length of an RTP header without extensions.
const rtpHeader = 12

// keyframeInterval is the shortest time between two requests for a keyframe.
const keyframeInterval = 500 * time.Millisecond

// InTrack is one stream from the other side.
type InTrack struct {
	peer     *Peer
	remote   *pion.TrackRemote
	receiver *pion.RTPReceiver
	codec    atomic.Uint32
	onPacket atomic.Pointer[func(*media.Packet)]

	stream *stream

	// What follows is guarded by stream.mu: packets come from two goroutines.
	header pionrtp.Header
	packet media.Packet
	types  [128]media.Codec // by payload type, as far as known
	known  [128]bool
	mend   mending

	mu       sync.Mutex
	received receivedStats
	asked    time.Time   // the last PLI
	asking   *time.Timer // a PLI that waits for keyframeInterval
	ended    bool
}

// ID is the track's id, the second half of its msid.
func (t *InTrack) ID() string { return t.remote.ID() }

// StreamID is the first half of its msid.
func (t *InTrack) StreamID() string { return t.remote.StreamID() }

// Kind is the medium.
func (t *InTrack) Kind() Kind { return kindOf(t.remote.Kind()) }

// Codec is the codec of the last packet with sound or pictures.
func (t *InTrack) Codec() media.Codec { return media.Codec(t.codec.Load()) }

// Receive sets who gets the packets, one at a time, called by the goroutine that
// reads or decrypts them; nil drops them.
func (t *InTrack) Receive(onPacket func(*media.Packet)) {
	if onPacket == nil {
		t.onPacket.Store(nil)
		return
	}
	t.onPacket.Store(&onPacket)
}

// trackFound runs a remote track from its first packet to its end, in the
// goroutine that pion made for it.
func (p *Peer) trackFound(remote *pion.TrackRemote, receiver *pion.RTPReceiver) {
	t := &InTrack{peer: p, remote: remote, receiver: receiver, stream: p.streams.find(uint32(remote.SSRC()))}
	if t.stream == nil {
		return // it has ended already
	}
	c := remote.Codec()
	t.codec.Store(uint32(soundOf(codecOf(c.RTPCodecCapability))))
	t.received.clockRate = c.ClockRate
	t.received.want.Calm = askedFor
	p.mu.Lock()
	p.ins[t] = struct{}{}
	p.mu.Unlock()
	defer p.trackEnded(t)
	t.stream.owner.Store(t)
	if p.cfg.OnTrack != nil {
		p.cfg.OnTrack(t)
	}
	t.readLoop()
}

func (p *Peer) trackEnded(t *InTrack) {
	p.mu.Lock()
	delete(p.ins, t)
	p.mu.Unlock()
	t.mu.Lock()
	t.ended = true
	if t.asking != nil {
		t.asking.Stop()
	}
	t.mu.Unlock()
	if p.cfg.OnTrackEnd != nil {
		p.cfg.OnTrackEnd(t)
	}
}

// readLoop reads until the stream ends. When it has caught up, sound comes
// without it, and it reads only what pion has to look at.
func (t *InTrack) readLoop() {
	defer t.stream.detach()
	attached := t.Kind() == Video // never
	buf := make([]byte, maxPacket)
	for failures := 0; failures < 100; {
		n, _, err := t.remote.Read(buf)
		switch {
		case err == nil:
			failures = 0
			t.readQueued(buf[:n], time.Now())
			attached = attached || t.stream.attach(t)
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrClosedPipe):
			return
		default: // an unknown payload type, a malformed extension
			failures++
			t.discarded()
		}
	}
}

// readQueued is read for a packet that pion has looked at, and learns what its
// payload type means.
func (t *InTrack) readQueued(raw []byte, now time.Time) {
	codec := codecOf(t.remote.Codec().RTPCodecCapability)
	t.stream.mu.Lock()
	defer t.stream.mu.Unlock()
	if len(raw) > 1 {
		t.types[raw[1]&0x7f], t.known[raw[1]&0x7f] = codec, true
		if codec == redundant && !t.mend.learned {
			t.mend.learn(t.receiver.GetParameters().Codecs)
		}
	}
	t.read(raw, codec, now)
}

// discarded counts a packet that could not be used.
func (t *InTrack) discarded() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.received.discarded++
}

// read parses one RTP packet, of either road, and passes it on.
func (t *InTrack) read(raw []byte, codec media.Codec, now time.Time) {
	offset, err := t.header.Unmarshal(raw)
	if err != nil {
		return
	}
	end := len(raw)
	if t.header.Padding && end > offset { // RFC 3550 section 5.1: the last byte counts the padding
		end -= int(raw[end-1])
	}
	if end < offset || codec == media.NoCodec {
		return
	}
	if codec != media.TelephoneEvent {
		t.codec.Store(uint32(soundOf(codec)))
	}
	t.mu.Lock()
	t.received.add(t.header.SequenceNumber, t.header.Timestamp, now)
	t.mu.Unlock()
	if end == offset && !codec.Video() {
		return // padding alone; video needs it to keep its numbers without gaps
	}
	t.packet = media.Packet{
		Codec: codec, Marker: t.header.Marker, SequenceNumber: t.header.SequenceNumber,
		Timestamp: t.header.Timestamp, Payload: raw[offset:end], Arrived: now,
	}
	if f := t.onPacket.Load(); f != nil && !t.mend.pass(&t.packet, *f) {
		t.mu.Lock()
		t.received.discarded++
		t.mu.Unlock()
	}
}

// RequestKeyframe sends a PLI (RFC 4585 section 6.3.1), at most one each
// 500 ms; requests in between are answered by one more at the end of it.
func (t *InTrack) RequestKeyframe() {
	if t.mayAsk(time.Now()) {
		t.ask()
	}
}

// mayAsk reports whether a PLI may go out now; if not yet, it sees to one later.
func (t *InTrack) mayAsk(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended || t.asking != nil {
		return false
	}
	if wait := keyframeInterval - now.Sub(t.asked); !t.asked.IsZero() && wait > 0 {
		t.asking = time.AfterFunc(wait, func() { t.peer.run("keyframe", t.askLate) })
		return false
	}
	t.asked = now
	return true
}

func (t *InTrack) askLate() {
	t.mu.Lock()
	t.asking, t.asked = nil, time.Now()
	ended := t.ended
	t.mu.Unlock()
	if !ended {
		t.ask()
	}
}

func (t *InTrack) ask() {
	t.mu.Lock()
	from := t.received.ourSSRC()
	t.mu.Unlock()
	_ = t.peer.pc.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{SenderSSRC: from, MediaSSRC: uint32(t.remote.SSRC())}})
}
