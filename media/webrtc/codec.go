package webrtc

import (
	"fmt"
	"slices"
	"strings"

	pion "github.com/pion/webrtc/v4"

	"github.com/roomline/roomline/media"
)

// Payload types that we offer; in answers those of the offer hold. They are the
// ones that browsers use, which makes traces easy to read.
const (
	ptPCMU    = 0
	ptPCMA    = 8
	ptRED     = 63
	ptVP8     = 96
	ptH264    = 102
	ptEvent48 = 110
	ptOpus    = 111
	ptEvent8  = 126
)

// DefaultAudio are the codecs of sound that are offered where nothing else is
// said, best first.
var DefaultAudio = []media.Codec{media.Opus, media.PCMU, media.PCMA}

// redundant is what a payload type means that wraps Opus, RFC 2198. It stays in
// this package: what leaves it is Opus.
const redundant media.Codec = 0xff

// audioFormats are the formats of a codec. Opus has no fmtp here, because pion
// would drop Opus for PCMU when a client's parameters differ from ours, nor has
// RED; [localSDP] writes the true ones.
func audioFormats(c media.Codec, red bool) []pion.RTPCodecParameters {
	switch c {
	case media.PCMU:
		return []pion.RTPCodecParameters{codec(pion.MimeTypePCMU, 8000, 0, "", ptPCMU)}
	case media.PCMA:
		return []pion.RTPCodecParameters{codec(pion.MimeTypePCMA, 8000, 0, "", ptPCMA)}
	case media.Opus:
		opus := []pion.RTPCodecParameters{codec(pion.MimeTypeOpus, 48000, 2, "", ptOpus)}
		if red {
			opus = append(opus, codec(mimeRED, 48000, 2, "", ptRED))
		}
		return opus
	}
	return nil
}

// mediaEngine registers what the gateway carries: sound in the codecs given, best
// first, with redundancy or not, then digits and pictures.
func mediaEngine(sound []media.Codec, red bool) (*pion.MediaEngine, error) {
	m := &pion.MediaEngine{}
	var audio []pion.RTPCodecParameters
	for _, c := range sound {
		formats := audioFormats(c, red)
		if formats == nil {
			return nil, fmt.Errorf("%s is no codec for browsers: expected opus, PCMU or PCMA", c)
		}
		audio = append(audio, formats...)
	}
	if slices.Contains(sound, media.Opus) {
		audio = append(audio, codec(mimeEvent, 48000, 0, "0-16", ptEvent48))
	}
	audio = append(audio, codec(mimeEvent, 8000, 0, "0-16", ptEvent8))
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

const (
	mimeEvent = "audio/telephone-event"
	mimeRED   = "audio/red"
)

func codec(mime string, rate uint32, channels uint16, fmtp string, pt pion.PayloadType) pion.RTPCodecParameters {
	return pion.RTPCodecParameters{
		RTPCodecCapability: pion.RTPCodecCapability{MimeType: mime, ClockRate: rate, Channels: channels, SDPFmtpLine: fmtp},
		PayloadType:        pt,
	}
}

// codecOf translates pion's words to ours; NoCodec for what we do not carry.
func codecOf(c pion.RTPCodecCapability) media.Codec {
	if strings.EqualFold(c.MimeType, mimeRED) && c.ClockRate == uint32(media.Opus.ClockRate()) {
		return redundant
	}
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
