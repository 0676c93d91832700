package webrtc

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	pionrtp "github.com/pion/rtp"
	pion "github.com/pion/webrtc/v4"

	"github.com/roomline/roomline/media"
)

// OutTrack is one stream to the other side; a media.Writer whose SSRC never
// changes. Packets written before it is negotiated or after its removal are dropped silently.
type OutTrack struct {
	peer         *Peer
	id, streamID string
	kind         Kind
	codec        media.Codec
	line         *line
	keyframe     atomic.Pointer[func()]

	// What follows belongs to the one goroutine that writes.
	header  pionrtp.Header
	numbers rollover // of both roads
	pion    turns
	out     [maxPacket]byte

	mu       sync.Mutex // never held over I/O
	bound    *binding
	follow   bool   // the first packet gets firstSeq
	firstSeq uint16 // goes on from the last packet
	offset   uint16 // our sequence numbers minus the caller's
	sent     sentStats
	repeat   repeating
}

var _ media.Writer = (*OutTrack)(nil)

// binding is what negotiation made of the track.
type binding struct {
	stream pion.TrackLocalWriter
	ssrc   uint32
	types  [media.H264 + 1]int16 // payload type by codec; -1: not negotiated
	red    int16                 // payload type that wraps Opus; -1: not negotiated
	first  media.Codec           // that the other side lists
}

// ID is the track's id, the second half of its msid.
func (t *OutTrack) ID() string { return t.id }

// StreamID is the first half of its msid.
func (t *OutTrack) StreamID() string { return t.streamID }

// Kind is the medium.
func (t *OutTrack) Kind() Kind { return t.kind }

// Supports reports whether packets of this codec reach the other side; false before negotiation.
func (t *OutTrack) Supports(c media.Codec) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.bound != nil && int(c) < len(t.bound.types) && t.bound.types[c] >= 0
}

// Preferred is the codec that the other side would rather have: the first in its
// description that we carry. NoCodec before negotiation.
func (t *OutTrack) Preferred() media.Codec {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.bound == nil {
		return media.NoCodec
	}
	return t.bound.first
}

// WritePacket sends p with the payload type negotiated for p.Codec. It does not allocate.
func (t *OutTrack) WritePacket(p *media.Packet) error {
	now := time.Now()
	b, payload := t.stamp(p, now)
	if b == nil {
		return nil
	}
	if !t.pion.due(now) && t.sendShort(payload) {
		return nil
	}
	err := t.sendLong(b.stream, payload, now)
	if err != nil && !t.pion.last.IsZero() && t.sendShort(payload) {
		return nil // while ICE restarts, pion sends nothing
	}
	return err
}

// stamp fills the header and returns what is to be sent by which binding; nil when the packet cannot be sent.
func (t *OutTrack) stamp(p *media.Packet, now time.Time) (*binding, []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.bound
	if b == nil || int(p.Codec) >= len(b.types) || b.types[p.Codec] < 0 {
		return nil, nil
	}
	if t.follow {
		t.follow, t.offset = false, t.firstSeq-p.SequenceNumber
	}
	h := &t.header
	h.Version = 2
	h.Marker = p.Marker
	h.PayloadType = uint8(b.types[p.Codec])
	h.SequenceNumber = p.SequenceNumber + t.offset
	h.Timestamp = p.Timestamp
	h.SSRC = b.ssrc
	payload := t.repeat.wrap(h, b, p)
	t.sent.add(h, p, len(payload), now)
	return b, payload
}

// Splice says that the next packet comes from another numbering: its sequence
// number will follow the last one sent.
func (t *OutTrack) Splice() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sent.packets > 0 {
		t.follow, t.firstSeq = true, t.sent.highest+1
	}
	t.repeat.packer.Reset()
}

// detach ends sending.
func (t *OutTrack) detach() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.bound != nil {
		t.peer.streams.sendNoMore(t.bound.ssrc, t)
	}
	t.bound = nil
}

// OnKeyframeRequest sets what is called when the receiver asks for a keyframe (PLI, FIR).
func (t *OutTrack) OnKeyframeRequest(f func()) { t.keyframe.Store(&f) }

// feedback handles one RTCP packet batch about this stream.
func (t *OutTrack) feedback(packets []rtcp.Packet) {
	ssrc := t.ssrc()
	for _, p := range packets {
		switch p := p.(type) {
		case *rtcp.PictureLossIndication:
			t.keyframeWanted(p.MediaSSRC == ssrc)
		case *rtcp.FullIntraRequest:
			for _, e := range p.FIR {
				t.keyframeWanted(e.SSRC == ssrc)
			}
		case *rtcp.ReceiverReport:
			t.reported(ssrc, p.Reports)
		case *rtcp.SenderReport:
			t.reported(ssrc, p.Reports)
		}
	}
}

func (t *OutTrack) ssrc() uint32 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.bound == nil {
		return 0
	}
	return t.bound.ssrc
}

func (t *OutTrack) keyframeWanted(ours bool) {
	if f := t.keyframe.Load(); ours && f != nil && *f != nil {
		(*f)()
	}
}

func (t *OutTrack) reported(ssrc uint32, reports []rtcp.ReceptionReport) {
	now := time.Now()
	for _, r := range reports {
		if r.SSRC == ssrc {
			t.mu.Lock()
			t.sent.reported(r, t.codec, now)
			t.repeat.gate.Report(t.sent.loss, now)
			t.mu.Unlock()
		}
	}
}

// UnmendedLoss returns the loss in percent that in-band redundancy is to make up
// for: by the other side's last report, 0 before the first and while RED does it.
func (t *OutTrack) UnmendedLoss() float64 {
	if t.Redundant() {
		return 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sent.loss
}

// localTrack is how pion sees an OutTrack. Unlike pion's TrackLocalStaticRTP
// it may send every codec that was negotiated, takes no lock over the write,
// and copies no packet.
type localTrack struct{ t *OutTrack }

var _ pion.TrackLocal = localTrack{}

// Bind implements pion.TrackLocal. It succeeds when the other side knows none
// of our codecs: such a track is silent, and must not spoil the negotiation of others.
func (l localTrack) Bind(ctx pion.TrackLocalContext) (pion.RTPCodecParameters, error) {
	b := &binding{stream: ctx.WriteStream(), ssrc: uint32(ctx.SSRC())}
	for i := range b.types {
		b.types[i] = -1
	}
	b.red = redType(ctx.CodecParameters())
	var primary pion.RTPCodecParameters
	for _, c := range ctx.CodecParameters() {
		known := codecOf(c.RTPCodecCapability)
		if known == media.NoCodec || known == redundant || b.types[known] >= 0 {
			continue
		}
		b.types[known] = int16(c.PayloadType)
		if b.first == media.NoCodec && known != media.TelephoneEvent {
			b.first = known
		}
		if known == l.t.codec || primary.MimeType == "" {
			primary = c
		}
	}
	if primary.MimeType == "" {
		return primary, pion.ErrUnsupportedCodec
	}
	l.t.peer.streams.send(b.ssrc, l.t)
	l.t.mu.Lock()
	defer l.t.mu.Unlock()
	l.t.bound = b
	return primary, nil
}

// Unbind implements pion.TrackLocal.
func (l localTrack) Unbind(pion.TrackLocalContext) error {
	l.t.detach()
	return nil
}

// ID implements pion.TrackLocal.
func (l localTrack) ID() string { return l.t.id }

// RID implements pion.TrackLocal: no simulcast.
func (l localTrack) RID() string { return "" }

// StreamID implements pion.TrackLocal.
func (l localTrack) StreamID() string { return l.t.streamID }

// Kind implements pion.TrackLocal.
func (l localTrack) Kind() pion.RTPCodecType { return l.t.kind.pion() }
