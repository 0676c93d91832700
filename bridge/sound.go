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
	at     int64  // position on the source's timeline, in ticks
	late   int    // ticks at its start that somebody has heard a stand-in for
	lost   int    // packets missing before it
	origin origin // received, or what stands in for it
	spare  bool   // it comes from a later packet: RED, or in-band redundancy
	marker bool

	other []int16 // the same at the other rate, once somebody has asked for it
	seams *seams  // what other is to be faded from; nil: nothing
}

// converter makes a source's sound available at the other rate. It costs
// nothing until somebody asks.
type converter struct {
	nextUp, nextDown int64 // positions at which the past of both is of use
	room             lazy[converterRoom]
}

type converterRoom struct {
	up   transcode.Upsampler
	down transcode.Downsampler
	pcm  [2 * longestPacket]int16
}

// at returns d at a rate. The slice is good until the next sound.
func (c *converter) at(d *sound, rateHz int) []int16 {
	if d.rateHz == rateHz {
		return d.pcm
	}
	if d.other == nil {
		d.other = c.warm(d)
		if d.seams != nil {
			d.seams.fade(d.other[d.late*times(rateHz):], rateHz)
		}
	}
	return d.other
}

// warm takes sound to the rate that it does not have.
func (c *converter) warm(d *sound) []int16 {
	r, again, next := c.room.get(), c.warmFor(d), d.at+int64(len(d.pcm)/times(d.rateHz))
	if d.rateHz == media.NarrowbandHz {
		if c.nextUp = next; !again {
			r.up.Reset()
		}
		return r.pcm[:r.up.Process(d.pcm, r.pcm[:])]
	}
	if c.nextDown = next; !again {
		r.down.Reset()
	}
	return r.pcm[:r.down.Process(d.pcm, r.pcm[:])]
}

// warmFor reports whether the sound before d has been converted too.
func (c *converter) warmFor(d *sound) bool {
	if d.rateHz == media.NarrowbandHz {
		return d.at == c.nextUp
	}
	return d.at == c.nextDown
}
