//go:build libopus

package transcode

import opus "github.com/hraban/opus"

// libopusEngine is the C library through cgo. Its binding passes the capacity
// of slices on, so they come with no more of it than they may be written to.
var libopusEngine = engine{
	name:       "libopus",
	newEncoder: newLibopusEncoder,
	newDecoder: newLibopusDecoder,
}

type libopusEncoder struct {
	enc    *opus.Encoder
	rateHz int
}

func newLibopusEncoder(rateHz int) (engineEncoder, error) {
	enc, err := opus.NewEncoder(rateHz, 1, opus.AppVoIP)
	if err != nil {
		return nil, err
	}
	return &libopusEncoder{enc: enc, rateHz: rateHz}, nil
}

func (e *libopusEncoder) configure(s OpusSettings) error {
	return firstError(
		e.setLoss(0),
		e.enc.SetDTX(s.DTX),
		e.enc.SetBitrate(s.Bitrate),
		e.enc.SetComplexity(s.Complexity),
		e.enc.SetMaxBandwidth(libopusBandwidth(e.rateHz)),
	)
}

func (e *libopusEncoder) setLoss(percent int) error {
	return firstError(e.enc.SetInBandFEC(percent > 0), e.enc.SetPacketLossPerc(percent))
}

func (e *libopusEncoder) setBitrate(bitrate int) error { return e.enc.SetBitrate(bitrate) }

func (e *libopusEncoder) encode(pcm []int16, out []byte) (int, error) {
	return e.enc.Encode(pcm, out)
}

func (e *libopusEncoder) reset() bool { return e.enc.Reset() == nil }

type libopusDecoder struct{ dec *opus.Decoder }

func newLibopusDecoder(rateHz int) (engineDecoder, error) {
	dec, err := opus.NewDecoder(rateHz, 1)
	if err != nil {
		return nil, err
	}
	return &libopusDecoder{dec: dec}, nil
}

// reset refuses: the binding has none for decoders. A new one costs 18 KB.
func (d *libopusDecoder) reset() bool { return false }

func (d *libopusDecoder) decode(packet []byte, pcm []int16) error {
	n, err := d.dec.Decode(packet, pcm)
	return filled(n, pcm, err)
}

func (d *libopusDecoder) recover(next []byte, pcm []int16) error {
	return d.dec.DecodeFEC(next, pcm)
}

func (d *libopusDecoder) conceal(pcm []int16) error { return d.dec.DecodePLC(pcm) }

// libopusBandwidth is the widest audio bandwidth that a sampling rate can hold.
func libopusBandwidth(rateHz int) opus.Bandwidth {
	switch rateHz {
	case 8000:
		return opus.Narrowband
	case 12000:
		return opus.Mediumband
	case 16000:
		return opus.Wideband
	case 24000:
		return opus.SuperWideband
	}
	return opus.Fullband
}
