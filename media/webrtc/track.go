package webrtc

import (
	"errors"

	"github.com/roomline/roomline/media"
)

// OutTrack is one stream to the other side; a media.Writer whose SSRC never
// changes. Packets written before it is negotiated or after its removal are dropped silently.
type OutTrack struct{}

var _ media.Writer = (*OutTrack)(nil)

// ID is the track's id, the second half of its msid.
func (t *OutTrack) ID() string { return "" }

// StreamID is the first half of its msid.
func (t *OutTrack) StreamID() string { return "" }

// WritePacket sends p with the payload type negotiated for p.Codec. It does not allocate.
func (t *OutTrack) WritePacket(p *media.Packet) error { return errors.ErrUnsupported }

// OnKeyframeRequest sets what is called when the receiver asks for a keyframe (PLI, FIR).
func (t *OutTrack) OnKeyframeRequest(f func()) {}

// InTrack is one stream from the other side.
type InTrack struct{}

// ID is the track's id, the second half of its msid.
func (t *InTrack) ID() string { return "" }

// StreamID is the first half of its msid.
func (t *InTrack) StreamID() string { return "" }

// Kind is the medium.
func (t *InTrack) Kind() Kind { return Audio }

// Codec is the codec of the last packet.
func (t *InTrack) Codec() media.Codec { return media.NoCodec }

// Receive sets who gets the packets, called by the goroutine that reads them; nil drops them.
func (t *InTrack) Receive(onPacket func(*media.Packet)) {}

// RequestKeyframe sends a PLI, at most one each 500 ms.
func (t *InTrack) RequestKeyframe() {}
