package transcode

import (
	"fmt"
	"sync"

	"github.com/roomline/roomline/media"
)

// opusEncoder is an Encoder around an engine's state.
type opusEncoder struct {
	state  engineEncoder // nil once closed or broken
	pool   *sync.Pool
	rateHz int
	fec    bool // redundancy is wanted when there is loss
	loss   int
	rate   int // bit/s, of the settings
}

// Opus at 16 kHz has redundancy from about 24.5 kbit/s on, 26 at complexity 0: for
// less it would give up either redundancy or bandwidth. So an encoder that was
// given the usual 24 gets a little more while packets are lost.
const (
	wideBitrate      = 24000
	redundantBitrate = 26000
)

// bitrate is what to encode with at a loss in percent.
func (e *opusEncoder) bitrate(loss int) int {
	if loss > 0 && e.rateHz == media.WidebandHz && e.rate >= wideBitrate {
		return max(e.rate, redundantBitrate)
	}
	return e.rate
}

func newOpusEncoder(e *engine, rateHz int, s OpusSettings) (Encoder, error) {
	s, err := s.check()
	if err != nil {
		return nil, err
	}
	enc := &opusEncoder{pool: e.encoders.of(rateHz), rateHz: rateHz, fec: s.FEC, rate: s.Bitrate}
	state, ok := enc.pool.Get().(engineEncoder)
	if !ok {
		if state, err = e.newEncoder(rateHz); err != nil {
			return nil, fmt.Errorf("open %s encoder at %d Hz: %w", e.name, rateHz, err)
		}
	}
	if err := state.configure(s); err != nil {
		return nil, fmt.Errorf("configure %s encoder: %w", e.name, err)
	}
	enc.state = state
	return enc, nil
}

func (e *opusEncoder) Encode(pcm []int16, out []byte) (n int, err error) {
	switch len(pcm) * 100 {
	case e.rateHz, 2 * e.rateHz, 4 * e.rateHz, 6 * e.rateHz:
	default:
		return 0, fmt.Errorf("opus: %w: %d samples at %d Hz are not 10, 20, 40 or 60 ms", ErrLength, len(pcm), e.rateHz)
	}
	if len(out) < minOut {
		return 0, fmt.Errorf("opus: %w: %d bytes", ErrShort, len(out))
	}
	if e.state == nil {
		return 0, ErrClosed
	}
	defer guard(e.drop, &n, &err)
	n, err = e.state.encode(pcm, out[:len(out):len(out)])
	if err != nil || n == 0 {
		return 0, fmt.Errorf("opus: %w: encode %d samples: %w", ErrEngine, len(pcm), err)
	}
	return n, nil
}

// minOut is the shortest output that every packet of 60 ms at a low bitrate
// fits into; engines squeeze the sound into what they are given.
const minOut = 128

func (e *opusEncoder) SetLoss(percent int) {
	percent = min(max(percent, 0), 100)
	if e.state == nil || !e.fec || percent == e.loss {
		return
	}
	if firstError(e.state.setLoss(percent), e.state.setBitrate(e.bitrate(percent))) == nil {
		e.loss = percent
	}
}

func (e *opusEncoder) Close() {
	if e.state != nil && e.state.reset() {
		e.pool.Put(e.state)
	}
	e.state = nil
}

func (e *opusEncoder) drop() { e.state = nil }
