package bridge

import (
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/transcode"
)

// The measures of stretching, in ticks unless they say otherwise.
const (
	stretchLeast = 16  // 2 ms
	stretchMost  = 120 // at once, where there is sound
	stretchWide  = 100 // enough to find the period of any voice in, above 80 Hz
	stretchFade  = 80  // cross-fade at the seam
	stretchRest  = 4   // beats from one change to the next
	stretchHaste = 320 // from so much on beats are not spared

	marginLeast = 2 // that a packet comes before it is needed

	stretchAlike = 0.6 // of 1: sound that repeats itself
	stretchTries = 8   // tries after which sound that does not is changed all the same
	stretchQuiet = 200 // samples below it are as good as silence: -44 dBov
	clockLag     = 60 * media.NarrowbandHz / 1000
)

// stretch knows how much sound a playout buffer ought to hold.
//
// A packet is needed when the beat takes the frame that reaches into it. All
// packets being as late as the jitter demands, slack is how long before that they
// come. Lengthening is of use only by as much as brings a packet into the next
// frame; shortening does no harm until it brings one into the frame before. So the
// depth goes in steps of what packets and frames have in common, 20 ms for
// packets of 20 ms, and without jitter sound waits for the next beat and no longer.
type stretch struct {
	arrivals arrivals
	clock    int64 // when the frame taken last was due
	at       int64 // where the newest packet stands
	grid     int64 // what packets and frames have in common
	rest     int   // beats until the next change
	tries    int   // in vain so far
	wait     int64 // smoothed, in sixteenths
}

func (s *stretch) begin() { s.clock, s.rest, s.tries, s.wait = 0, 0, 0, 0 }

// packet takes note of a packet that arrived now and stands at position at.
func (s *stretch) packet(now, at, length int64) {
	s.arrivals.note(now, at, length)
	s.at, s.grid = at, gcd(length, media.FrameSamples)
}

// waits returns how long packets wait on average, where the newest lies ahead of the
// next frame's start by so much.
func (s *stretch) waits(now, ahead int64) int64 {
	if s.clock == 0 {
		return 0
	}
	wait := 16 * (s.clock + media.FrameSamples + ahead - now)
	if s.wait == 0 {
		s.wait = wait
	}
	s.wait += (wait - s.wait) / 16
	return max(s.wait/16, 0)
}

// tick takes note of a beat. Beats come late, never early: the earliest tell the time.
func (s *stretch) tick(now int64) {
	due := s.clock + media.FrameSamples
	if s.clock == 0 || now-due > clockLag {
		due = now
	}
	s.clock = min(now, due+1)
}

// wants returns by how much to lengthen, or if negative to shorten, what waits
// behind position read of the source, where the frame that is due begins.
func (s *stretch) wants(read int64) int {
	if s.arrivals.n == 0 {
		return 0
	}
	over := (s.at - read) % s.grid // what waits to no use
	if over < 0 {
		over += s.grid
	}
	slack := s.clock - media.FrameSamples - read - s.arrivals.demand() + s.grid - over
	if lacks := marginLeast - slack; lacks > 0 {
		return int((lacks+s.grid-1)/s.grid*s.grid - over)
	}
	spare := slack - 2*marginLeast - s.arrivals.spread()/4
	return -int(over + max(spare, 0)/s.grid*s.grid)
}

// adapt makes what waits longer or shorter by one step, if it has to be, before a
// frame of so many samples is taken.
func (p *playout) adapt(now int64, frame int) {
	s := &p.stretch
	s.tick(now)
	if p.steady {
		return
	}
	if s.rest > 0 {
		s.rest--
		return
	}
	n := s.wants((p.read - p.offset) / int64(p.times))
	done := true
	switch {
	case p.depth() == 0 && p.made >= fadedOut: // a pause: what comes will be heard sooner or later
		p.offset += int64(n * p.times)
	case n <= -stretchLeast:
		done = p.shorten(-n, (p.depth()-frame)/p.times)
	case n > 0:
		done = p.lengthen(min(n, playoutMost-p.depth()/p.times))
	default:
		s.tries = 0
		return
	}
	s.rest = stretchRest
	if n > 0 || n < -stretchHaste {
		s.rest = 1
	}
	if s.tries++; done {
		s.tries = 0
	}
}

// shorten leaves out at most n ticks, of which so many are there: one period where
// the sound repeats itself, any part of a silence.
func (p *playout) shorten(n, there int) bool {
	if n = min(n, there); n < stretchLeast {
		return false
	}
	if silent := p.silent(p.read, n+stretchFade); silent > stretchFade+stretchLeast {
		p.cut((silent - stretchFade) * p.times)
		return true
	}
	lag, ok := p.period(min(n, stretchMost), min(n, stretchMost))
	if ok {
		p.cut(lag)
	}
	return ok
}

// lengthen inserts about n ticks: one period, or any part of a silence.
func (p *playout) lengthen(n int) bool {
	switch {
	case n <= 0 || p.depth() < media.FrameSamples*p.times:
		return false
	case p.silent(p.read, stretchFade) == stretchFade:
		n = min(n, media.FrameSamples)
		if p.silent(p.read-int64(n*p.times), n) < n {
			return false // a word has just ended, and is not to be repeated
		}
		p.insert(n * p.times)
		return true
	}
	lag, ok := p.period(min(max(n, stretchWide), stretchMost), 0)
	if ok {
		p.insert(lag)
	}
	return ok
}

// period returns a length, in samples, after which the sound repeats itself: at most
// so many ticks and, as a period has multiples, at least half of that. It looks up
// to ahead ticks beyond the next frame. Where nothing fits it says ok in the end,
// if there was much to choose from: noise does not mind.
func (p *playout) period(most, ahead int) (lag int, ok bool) {
	var pcm [2 * (stretchMost + media.FrameSamples)]int16
	past := pcm[:(most+media.FrameSamples)*p.times]
	p.copy(past, p.read+int64((ahead-most)*p.times))
	lag, likeness := transcode.Pitch(past, p.times, max(stretchLeast, most/2)*p.times, most*p.times)
	return lag, likeness >= stretchAlike || most >= stretchWide && p.stretch.tries >= stretchTries
}

// silent returns how many of the n ticks from a position on are silent, up to the
// first that is not.
func (p *playout) silent(from int64, n int) int {
	n = min(n*p.times, int(p.write-from))
	for i := range n {
		if v := p.at(from + int64(i)); v > stretchQuiet || v < -stretchQuiet {
			return i / p.times
		}
	}
	return n / p.times
}

// cut leaves out the next n samples, and cross-fades from them to what follows.
func (p *playout) cut(n int) {
	fade := min(stretchFade*p.times, p.depth()-n)
	for i := fade - 1; i >= 0; i-- { // backwards: the two may overlap
		was, pos := int(p.at(p.read+int64(i))), p.read+int64(n+i)
		p.set(pos, int16((was*(fade-i)+int(p.at(pos))*i)/fade))
	}
	p.read += int64(n)
}

// insert repeats the last n samples, with a cross-fade from what would have followed.
func (p *playout) insert(n int) {
	fade := stretchFade * p.times
	for i := range fade {
		was, pos := int(p.at(p.read+int64(i))), p.read+int64(i-n)
		p.set(pos, int16((was*(fade-i)+int(p.at(pos))*i)/fade))
	}
	p.read -= int64(n)
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return max(a, 1)
}
