package transcode

import (
	"fmt"

	"github.com/roomline/roomline/media"
)

// G.722 at 64 kbit/s, ITU-T Recommendation G.722 (09/2012) mode 1: two samples
// at 16 kHz are one byte, 6 bits of the lower band and 2 of the upper one.

// g722Line is the delay line of a quadrature mirror filter, both phases, the
// latest first: even is that of the later sample of a pair. It is written twice,
// so that the last twelve entries always lie in a row.
type g722Line struct {
	even, odd [24]int
	at        int
}

func (l *g722Line) push(even, odd int) {
	if l.at == 0 {
		l.at = 12
	}
	l.at--
	l.even[l.at], l.even[l.at+12] = even, even
	l.odd[l.at], l.odd[l.at+12] = odd, odd
}

// sums filters both phases.
func (l *g722Line) sums() (even, odd int) {
	e, o := l.even[l.at:l.at+12], l.odd[l.at:l.at+12]
	for i, c := range mirror {
		even += c * e[i]
		odd += mirror[11-i] * o[i]
	}
	return even, odd
}

type g722Encoder struct {
	bands  [2]band
	line   g722Line
	closed bool
}

func newG722Encoder() *g722Encoder { return &g722Encoder{bands: newBands()} }

func (e *g722Encoder) Encode(pcm []int16, out []byte) (int, error) {
	n := len(pcm) / 2
	switch {
	case e.closed:
		return 0, ErrClosed
	case n == 0 || len(pcm)%2 != 0:
		return 0, fmt.Errorf("G722: %w: %d samples, want pairs", ErrLength, len(pcm))
	case len(out) < n:
		return 0, fmt.Errorf("G722: %w: %d bytes for %d samples", ErrShort, len(out), len(pcm))
	}
	for i := range n {
		e.line.push(int(pcm[2*i+1]), int(pcm[2*i]))
		even, odd := e.line.sums()
		out[i] = e.high((even-odd)>>14)<<6 | e.low((even+odd)>>14)
	}
	return n, nil
}

// low quantizes one sample of the lower band: QUANTL.
func (e *g722Encoder) low(sample int) byte {
	b := &e.bands[0]
	diff := sat16(sample - b.estimate)
	size, codes := diff, &lowPositive
	if diff < 0 {
		size, codes = -diff-1, &lowNegative
	}
	at, end := 0, len(lowDecision) // the first level above size
	for at < end {
		if mid := (at + end) / 2; size < lowDecision[mid]*b.scale>>12 {
			end = mid
		} else {
			at = mid + 1
		}
	}
	code := codes[at]
	b.hearLow(code)
	return code
}

// high quantizes one sample of the upper band: QUANTH.
func (e *g722Encoder) high(sample int) byte {
	b := &e.bands[1]
	diff, code := sat16(sample-b.estimate), byte(3)
	size := diff
	if diff < 0 {
		size, code = -diff-1, 1
	}
	if size >= highDecision*b.scale>>12 {
		code--
	}
	b.hearHigh(code)
	return code
}

// hearLow adapts the lower band by the upper four bits of a code, INVQAL.
func (b *band) hearLow(code byte) {
	coarse := code >> 2
	diff := b.scale * lowCoarse[coarse] >> 15
	b.rescale(lowStep[coarse], lowLogLimit, lowShift)
	b.adapt(diff)
}

// hearHigh adapts the upper band, INVQAH.
func (b *band) hearHigh(code byte) {
	diff := b.scale * highSound[code] >> 15
	b.rescale(highStep[code], highLogLimit, highShift)
	b.adapt(diff)
}

func (e *g722Encoder) SetLoss(int) {}

func (e *g722Encoder) Close() { e.closed = true }

type g722Decoder struct {
	bands   [2]band
	line    g722Line
	conceal Concealer
	closed  bool
}

func newG722Decoder() *g722Decoder {
	return &g722Decoder{bands: newBands(), conceal: Concealer{Wide: true}}
}

func (d *g722Decoder) Decode(payload []byte, pcm []int16) (int, error) {
	n := 2 * len(payload)
	switch {
	case d.closed:
		return 0, ErrClosed
	case n == 0:
		return 0, fmt.Errorf("%s: %w: empty", media.G722, ErrMalformed)
	case len(pcm) < n:
		return 0, fmt.Errorf("%s: %w: %d samples for a payload of %d", media.G722, ErrShort, len(pcm), len(payload))
	}
	pcm = pcm[:n]
	for i, code := range payload {
		low, high := d.low(code&0x3F), d.high(code>>6)
		d.line.push(low-high, low+high)
		first, second := d.line.sums()
		pcm[2*i], pcm[2*i+1] = int16(sat16(first>>11)), int16(sat16(second>>11))
	}
	d.conceal.Heard(pcm)
	return n, nil
}

func (d *g722Decoder) low(code byte) int {
	b := &d.bands[0]
	sample := limit15(b.estimate + b.scale*lowSound[code]>>15)
	b.hearLow(code)
	return sample
}

func (d *g722Decoder) high(code byte) int {
	b := &d.bands[1]
	sample := limit15(b.estimate + b.scale*highSound[code]>>15)
	b.hearHigh(code)
	return sample
}

// limit15 is block LIMIT: what a band may sound like at most.
func limit15(v int) int { return min(max(v, -16384), 16383) }

// Recover conceals: a G.722 payload says nothing about the one before it.
func (d *g722Decoder) Recover(_ []byte, pcm []int16) (int, error) { return d.Conceal(pcm) }

func (d *g722Decoder) Conceal(pcm []int16) (int, error) {
	if d.closed {
		return 0, ErrClosed
	}
	d.conceal.Fill(pcm)
	return len(pcm), nil
}

func (d *g722Decoder) Close() { d.closed = true }

// Follow makes a G.722 encoder go on from where a G.722 decoder is: what it
// encodes next fits a listener who has heard what d decoded, and last is the end
// of that sound, some 24 samples. G.722 coders adapt on both ends in step, and a
// listener whose decoder is out of step hears a crack. Others are left as they are.
func Follow(e Encoder, d Decoder, last []int16) {
	enc, ok := e.(*g722Encoder)
	dec, also := d.(*g722Decoder)
	if !ok || !also {
		return
	}
	enc.bands = dec.bands
	last = last[max(0, len(last)-24):]
	for i := 0; i+1 < len(last); i += 2 {
		enc.line.push(int(last[i+1]), int(last[i]))
	}
}
