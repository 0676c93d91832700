package transcode

import (
	"fmt"

	"github.com/zaf/g711"
)

// law is one of the two companding laws of ITU-T G.711 as tables: expand holds
// the 16-bit value of every code, compress the code of every value by its upper
// bits, which are all that the law looks at.
type law struct {
	name     string
	expand   [256]int16
	compress [1 << compressBits]byte
}

// compressBits is the precision that the µ-law needs; the A-law needs one bit less.
const compressBits = 14

var (
	muLaw = makeLaw("PCMU", g711.EncodeUlawFrame, g711.DecodeUlawFrame)
	aLaw  = makeLaw("PCMA", g711.EncodeAlawFrame, g711.DecodeAlawFrame)
)

func makeLaw(name string, encode func(int16) uint8, decode func(uint8) int16) law {
	l := law{name: name}
	for code := range l.expand {
		l.expand[code] = decode(uint8(code))
	}
	for i := range l.compress {
		l.compress[i] = encode(int16(uint16(i) << (16 - compressBits)))
	}
	return l
}

type g711Decoder struct {
	law     *law
	conceal Concealer
	closed  bool
}

func (d *g711Decoder) Decode(payload []byte, pcm []int16) (int, error) {
	switch {
	case d.closed:
		return 0, ErrClosed
	case len(payload) == 0:
		return 0, fmt.Errorf("%s: %w: empty", d.law.name, ErrMalformed)
	case len(pcm) < len(payload):
		return 0, fmt.Errorf("%s: %w: %d samples for a payload of %d", d.law.name, ErrShort, len(pcm), len(payload))
	}
	pcm = pcm[:len(payload)]
	expand := &d.law.expand
	for i, code := range payload {
		pcm[i] = expand[code]
	}
	d.conceal.Heard(pcm)
	return len(pcm), nil
}

// Recover conceals: a G.711 payload says nothing about the one before it.
func (d *g711Decoder) Recover(_ []byte, pcm []int16) (int, error) { return d.Conceal(pcm) }

func (d *g711Decoder) Conceal(pcm []int16) (int, error) {
	if d.closed {
		return 0, ErrClosed
	}
	d.conceal.Fill(pcm)
	return len(pcm), nil
}

func (d *g711Decoder) Close() { d.closed = true }

type g711Encoder struct {
	law    *law
	closed bool
}

func (e *g711Encoder) Encode(pcm []int16, out []byte) (int, error) {
	switch {
	case e.closed:
		return 0, ErrClosed
	case len(pcm) == 0:
		return 0, fmt.Errorf("%s: %w: empty", e.law.name, ErrLength)
	case len(out) < len(pcm):
		return 0, fmt.Errorf("%s: %w: %d bytes for %d samples", e.law.name, ErrShort, len(out), len(pcm))
	}
	out = out[:len(pcm)]
	compress := &e.law.compress
	for i, sample := range pcm {
		out[i] = compress[uint16(sample)>>(16-compressBits)]
	}
	return len(out), nil
}

func (e *g711Encoder) SetLoss(int) {}

func (e *g711Encoder) Close() { e.closed = true }
