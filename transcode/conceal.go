package transcode

import "github.com/roomline/roomline/media"

// The measures of G.711 concealment in samples at 8 kHz, after ITU-T G.711
// Appendix I; but nothing is held back to be ready for a loss, so that the
// first seam is mended on its far side alone.
const (
	perMillisecond = media.NarrowbandHz / 1000

	minPitch    = 40  // 200 Hz
	maxPitch    = 120 // 66 Hz
	pitchWindow = 160 // compared at each lag
	maxPeriods  = 3   // repeated in one round
	seamLen     = 20  // cross-fade at the end of each round
	historyLen  = maxPeriods*maxPitch + seamLen

	fadeStart = 10 * perMillisecond // full level until here,
	fadeEnd   = 60 * perMillisecond // silence from here
	minResume = 4 * perMillisecond  // cross-fade into the packet that ends a loss,
	maxResume = 10 * perMillisecond // longer after a longer one
)

// concealment hides the lost packets of one 8 kHz stream. It repeats the last
// pitch period, then the last two and three lest it buzz, fades out, and
// cross-fades into the packet that ends the loss. The zero value is ready.
type concealment struct {
	history [historyLen]int16 // what was played last, oldest first
	round   repetition
	lost    int // samples played since the loss began; 0 while nothing is lost
}

// heard takes a decoded packet: it mends the seam when a loss ends here, and
// remembers the sound.
func (c *concealment) heard(pcm []int16) {
	if c.lost > 0 {
		c.resume(pcm)
		c.lost = 0
	}
	c.remember(pcm)
}

// fill continues the sound over all of pcm.
func (c *concealment) fill(pcm []int16) {
	if c.lost == 0 {
		c.round.begin(&c.history)
	}
	c.continuation(pcm)
	c.remember(pcm)
}

// continuation plays on from where the loss stands.
func (c *concealment) continuation(pcm []int16) {
	for i := range pcm {
		pcm[i] = 0
		if c.lost < fadeEnd {
			pcm[i] = clip(c.round.next() * fade(c.lost))
			c.lost++
		}
	}
}

// resume cross-fades from the continuation into the packet that came.
func (c *concealment) resume(pcm []int16) {
	n := min(max(c.lost*2/5, minResume), maxResume, len(pcm))
	var tail [maxResume]int16
	c.continuation(tail[:n])
	for i := range n {
		w := float32(i+1) / float32(n+1)
		pcm[i] = clip(w*float32(pcm[i]) + (1-w)*float32(tail[i]))
	}
}

func (c *concealment) remember(pcm []int16) {
	if len(pcm) >= historyLen {
		copy(c.history[:], pcm[len(pcm)-historyLen:])
		return
	}
	copy(c.history[:], c.history[len(pcm):])
	copy(c.history[historyLen-len(pcm):], pcm)
}

// repetition plays the end of a recorded history round and round. Each round
// ends in a cross-fade into what came before the start of the next one, so that
// the only seam it does not blend is the first; there it starts at the level
// where the sound broke off and lets the difference decay.
type repetition struct {
	history [historyLen]int16
	pitch   int
	periods int     // in this round
	at      int     // next sample of history
	step    float32 // what is left of the first seam's height
}

func (r *repetition) begin(history *[historyLen]int16) {
	r.history = *history
	r.pitch = pitchOf(history)
	r.periods = 1
	r.at = historyLen - r.pitch
	r.step = float32(history[historyLen-1]) - float32(history[historyLen-1-r.pitch])
}

func (r *repetition) next() float32 {
	following := min(r.periods+1, maxPeriods)
	sample := float32(r.history[r.at])
	if left := historyLen - r.at; left <= seamLen {
		w := float32(left) / float32(seamLen+1)
		sample = w*sample + (1-w)*float32(r.history[r.at-following*r.pitch])
	}
	sample += r.step
	r.step *= 1 - 2.0/seamLen
	if r.at++; r.at == historyLen {
		r.periods = following
		r.at = historyLen - following*r.pitch
	}
	return sample
}

// pitchOf returns the lag at which the end of the history repeats itself best:
// every second lag on every second sample first, then the neighbours of the best.
func pitchOf(history *[historyLen]int16) int {
	var sound [historyLen]float32
	for i, v := range history {
		sound[i] = float32(v)
	}
	best, bestScore := maxPitch, float32(0)
	for lag := minPitch; lag <= maxPitch; lag += 2 {
		if s := likeness(&sound, lag, 2); s > bestScore {
			best, bestScore = lag, s
		}
	}
	coarse := best
	bestScore = 0
	for lag := max(coarse-1, minPitch); lag <= min(coarse+1, maxPitch); lag++ {
		if s := likeness(&sound, lag, 1); s > bestScore {
			best, bestScore = lag, s
		}
	}
	return best
}

// likeness is the normalised correlation, squared, of the sound's last
// pitchWindow samples with those lag earlier, looking at every stride-th; 0 for
// opposites.
func likeness(sound *[historyLen]float32, lag, stride int) float32 {
	var cross, energy float32
	for i := historyLen - pitchWindow; i < historyLen; i += stride {
		then := sound[i-lag]
		cross += sound[i] * then
		energy += then * then
	}
	if cross <= 0 {
		return 0
	}
	return cross * cross / (energy + 1)
}

// fade is the level after so many samples of loss: 1, then down to 0 in a line.
func fade(lost int) float32 {
	if lost < fadeStart {
		return 1
	}
	return float32(fadeEnd-lost) / (fadeEnd - fadeStart)
}

func clip(v float32) int16 {
	return int16(min(max(v, -32768), 32767))
}
