package bridge

import (
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/transcode"
)

// Sound runs at 8 or at 16 kHz; positions and lengths of packets are counted in
// ticks of 8 kHz at either rate, which is also what G.711 and G.722 count
// their bytes in.

// times is a rate in units of 8 kHz.
func times(rateHz int) int { return rateHz / media.NarrowbandHz }

// wideband reports whether a codec carries more than a telephone's 3.4 kHz.
func wideband(c media.Codec) bool { return c == media.G722 || c == media.Opus }

// rateOf is the rate at which sound goes into or comes out of a codec: Opus
// takes whatever there is.
func rateOf(c media.Codec, wide bool) int {
	if c == media.G722 || c == media.Opus && wide {
		return media.WidebandHz
	}
	return media.NarrowbandHz
}

// sound is decoded sound on its way from a Source.
type sound struct {
	pcm    []int16
	rateHz int
	at     int64 // position on the source's timeline, in ticks
	lost   int   // packets missing before it
	made   bool  // made up for a lost packet
	marker bool

	other []int16 // the same at the other rate, once somebody has asked for it
}

// converter makes a source's sound available at the other rate. It costs
// nothing until somebody asks.
type converter struct {
	up   transcode.Upsampler
	down transcode.Downsampler
	next int64 // position at which its past is of use
	pcm  [2 * longestPacket]int16
}

// at returns d at a rate. The slice is good until the next sound.
func (c *converter) at(d *sound, rateHz int) []int16 {
	if d.rateHz == rateHz {
		return d.pcm
	}
	if d.other == nil {
		if d.at != c.next {
			c.up.Reset()
			c.down.Reset()
		}
		c.next = d.at + int64(len(d.pcm)/times(d.rateHz))
		d.other = c.convert(d.pcm, d.rateHz)
	}
	return d.other
}

// convert takes sound to the rate that it does not have.
func (c *converter) convert(pcm []int16, rateHz int) []int16 {
	if rateHz == media.NarrowbandHz {
		return c.pcm[:c.up.Process(pcm, c.pcm[:])]
	}
	return c.pcm[:c.down.Process(pcm, c.pcm[:])]
}
