package transcode

import (
	"fmt"
	"sync"
)

// opusDecoder is a Decoder around an engine's state. It stands between so that
// the engine sees only well-formed packets and buffers of the right length.
type opusDecoder struct {
	state  engineDecoder // nil once closed or broken
	pool   *sync.Pool
	rateHz int
}

func newOpusDecoder(e *engine, rateHz int) (Decoder, error) {
	d := &opusDecoder{pool: e.decoders.of(rateHz), rateHz: rateHz}
	if idle, ok := d.pool.Get().(engineDecoder); ok {
		d.state = idle
		return d, nil
	}
	state, err := e.newDecoder(rateHz)
	if err != nil {
		return nil, fmt.Errorf("open %s decoder at %d Hz: %w", e.name, rateHz, err)
	}
	d.state = state
	return d, nil
}

func (d *opusDecoder) Decode(packet []byte, pcm []int16) (samples int, err error) {
	n, err := opusSamples(packet, d.rateHz)
	if err != nil {
		return 0, err
	}
	if n > len(pcm) {
		return 0, fmt.Errorf("opus: %w: %d samples for a packet of %d", ErrShort, len(pcm), n)
	}
	if d.state == nil {
		return 0, ErrClosed
	}
	defer guard(d.drop, &samples, &err)
	if err := d.state.decode(packet, pcm[:n:n]); err != nil {
		return 0, fmt.Errorf("opus: %w: %w", ErrMalformed, err)
	}
	return n, nil
}

// Recover takes the last part of pcm, the frame right before next, from next's
// redundancy. Where more was lost, or there is none, the engine conceals.
func (d *opusDecoder) Recover(next []byte, pcm []int16) (samples int, err error) {
	if _, err := opusUnits(next); err != nil {
		return d.Conceal(pcm)
	}
	early := max(len(pcm)-d.longest(), 0)
	if _, err := d.Conceal(pcm[:early]); err != nil {
		return 0, err
	}
	if err := d.fillable(pcm[early:]); err != nil {
		return 0, err
	}
	defer guard(d.drop, &samples, &err)
	if err := d.state.recover(next, pcm[early:len(pcm):len(pcm)]); err != nil {
		return 0, fmt.Errorf("opus: recover: %w", err)
	}
	return len(pcm), nil
}

func (d *opusDecoder) Conceal(pcm []int16) (samples int, err error) {
	if err := d.fillable(pcm); err != nil {
		return 0, err
	}
	defer guard(d.drop, &samples, &err)
	for at := 0; at < len(pcm); {
		end := min(at+d.longest(), len(pcm))
		if err := d.state.conceal(pcm[at:end:end]); err != nil {
			return 0, fmt.Errorf("opus: conceal: %w", err)
		}
		at = end
	}
	return len(pcm), nil
}

func (d *opusDecoder) Close() {
	if d.state != nil && d.state.reset() {
		d.pool.Put(d.state)
	}
	d.state = nil
}

// longest is the length of sound in samples that an engine is asked to invent
// at once: 60 ms, the longest frame that redundancy can stand for.
func (d *opusDecoder) longest() int { return d.rateHz * 60 / 1000 }

// fillable tells whether an engine can invent the sound for pcm.
func (d *opusDecoder) fillable(pcm []int16) error {
	if d.state == nil {
		return ErrClosed
	}
	if len(pcm)%(d.rateHz/400) != 0 {
		return fmt.Errorf("opus: %w: %d samples are no multiple of 2.5 ms", ErrLength, len(pcm))
	}
	return nil
}

// drop forgets a state that is not to be trusted any more.
func (d *opusDecoder) drop() { d.state = nil }
