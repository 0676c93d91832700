// Package transcode turns RTP payloads into PCM and back: G.711 in both laws,
// G.722, and Opus through one of two engines. Opus decodes to and encodes from
// the rate that the road runs at: 8 kHz for everything that a narrowband
// telephone can hear, else 16 kHz. An [Upsampler] and a [Downsampler] join the two.
//
// It owns codec state and its pools, loss concealment, and the reading of
// payload durations. It knows nothing of sequence numbers, clocks or sockets;
// who calls Recover or Conceal has found the gap. It starts no goroutine.
//
// Decoders and encoders are used by one goroutine at a time and allocate
// nothing per packet. No payload, however hostile, makes them panic.
package transcode

import (
	"errors"
	"fmt"

	"github.com/roomline/roomline/media"
)

// Errors that callers tell apart with errors.Is. Those that come back are
// wrapped where there is more to say.
var (
	ErrMalformed = errors.New("malformed payload")
	ErrShort     = errors.New("buffer too short")
	ErrLength    = errors.New("frame length not encodable")
	ErrClosed    = errors.New("codec used after Close")
	ErrEngine    = errors.New("codec engine failed")
)

// Decoder makes mono PCM from the payloads of one stream. It keeps state from
// packet to packet, so that every packet goes through it in order, and every
// missing one through Recover or Conceal. Not safe for concurrent use.
type Decoder interface {
	// Decode writes the sound of payload to the start of pcm and returns its
	// length in samples, which [Samples] tells beforehand. The error wraps
	// ErrMalformed, or ErrShort when pcm is too small; the decoder goes on
	// working with the next payload.
	Decode(payload []byte, pcm []int16) (samples int, err error)
	// Recover fills all of pcm with the sound that was lost right before next:
	// from the redundancy that next carries (Opus in-band FEC), else as Conceal
	// does. Decode(next) follows it.
	Recover(next []byte, pcm []int16) (samples int, err error)
	// Conceal fills all of pcm with a continuation of what was heard that fades
	// to silence. For Opus len(pcm) is a multiple of 2.5 ms.
	Conceal(pcm []int16) (samples int, err error)
	// Close gives the state back to its pool. The Decoder is of no use afterwards.
	Close()
}

// Encoder makes the payloads of one stream from mono PCM. Not safe for
// concurrent use.
type Encoder interface {
	// Encode writes one payload that holds all of pcm to the start of out and
	// returns its length in bytes. Opus takes 10, 20, 40 or 60 ms, G.711 any
	// length, G.722 pairs of samples. The error wraps ErrLength or ErrShort.
	Encode(pcm []int16, out []byte) (n int, err error)
	// SetLoss tells the loss in percent, 0 to 100, that the listeners see.
	// Above 0 Opus spends bits on redundancy. G.711 and G.722 have none.
	SetLoss(percent int)
	// Close gives the state back to its pool. The Encoder is of no use afterwards.
	Close()
}

// MaxPayload is enough room in bytes for any payload that an Encoder of this
// package writes for 60 ms or less.
const MaxPayload = 1500

// NewDecoder makes a decoder of codec whose PCM is mono at rateHz: 8000 for
// G.711; 16000 for G.722; 8000, 12000, 16000, 24000 or 48000 for Opus. Stereo packets come out
// as one channel.
func NewDecoder(codec media.Codec, rateHz int) (Decoder, error) {
	switch {
	case codec == media.PCMU && rateHz == media.NarrowbandHz:
		return &g711Decoder{law: &muLaw}, nil
	case codec == media.PCMA && rateHz == media.NarrowbandHz:
		return &g711Decoder{law: &aLaw}, nil
	case codec == media.G722 && rateHz == media.WidebandHz:
		return newG722Decoder(), nil
	case codec == media.Opus && opusRate(rateHz):
		return newOpusDecoder(opusEngine, rateHz)
	}
	return nil, fmt.Errorf("decode %s at %d Hz: no such road", codec, rateHz)
}

// NewEncoder makes an encoder of codec for mono PCM at rateHz, the rates of
// [NewDecoder]. The settings are for Opus alone; see [DefaultOpus].
func NewEncoder(codec media.Codec, rateHz int, s OpusSettings) (Encoder, error) {
	switch {
	case codec == media.PCMU && rateHz == media.NarrowbandHz:
		return &g711Encoder{law: &muLaw}, nil
	case codec == media.PCMA && rateHz == media.NarrowbandHz:
		return &g711Encoder{law: &aLaw}, nil
	case codec == media.G722 && rateHz == media.WidebandHz:
		return newG722Encoder(), nil
	case codec == media.Opus && opusRate(rateHz):
		return newOpusEncoder(opusEngine, rateHz, s)
	}
	return nil, fmt.Errorf("encode %s at %d Hz: no such road", codec, rateHz)
}

// Samples returns how many samples at rateHz a payload holds, without decoding
// it. An Opus packet's whole framing is checked. The error wraps ErrMalformed.
func Samples(codec media.Codec, payload []byte, rateHz int) (int, error) {
	switch codec {
	case media.PCMU, media.PCMA, media.G722: // G.722 as well has a byte per tick of 8 kHz
		if len(payload) == 0 {
			return 0, fmt.Errorf("%s: %w: empty", codec, ErrMalformed)
		}
		return len(payload) * rateHz / media.NarrowbandHz, nil
	case media.Opus:
		return opusSamples(payload, rateHz)
	}
	return 0, fmt.Errorf("%s carries no sound", codec)
}

// Engine names the Opus implementation that this binary was built with:
// "gopus", or "libopus" with the build tag of that name.
func Engine() string { return opusEngine.name }

func opusRate(rateHz int) bool {
	switch rateHz {
	case 8000, 12000, 16000, 24000, 48000:
		return true
	}
	return false
}
