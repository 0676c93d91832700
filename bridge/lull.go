package bridge

import (
	"time"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/transcode"
)

const (
	// leastPatience and mostPatience bound how long after its time a packet may
	// still come before something stands in for it towards a phone: a phone's
	// buffer holds 40 to 60 ms, and more where packets often come late.
	leastPatience = 35 * time.Millisecond
	mostPatience  = 90 * time.Millisecond
	// outage is how late packets are after something other than jitter.
	outage = 150 * time.Millisecond
	// forgetLate is how long it takes to forget two thirds of how late packets were.
	forgetLate = 8 * time.Second
)

// lull is a time in which a source's packets do not come, on its direct road: lost
// or late without a sign, or because the sender pauses (Opus in discontinuous
// transmission, comfort noise). Sound stands in for them meanwhile, beat by beat;
// when they come after all, their place is taken. It is guarded by Source.mu.
type lull struct {
	due    time.Time     // when the next packet comes if it is in time
	length time.Duration // of the last packet
	usual  time.Duration // how late packets have come lately
	made   int           // ticks that have stood in since the last packet in time
	end    int64         // position where that packet's sound ended
	lateAt time.Time     // when the last packet came whose place was taken; zero: none did
	debt   int           // ticks by which the timeline has been put off for late packets

	paused  bool // the sender has said that it sends nothing for a while
	comfort bool // and what it sounds like meanwhile
	meter   transcode.NoiseMeter
	noise   transcode.ComfortNoise
	pcm     [2 * media.FrameSamples]int16 // noise
}

// patience is how long after due something has to stand in: not before the packet
// after a lost one can bring its redundancy.
func (l *lull) patience() time.Duration {
	return min(max(leastPatience, max(l.usual, l.length)+15*time.Millisecond), mostPatience)
}

// wake is when that is.
func (l *lull) wake() time.Time { return l.due.Add(l.patience()) }

// learn takes in when a packet of so many ticks at position at came.
func (l *lull) learn(now time.Time, at int64, ticks int) {
	late, step := now.Sub(l.due), lasting(int(at-l.end)+ticks)
	if at != l.end { // a beginning, a loss or a pause
		late = 0
	}
	l.end, l.length = at+int64(ticks), lasting(ticks)
	if l.due.IsZero() {
		l.due = now.Add(l.length)
		return
	}
	l.usual -= l.usual * l.length / forgetLate
	if late > l.usual && late < outage {
		l.usual += (late - l.usual) / 2
	}
	// One late packet does not make the next one late, but all of them do.
	l.due = l.due.Add(step + max(0, late)/8)
	l.due = latest(now, earliest(l.due, now.Add(l.length)))
}

// moved reports whether a packet of so many ticks whose place is taken is one of a
// timeline that has moved, rather than one of a burst after a stall: those follow
// each other faster than they sound. What comes after a pause is never dropped.
func (l *lull) moved(now time.Time, ticks, late int) bool {
	before := l.lateAt
	l.lateAt = now
	return l.paused || late > l.made || !before.IsZero() && now.Sub(before) >= lasting(ticks)*3/4
}

// over ends the lull with a packet that is in time.
func (l *lull) over() { l.made, l.lateAt = 0, time.Time{} }

// lasting is the length of so many ticks.
func lasting(ticks int) time.Duration {
	return time.Duration(ticks) * time.Second / media.NarrowbandHz
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
