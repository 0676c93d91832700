package webrtc

import (
	"strings"

	pion "github.com/pion/webrtc/v4"

	"github.com/roomline/roomline/media"
)

// Payload types that we offer; in answers those of the offer hold. They are the
// ones that browsers use, which makes traces easy to read.
const (
	ptPCMU    = 0
	ptPCMA    = 8
	ptVP8     = 96
	ptH264    = 102
	ptEvent48 = 110
	ptOpus    = 111
	ptEvent8  = 126
)

// mediaEngine registers what the gateway carries, best first. Opus has no fmtp
// here, because pion would drop Opus for PCMU when a client's parameters differ
// from ours; [localSDP] writes the true ones.
func mediaEngine() (*pion.MediaEngine, error) {
	m := &pion.MediaEngine{}
	audio := []pion.RTPCodecParameters{
		codec(pion.MimeTypeOpus, 48000, 2, "", ptOpus),
		codec(pion.MimeTypePCMU, 8000, 0, "", ptPCMU),
		codec(pion.MimeTypePCMA, 8000, 0, "", ptPCMA),
		codec(mimeEvent, 48000, 0, "0-16", ptEvent48),
		codec(mimeEvent, 8000, 0, "0-16", ptEvent8),
	}
	video := []pion.RTPCodecParameters{
		codec(pion.MimeTypeVP8, 90000, 0, "", ptVP8),
		// RFC 6184: constrained baseline, level 3.1, non-interleaved.
		codec(pion.MimeTypeH264, 90000, 0,
			"level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f", ptH264),
	}
	for _, c := range audio {
		if err := m.RegisterCodec(c, pion.RTPCodecTypeAudio); err != nil {
			return nil, err
		}
	}
	for _, c := range video {
		// RFC 4585 and RFC 5104: repair and keyframe requests; draft-holmer-rmcat: TWCC.
		c.RTCPFeedback = []pion.RTCPFeedback{
			{Type: "nack"}, {Type: "nack", Parameter: "pli"}, {Type: "ccm", Parameter: "fir"}, {Type: pion.TypeRTCPFBTransportCC},
		}
		if err := m.RegisterCodec(c, pion.RTPCodecTypeVideo); err != nil {
			return nil, err
		}
	}
	err := m.RegisterHeaderExtension(pion.RTPHeaderExtensionCapability{URI: twccURI}, pion.RTPCodecTypeVideo)
	return m, err
}

const mimeEvent = "audio/telephone-event"

func codec(mime string, rate uint32, channels uint16, fmtp string, pt pion.PayloadType) pion.RTPCodecParameters {
	return pion.RTPCodecParameters{
		RTPCodecCapability: pion.RTPCodecCapability{MimeType: mime, ClockRate: rate, Channels: channels, SDPFmtpLine: fmtp},
		PayloadType:        pt,
	}
}

// codecOf translates pion's words to ours; NoCodec for what we do not carry.
func codecOf(c pion.RTPCodecCapability) media.Codec {
	_, name, _ := strings.Cut(c.MimeType, "/")
	found, ok := media.ParseCodec(name)
	if !ok {
		return media.NoCodec
	}
	if found != media.TelephoneEvent && int(c.ClockRate) != found.ClockRate() {
		return media.NoCodec
	}
	return found
}

func kindOf(t pion.RTPCodecType) Kind {
	if t == pion.RTPCodecTypeVideo {
		return Video
	}
	return Audio
}

func (k Kind) pion() pion.RTPCodecType {
	if k == Video {
		return pion.RTPCodecTypeVideo
	}
	return pion.RTPCodecTypeAudio
}
