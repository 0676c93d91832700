package transcode

import "github.com/roomline/roomline/media"

// The measures of G.711 concealment in samples at 8 kHz, after ITU-T G.711
// Appendix I; but nothing is held back to be ready for a loss, so that the
// first seam is mended on its far side alone. G.722 at 16 kHz takes twice of each.
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

	widest = 2 // 16 kHz
)

// Concealer hides what one stream of sound lacks. It repeats the last pitch
// period, then the last two and three lest it buzz, fades out within 60 ms, and
// cross-fades into the sound that ends the loss. The zero value is ready for
// 8 kHz. It allocates nothing; one goroutine uses it at a time.
type Concealer struct {
	Wide    bool                       // the stream has 16 kHz; set before the first sound
	history [widest * historyLen]int16 // what was played last, oldest first
	round   repetition
	lost    int // samples played since the loss began; 0 while nothing is lost
}

// times is the stream's rate in units of 8 kHz.
func (c *Concealer) times() int {
	if c.Wide {
		return 2
	}
	return 1
}

// past is the part of history in use.
func (c *Concealer) past() []int16 { return c.history[:c.times()*historyLen] }

// Losing reports whether the last sound was made up.
func (c *Concealer) Losing() bool { return c.lost > 0 }

// Heard takes sound that is there: it mends the seam, in pcm itself, when a loss
// ends here, and remembers the sound.
func (c *Concealer) Heard(pcm []int16) {
	if c.lost > 0 {
		c.resume(pcm)
		c.lost = 0
	}
	c.remember(pcm)
}

// Fill continues the sound over all of pcm.
func (c *Concealer) Fill(pcm []int16) {
	if c.lost == 0 {
		c.round.begin(c.past(), c.times())
	}
	c.continuation(pcm)
	c.remember(pcm)
}

// continuation plays on from where the loss stands.
func (c *Concealer) continuation(pcm []int16) {
	for i := range pcm {
		pcm[i] = 0
		if c.lost < fadeEnd*c.times() {
			pcm[i] = clip(c.round.next() * fade(c.lost/c.times()))
			c.lost++
		}
	}
}

// resume cross-fades from the continuation into the packet that came.
func (c *Concealer) resume(pcm []int16) {
	n := min(max(c.lost*2/5, minResume*c.times()), maxResume*c.times(), len(pcm))
	var tail [widest * maxResume]int16
	c.continuation(tail[:n])
	for i := range n {
		w := float32(i+1) / float32(n+1)
		pcm[i] = clip(w*float32(pcm[i]) + (1-w)*float32(tail[i]))
	}
}

func (c *Concealer) remember(pcm []int16) {
	past := c.past()
	if len(pcm) >= len(past) {
		copy(past, pcm[len(pcm)-len(past):])
		return
	}
	copy(past, past[len(pcm):])
	copy(past[len(past)-len(pcm):], pcm)
}

// repetition plays the end of a recorded history round and round. Each round
// ends in a cross-fade into what came before the start of the next one, so that
// the only seam it does not blend is the first; there it starts at the level
// where the sound broke off and lets the difference decay.
type repetition struct {
	history [widest * historyLen]int16
	length  int // of history
	seam    int
	pitch   int
	periods int     // in this round
	at      int     // next sample of history
	step    float32 // what is left of the first seam's height
	decay   float32
}

func (r *repetition) begin(history []int16, times int) {
	r.length = copy(r.history[:], history)
	r.seam, r.decay = seamLen*times, 1-2.0/float32(seamLen*times)
	r.pitch, _ = Pitch(history, times, minPitch*times, maxPitch*times)
	r.periods = 1
	r.at = r.length - r.pitch
	r.step = float32(history[r.length-1]) - float32(history[r.length-1-r.pitch])
}

func (r *repetition) next() float32 {
	following := min(r.periods+1, maxPeriods)
	sample := float32(r.history[r.at])
	if left := r.length - r.at; left <= r.seam {
		w := float32(left) / float32(r.seam+1)
		sample = w*sample + (1-w)*float32(r.history[r.at-following*r.pitch])
	}
	sample += r.step
	r.step *= r.decay
	if r.at++; r.at == r.length {
		r.periods = following
		r.at = r.length - following*r.pitch
	}
	return sample
}

// Pitch looks for the lag, least to most samples, at which the end of past
// repeats itself best, and says how alike the two are: 0 to 1, the square of
// their correlation. past holds at least 20 ms and most samples, at most 47 ms;
// times is its rate in units of 8 kHz. It tries every second lag at 8 kHz on every
// second sample first, then the neighbours of the best.
func Pitch(past []int16, times, least, most int) (lag int, likeness float32) {
	var room [widest * historyLen]float32
	sound := room[:len(past)]
	for i, v := range past {
		sound[i] = float32(v)
	}
	window := pitchWindow * times
	best, score := most, float32(0)
	for lag := least; lag <= most; lag += 2 * times {
		if s := correlation(sound, lag, window, 2*times); s > score {
			best, score = lag, s
		}
	}
	coarse, reach := best, 2*times-1
	score = 0
	for lag := max(coarse-reach, least); lag <= min(coarse+reach, most); lag++ {
		if s := correlation(sound, lag, window, times); s > score {
			best, score = lag, s
		}
	}
	energy := float32(1)
	for i := len(sound) - window; i < len(sound); i += times {
		energy += sound[i] * sound[i]
	}
	return best, min(score/energy, 1)
}

// correlation compares the sound's last window of samples with those lag earlier,
// looking at every stride-th: the square of the correlation times the energy of
// the window; 0 for opposites.
func correlation(sound []float32, lag, window, stride int) float32 {
	var cross, energy float32
	for i := len(sound) - window; i < len(sound); i += stride {
		then := sound[i-lag]
		cross += sound[i] * then
		energy += then * then
	}
	if cross <= 0 {
		return 0
	}
	return cross * cross / (energy + 1)
}

// fade is the level after so many samples of loss at 8 kHz: 1, then down to 0 in a line.
func fade(lost int) float32 {
	if lost < fadeStart {
		return 1
	}
	return float32(fadeEnd-lost) / (fadeEnd - fadeStart)
}

func clip(v float32) int16 {
	return int16(min(max(v, -32768), 32767))
}
