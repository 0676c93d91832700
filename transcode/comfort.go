package transcode

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// The measures of comfort noise (RFC 3389). Its sound changes in steps of
// noiseStep samples at 8 kHz; each goes noisePace of what is left of the way to
// what the newest description says, nine tenths of it in 50 ms.
const (
	noiseOrder  = 12 // reflection coefficients in use; further ones are taken for zero
	noiseStep   = 40
	noisePace   = 0.2
	hushDBov    = 70 // of a ComfortNoise that nobody has told anything, in -dBov
	loudest     = 32768.0
	sidUnits    = 32768.0 / 258 // RFC 3389 section 3.2: k = 258 (N - 127) / 32768
	sidZero     = 127
	sidGreatest = 254
)

// ComfortNoise makes background noise out of what the far end says of it in
// silence insertion descriptors (RFC 3389). The zero value is ready and makes a
// faint noise of -70 dBov. It allocates nothing and one goroutine uses it at a
// time.
//
// The filter is a normalised lattice: each stage turns two signals of power 1 by
// an angle, so that the noise has its level from the first sample on, however
// sharp the spectrum is and however it changes.
type ComfortNoise struct {
	told, begun bool
	want, now   hiss
	slope       float64             // of now.amplitude, per sample
	cosine      [noiseOrder]float64 // of each stage's angle, whose sine is now.shape
	order       int                 // stages that have anything to do
	past        [noiseOrder]float64
	seed        uint32
	left        int // samples of the step under way
	wide        Upsampler
}

// hiss is how noise sounds: its RMS in units of 16-bit PCM, and its reflection
// coefficients, in the sign of the polynomial 1 + Σ a z⁻ⁱ, as other endpoints have
// it: noise of low pitch has a negative first one.
type hiss struct {
	amplitude float64
	shape     [noiseOrder]float64
}

// Update takes a payload of comfort noise, RFC 3389 section 3: the level in
// -dBov, 0 to 127, and any number of quantised reflection coefficients, of which
// the first twelve count. An error wraps ErrMalformed and changes nothing. sid is
// not kept.
func (c *ComfortNoise) Update(sid []byte) error {
	if len(sid) == 0 {
		return fmt.Errorf("comfort noise: %w: empty", ErrMalformed)
	}
	if sid[0] > 127 {
		return fmt.Errorf("comfort noise: %w: level %d, want 0 to 127", ErrMalformed, sid[0])
	}
	for i, n := range sid[1:] {
		if n > sidGreatest {
			return fmt.Errorf("comfort noise: %w: reflection coefficient %d is %d, want 0 to %d", ErrMalformed, i+1, n, sidGreatest)
		}
	}
	c.tell(float64(sid[0]), sid[1:])
	return nil
}

// Fill writes noise at 8 kHz over all of pcm. A new description is approached
// within some 50 ms, the first one at once.
func (c *ComfortNoise) Fill(pcm []int16) {
	for len(pcm) > 0 {
		if c.left == 0 {
			c.step()
		}
		n := min(c.left, len(pcm))
		c.draw(pcm[:n])
		c.left -= n
		pcm = pcm[n:]
	}
}

// FillWide is Fill at 16 kHz: the same noise, with nothing above 4 kHz, where no
// description says anything. len(pcm) is even. A stream takes either of the two.
func (c *ComfortNoise) FillWide(pcm []int16) {
	var narrow [halfBlock]int16
	for len(pcm) > 1 {
		n := min(len(pcm)/2, halfBlock)
		c.Fill(narrow[:n])
		pcm = pcm[c.wide.Process(narrow[:n], pcm):]
	}
}

// tell sets what the sound shall become.
func (c *ComfortNoise) tell(level float64, indices []byte) {
	c.told = true
	c.want = hiss{amplitude: loudest * math.Pow(10, -level/20)}
	for i, n := range indices[:min(len(indices), noiseOrder)] {
		c.want.shape[i] = (float64(n) - sidZero) / sidUnits
	}
}

// step goes a part of the way to what was told.
func (c *ComfortNoise) step() {
	if !c.begun {
		c.begin()
	}
	c.order = 0
	for i, k := range c.want.shape {
		at := c.now.shape[i] + noisePace*(k-c.now.shape[i])
		if math.Abs(at) < 1e-4 {
			at = 0
		} else {
			c.order = i + 1
		}
		c.now.shape[i], c.cosine[i] = at, math.Sqrt(1-at*at)
	}
	c.slope = noisePace * (c.want.amplitude - c.now.amplitude) / noiseStep
	c.left = noiseStep
}

// begin starts at what was told, with a filter that has rung in.
func (c *ComfortNoise) begin() {
	if !c.told {
		c.tell(hushDBov, nil)
	}
	c.begun, c.now, c.seed = true, c.want, rand.Uint32()
	for i := range c.past {
		c.past[i] = c.random()
	}
}

// draw writes noise through the filter.
func (c *ComfortNoise) draw(pcm []int16) {
	shape, cosine, past := c.now.shape[:c.order], c.cosine[:c.order], c.past[:c.order]
	for i := range pcm {
		sound := c.random()
		for j := len(past) - 1; j >= 0; j-- {
			later := cosine[j]*past[j] + shape[j]*sound
			sound = cosine[j]*sound - shape[j]*past[j]
			if j+1 < len(past) {
				past[j+1] = later
			}
		}
		if len(past) > 0 {
			past[0] = sound
		}
		c.now.amplitude += c.slope
		sound = math.Round(sound * c.now.amplitude)
		pcm[i] = int16(min(max(sound, -loudest), loudest-1))
	}
}

// random is white noise of power 1: the sum of two dice.
func (c *ComfortNoise) random() float64 {
	const deviation = 65536 * 0.40824829046386 // of the sum, √(1/6)
	c.seed = c.seed*1664525 + 1013904223
	mixed := c.seed ^ c.seed>>15
	mixed *= 0x2c1b3c6d
	mixed ^= mixed >> 12
	return (float64(mixed>>16) + float64(mixed&0xffff) - 65535) / deviation
}
