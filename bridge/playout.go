package bridge

import (
	"time"

	"github.com/roomline/roomline/media"
)

// The bounds of a playout buffer.
const (
	playoutSize   = 8192 // samples, a power of two: 1.024 s
	playoutLowest = 10 * time.Millisecond
	playoutMost   = 200 * time.Millisecond
	playoutWindow = 100 // beats over which the spare depth is watched: 2 s
)

// playout is the jitter buffer of the mixed road: decoded narrowband sound of
// one source, written where its timestamps say and taken by the beat in frames.
// Its depth follows the jitter: an underrun deepens it, two seconds of spare
// depth make it shallower again by cutting out one pitch period, so that a
// single stall leaves nothing behind. It is guarded by its Source's mutex.
type playout struct {
	buf    [playoutSize]int16
	offset int64 // buffer position minus source position
	read   int64
	write  int64
	open   bool // somebody mixes this source

	concealed int        // samples made up in a row
	spare     int        // least depth seen in this window, in samples
	beats     int        // of the window so far
	history   [400]int16 // last sound taken, for concealment
	total     uint64     // samples made up since the start
}

func (p *playout) depth() int { return int(p.write - p.read) }

// start begins taking at the newest sound: what came before has been heard on
// the direct road.
func (p *playout) start() {
	p.read, p.open = p.write, true
	p.spare, p.beats, p.concealed = playoutSize, 0, 0
}

func (p *playout) stop() { p.open = false }

// put stores sound that stands at position at of the source's timeline, in
// samples. Sound whose time has passed is heard a little later rather than
// dropped, unless the buffer holds more than playoutMost.
func (p *playout) put(at int64, pcm []int16) {
	pos := at + p.offset
	limit := int64(playoutMost.Seconds() * media.NarrowbandHz)
	if pos < p.write || pos-p.write > limit || p.depth() == 0 {
		p.offset, pos = p.write-at, p.write
	}
	for p.write < pos { // a silence on the wire stays one
		p.buf[p.write&(playoutSize-1)] = 0
		p.write++
	}
	for _, s := range pcm {
		p.buf[p.write&(playoutSize-1)] = s
		p.write++
	}
	if over := int64(p.depth()) - limit; over > 0 {
		p.read += over
	}
}

// take fills one frame and reports whether any of it is real.
func (p *playout) take(frame []int16) bool {
	n := min(p.depth(), len(frame))
	for i := range n {
		frame[i] = p.buf[(p.read+int64(i))&(playoutSize-1)]
	}
	p.read += int64(n)
	if n > 0 && p.concealed > 0 {
		p.blend(frame[:n])
		p.concealed = 0
	}
	p.remember(frame[:n])
	if n < len(frame) {
		p.conceal(frame[n:])
		p.remember(frame[n:])
	}
	p.adapt()
	return n > 0
}

func (p *playout) remember(pcm []int16) {
	copy(p.history[:], p.history[len(pcm):])
	copy(p.history[len(p.history)-len(pcm):], pcm)
}

// conceal repeats the last pitch period, from 60 ms on with a fade to silence.
func (p *playout) conceal(out []int16) {
	if p.concealed >= fadeTo {
		clear(out)
		return
	}
	lag := p.pitch()
	for i := range out {
		out[i] = p.repeated(lag, i)
		p.concealed++
	}
	p.total += uint64(len(out))
}

// Concealment keeps its level until fadeFrom and is silent from fadeTo on, in samples.
const fadeFrom, fadeTo = 480, 960

func (p *playout) repeated(lag, i int) int16 {
	gain := 256 - 256*max(0, min(p.concealed-fadeFrom, fadeTo-fadeFrom))/(fadeTo-fadeFrom)
	return int16(int(p.history[len(p.history)-lag+i%lag]) * gain / 256)
}

// blend fades over 5 ms from where concealment had got to into what came after all.
func (p *playout) blend(frame []int16) {
	if p.concealed >= fadeTo {
		return
	}
	n, lag := min(40, len(frame)), p.pitch()
	for i := range n {
		frame[i] = int16((int(p.repeated(lag, i))*(n-i) + int(frame[i])*i) / n)
	}
}

// pitch finds the lag, 2.5 to 15 ms, at which the history repeats itself best.
func (p *playout) pitch() int {
	const least, most, span = 20, 120, 160
	h := p.history[:]
	best, bestScore := most, float64(0)
	for lag := least; lag <= most; lag++ {
		var cross, energy float64
		for i := len(h) - span; i < len(h); i += 2 {
			cross += float64(h[i]) * float64(h[i-lag])
			energy += float64(h[i-lag]) * float64(h[i-lag])
		}
		if cross > 0 && energy > 0 {
			if score := cross * cross / energy; score > bestScore {
				best, bestScore = lag, score
			}
		}
	}
	return best
}

// adapt shortens the buffer when it held more than it needed for a whole window.
func (p *playout) adapt() {
	p.spare = min(p.spare, p.depth())
	if p.beats++; p.beats < playoutWindow {
		return
	}
	slack := p.spare - int(playoutLowest.Seconds()*media.NarrowbandHz)
	p.spare, p.beats = playoutSize, 0
	if slack >= 20 {
		p.cut(slack)
	}
}

// cut drops at most slack samples, a whole number of pitch periods where the
// sound repeats, joined by a cross-fade.
func (p *playout) cut(slack int) {
	const fade = 80
	lag := p.pitch()
	n := slack
	if slack >= lag {
		n = slack / lag * lag
	}
	if p.depth() < n+fade {
		n = p.depth() - fade
	}
	if n <= 0 {
		return
	}
	for i := range fade { // sound at read+n+i takes over from sound at read+i
		a := int(p.buf[(p.read+int64(i))&(playoutSize-1)])
		j := (p.read + int64(n+i)) & (playoutSize - 1)
		p.buf[j] = int16((a*(fade-i) + int(p.buf[j])*i) / fade)
	}
	p.read += int64(n)
}

// peek copies what take would give next, without taking it.
func (p *playout) peek(pcm []int16) {
	n := min(p.depth(), len(pcm))
	for i := range n {
		pcm[i] = p.buf[(p.read+int64(i))&(playoutSize-1)]
	}
	if n < len(pcm) && p.concealed < fadeTo {
		lag := p.pitch()
		for i := n; i < len(pcm); i++ {
			pcm[i] = p.repeated(lag, i-n)
		}
	}
}
