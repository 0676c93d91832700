package bridge

import (
	"time"

	"github.com/roomline/roomline/media"
)

// The bounds of a playout buffer.
const (
	playoutSize   = 8192 // samples, a power of two: 1.024 s of narrowband sound
	playoutLowest = 10 * time.Millisecond
	playoutMost   = 200 * time.Millisecond
	playoutWindow = 100 // beats over which the spare depth is watched: 2 s
)

// playout is the jitter buffer of the mixed road: decoded sound of one source,
// narrowband or wideband as it comes, written where its timestamps say and taken by the beat in frames.
// Its depth follows the jitter: an underrun deepens it, two seconds of spare
// depth make it shallower again by cutting out one pitch period, so that a
// single stall leaves nothing behind. It is guarded by its Source's mutex.
type playout struct {
	buf    [playoutSize]int16
	times  int   // its rate in units of 8 kHz: 1 or 2
	offset int64 // buffer position minus source position, in samples
	read   int64
	write  int64
	open   bool // somebody mixes this source

	concealed int // samples made up in a row
	spare     int // least depth seen in this window, in samples
	beats     int // of the window so far
}

func (p *playout) depth() int { return int(p.write - p.read) }

// start begins taking at the newest sound: what came before has been heard on
// the direct road.
func (p *playout) start() {
	if p.open {
		return
	}
	p.read, p.open = p.write, true
	p.spare, p.beats, p.concealed = playoutSize, 0, 0
}

func (p *playout) stop() { p.open = false }

// put stores sound of so many times 8 kHz that stands at position at of the
// source's timeline, in ticks. Sound whose time has passed is heard a little
// later rather than dropped, unless the buffer holds more than playoutMost.
func (p *playout) put(at int64, pcm []int16, times int) {
	if p.times != times {
		p.retime(times)
	}
	pos := at*int64(times) + p.offset
	limit := int64(playoutMost.Seconds()*media.NarrowbandHz) * int64(times)
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
	if !p.open { // the direct road carries it; here it is history, for concealment
		p.read = p.write
	}
}

// take fills one frame, with concealment where there is no sound.
func (p *playout) take(frame []int16) {
	n := min(p.depth(), len(frame))
	if n > 0 && p.concealed > 0 {
		p.blend(n)
		p.concealed = 0
	}
	if n < len(frame) {
		p.conceal(len(frame) - n)
	}
	for i := range frame {
		frame[i] = p.at(p.read + int64(i))
	}
	p.read += int64(len(frame))
	p.adapt()
}

func (p *playout) at(pos int64) int16     { return p.buf[pos&(playoutSize-1)] }
func (p *playout) set(pos int64, v int16) { p.buf[pos&(playoutSize-1)] = v }

// Concealment keeps its level until fadeFrom and is silent from fadeTo on, in samples.
const fadeFrom, fadeTo = 480, 960

// conceal adds n samples that repeat the last pitch period, from 60 ms on with a fade to silence.
func (p *playout) conceal(n int) {
	lag := int64(0)
	if p.concealed < fadeTo*p.times {
		lag = int64(p.pitch(p.write))
	}
	for range n {
		p.set(p.write, p.repeated(p.write, lag))
		p.write++
		p.concealed++
	}
}

// repeated is the concealed sample at a position: the one a period before, faded.
func (p *playout) repeated(pos, lag int64) int16 {
	if lag == 0 || p.concealed >= fadeTo*p.times {
		return 0
	}
	v := int(p.at(pos - lag))
	if p.concealed >= fadeFrom*p.times {
		v = v * 250 / 256 // compounds with every period
	}
	return int16(v)
}

// blend fades over 5 ms from where concealment had got to into what came after
// all, the n samples at read.
func (p *playout) blend(n int) {
	if p.concealed >= fadeTo*p.times {
		return
	}
	n = min(joinSamples*p.times, n)
	lag := int64(p.pitch(p.read))
	var old [2 * joinSamples]int
	for i := range n {
		old[i] = int(p.at(p.read + int64(i)%lag - lag))
	}
	for i := range n {
		pos := p.read + int64(i)
		p.set(pos, int16((old[i]*(n-i)+int(p.at(pos))*i)/n))
	}
}

// pitch finds the lag, 2.5 to 15 ms, at which the sound before a position
// repeats itself best. It looks at 8 kHz of it.
func (p *playout) pitch(before int64) int {
	const least, most, span = 20, 120, 160
	var h [most + span]float64
	for i := range h {
		h[i] = float64(p.at(before - int64((len(h)-i)*p.times)))
	}
	best, bestScore := most, 0.0
	for lag := least; lag <= most; lag++ {
		var cross, energy float64
		for i := most; i < len(h); i += 2 {
			cross += h[i] * h[i-lag]
			energy += h[i-lag] * h[i-lag]
		}
		if cross > 0 && energy > 0 {
			if score := cross * cross / energy; score > bestScore {
				best, bestScore = lag, score
			}
		}
	}
	return best * p.times
}

// retime changes the rate of what is buffered, and of the past that concealment
// looks at. It happens when a listener with another rate comes or goes; straight
// lines between samples are good enough for these few milliseconds.
func (p *playout) retime(times int) {
	was := *p
	past := 2 * longestPacket
	p.times = times
	p.write = int64(past+was.depth()/was.times) * int64(times)
	p.read = int64(past * times)
	p.offset = p.write - (was.write-was.offset)/int64(was.times)*int64(times)
	for pos := range p.write {
		from := was.write - (p.write-pos)*int64(was.times)/int64(times)
		v := was.at(from)
		if times > was.times && (p.write-pos)%2 == 1 {
			v = int16((int(was.at(from)) + int(was.at(from-1))) / 2)
		} else if times < was.times {
			v = int16((int(was.at(from)) + int(was.at(from+1))) / 2)
		}
		p.set(pos, v)
	}
	p.concealed, p.spare = p.concealed*times/was.times, playoutSize
}

// adapt shortens the buffer when it held more than it needed for a whole window.
func (p *playout) adapt() {
	p.spare = min(p.spare, p.depth())
	if p.beats++; p.beats < playoutWindow {
		return
	}
	slack := p.spare - int(playoutLowest.Seconds()*media.NarrowbandHz)*p.times
	p.spare, p.beats = playoutSize, 0
	if slack >= 20*p.times {
		p.cut(slack)
	}
}

// cut drops at most slack samples, a whole number of pitch periods where the
// sound repeats, joined by a cross-fade.
func (p *playout) cut(slack int) {
	fade := 80 * p.times
	lag := p.pitch(p.read)
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
	lag := int64(p.pitch(p.write))
	for i := range pcm {
		pos := p.read + int64(i)
		if over := pos - p.write; over >= 0 {
			pos = p.write + over%lag - lag
		}
		pcm[i] = p.at(pos)
	}
}
