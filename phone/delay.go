package phone

import (
	"slices"
	"time"

	"github.com/roomline/roomline/media"
)

// An onset is where sound begins after a silence.
const (
	onsetQuiet     = 80 * time.Millisecond // of silence before it
	onsetThreshold = -30.0                 // dBov, of what begins
	onsetSilence   = -45.0                 // dBov, of a frame that counts as silence
	onsetsKept     = 1024
	onsetLook      = 40 // samples that must follow for the decision: 5 ms
)

// onsets finds onsets in a stream of frames and remembers the times of the
// newest. A frame is judged when the next one is there.
type onsets struct {
	times []time.Time
	tail  []int16 // the frame before, not judged to its end yet
	at    time.Time
	quiet int // samples of silence right before tail
}

// push takes the next frame; at is when its packet was sent or came.
func (o *onsets) push(pcm []int16, at time.Time) {
	if len(o.tail) > 0 {
		o.judge(pcm)
	}
	o.tail = append(o.tail[:0], pcm...)
	o.at = at
}

// interrupt forgets the silence so far: the stream does not go on.
func (o *onsets) interrupt() {
	o.tail, o.quiet = o.tail[:0], 0
}

// judge looks for an onset in tail, with the beginning of next behind it.
func (o *onsets) judge(next []int16) {
	n := len(o.tail)
	if media.Level(o.tail) < onsetSilence {
		o.quiet += n
		return
	}
	look := append(o.tail, next[:min(onsetLook, len(next))]...)
	i := media.Onset(look, media.NarrowbandHz, onsetThreshold)
	if i >= 0 && i < n && o.quiet+i >= samplesIn(onsetQuiet) {
		if len(o.times) == onsetsKept {
			o.times = slices.Delete(o.times, 0, onsetsKept/2)
		}
		o.times = append(o.times, o.at.Add(timeOf(i)))
	}
	o.quiet = 0
}

// SaidOnsets returns when sound began after a silence in what this call said,
// see [Mouth.Onsets].
func (c *Call) SaidOnsets() []time.Time { return c.mouth.Onsets() }

// HeardOnsets returns when sound began after a silence in what was heard, see [Ear.Onsets].
func (c *Call) HeardOnsets() []time.Time { return c.ear.Onsets() }

// Delays returns the one-way delay of every burst that one call said and another
// one heard, both in this process: transport, gateway and codecs, without the
// 20 ms that a packet takes to be filled. A burst that was not heard within most,
// or before the next one was said, has no delay here. [Bursts] is what to say.
func Delays(said, heard []time.Time, most time.Duration) []time.Duration {
	var list []time.Duration
	h := 0
	for i, at := range said {
		until := at.Add(most)
		if i+1 < len(said) && said[i+1].Before(until) {
			until = said[i+1]
		}
		for h < len(heard) && heard[h].Before(at) {
			h++
		}
		if h < len(heard) && heard[h].Before(until) {
			list = append(list, heard[h].Sub(at))
			h++
		}
	}
	return list
}
