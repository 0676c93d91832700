package transcode

import "github.com/thesyncim/gopus"

// gopusEngine is Opus in pure Go.
var gopusEngine = engine{
	name:       "gopus",
	newEncoder: newGopusEncoder,
	newDecoder: newGopusDecoder,
}

// maxPacket is more than one RTP packet ever brings, in bytes. The decoder keeps
// a buffer of that length.
const maxPacket = 4000

type gopusEncoder struct {
	enc    *gopus.Encoder
	rateHz int
}

func newGopusEncoder(rateHz int) (engineEncoder, error) {
	enc, err := gopus.NewEncoder(gopus.EncoderConfig{
		SampleRate: rateHz, Channels: 1, Application: gopus.ApplicationVoIP,
	})
	if err != nil {
		return nil, err
	}
	return &gopusEncoder{enc: enc, rateHz: rateHz}, nil
}

func (e *gopusEncoder) configure(s OpusSettings) error {
	e.enc.SetDTX(s.DTX)
	return firstError(
		e.setLoss(0),
		e.enc.SetBitrate(s.Bitrate),
		e.enc.SetComplexity(s.Complexity),
		e.enc.SetMaxBandwidth(gopusBandwidth(e.rateHz)),
	)
}

func (e *gopusEncoder) setLoss(percent int) error {
	e.enc.SetFEC(percent > 0)
	return e.enc.SetPacketLoss(percent)
}

func (e *gopusEncoder) setBitrate(bitrate int) error { return e.enc.SetBitrate(bitrate) }

func (e *gopusEncoder) encode(pcm []int16, out []byte) (int, error) {
	if e.enc.FrameSize() != len(pcm) {
		if err := e.enc.SetFrameSize(len(pcm)); err != nil {
			return 0, err
		}
	}
	return e.enc.EncodeInt16(pcm, out)
}

// reset lets the encoder hear 40 ms of silence first: Reset of v0.1.2 keeps what
// the high-pass filter, the voice detector and the resampler had heard last, and
// without that the next call would begin with a trace of this one at -45 dBov.
// The next call's bytes are not those of a new encoder, but sound as good.
func (e *gopusEncoder) reset() bool {
	silence, out := make([]int16, e.rateHz/25), make([]byte, minOut)
	e.enc.SetDTX(false) // it has to hear it
	if firstError(e.setLoss(0), e.enc.SetComplexity(0)) != nil {
		return false
	}
	if _, err := e.encode(silence, out); err != nil {
		return false
	}
	e.enc.Reset()
	return true
}

type gopusDecoder struct {
	dec   *gopus.Decoder
	float []float32 // DecodeWithFEC knows no int16
}

func newGopusDecoder(rateHz int) (engineDecoder, error) {
	dec, err := gopus.NewDecoder(gopus.DecoderConfig{
		SampleRate: rateHz, Channels: 1,
		MaxPacketSamples: rateHz * 120 / 1000,
		MaxPacketBytes:   maxPacket,
	})
	if err != nil {
		return nil, err
	}
	return &gopusDecoder{dec: dec, float: make([]float32, rateHz*60/1000)}, nil
}

func (d *gopusDecoder) reset() bool {
	d.dec.Reset()
	return true
}

func (d *gopusDecoder) decode(packet []byte, pcm []int16) error {
	n, err := d.dec.DecodeInt16(packet, pcm)
	return filled(n, pcm, err)
}

func (d *gopusDecoder) recover(next []byte, pcm []int16) error {
	float := d.float[:len(pcm)]
	n, err := d.dec.DecodeWithFEC(next, float, true)
	for i, v := range float[:min(n, len(float))] {
		pcm[i] = clip(v * 32768)
	}
	return filled(n, pcm, err)
}

func (d *gopusDecoder) conceal(pcm []int16) error {
	n, err := d.dec.DecodeInt16(nil, pcm)
	return filled(n, pcm, err)
}

// filled silences what an engine left of pcm, which does not happen as long as
// its idea of a packet's length is ours.
func filled(n int, pcm []int16, err error) error {
	if err == nil && n < len(pcm) {
		clear(pcm[max(n, 0):])
	}
	return err
}

// gopusBandwidth is the widest audio bandwidth that a sampling rate can hold.
func gopusBandwidth(rateHz int) gopus.Bandwidth {
	switch rateHz {
	case 8000:
		return gopus.BandwidthNarrowband
	case 12000:
		return gopus.BandwidthMediumband
	case 16000:
		return gopus.BandwidthWideband
	case 24000:
		return gopus.BandwidthSuperwideband
	}
	return gopus.BandwidthFullband
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
