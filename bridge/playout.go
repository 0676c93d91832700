package bridge

import (
	"time"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/transcode"
)

const (
	playoutSize = 8192                            // samples, a power of two
	playoutMost = 300 * media.NarrowbandHz / 1000 // ticks: the deepest that it gets
	pauseLeast  = int(activeFor * media.NarrowbandHz / time.Second)
	fadedOut    = 60 * media.NarrowbandHz / 1000 // ticks after which concealment is silent
)

// playout is the jitter buffer of the mixed road: decoded sound of one source,
// narrowband or wideband as it comes, put in where its timestamps say and taken
// out by the beat in frames. Sound goes this way:
//
//	put    appends it at write; what came too late is heard later, not dropped
//	adapt  makes what waits shorter or longer, towards what the jitter demands (stretch.go)
//	take   reads a frame; what has not come yet is made up
//
// It is guarded by its Source's mutex.
type playout struct {
	buf    [playoutSize]int16 // a ring; before read lies what was heard
	times  int                // its rate in units of 8 kHz: 1 or 2
	offset int64              // buffer position minus source position, in samples
	read   int64
	write  int64
	open   bool // somebody mixes this source
	steady bool // the beat that takes the sound has put it in just before: there is no jitter

	conceal transcode.Concealer // at write
	made    int                 // ticks made up since the last sound, not counted yet
	end     int64               // position of the source where its last sound ended, in ticks
	stretch stretch
	hearing *hearing
}

func (p *playout) depth() int { return int(p.write - p.read) }

// start begins taking at the newest sound: what came before has been heard on
// the direct road.
func (p *playout) start() {
	if p.open {
		return
	}
	p.read, p.open, p.made = p.write, true, 0
	p.stretch.begin()
}

func (p *playout) stop() {
	if p.open {
		p.open = false
		p.hearing.buffer.Store(0)
	}
}

// put stores sound that has arrived now. What stands in for packets is of use at its
// time only; all else is heard, be it late, unless the buffer gets too deep.
func (p *playout) put(d *sound, now time.Time) {
	if n := times(d.rateHz); p.times != n {
		p.retime(n)
	}
	pcm, pos := d.pcm, d.at*int64(p.times)+p.offset
	if d.origin == received {
		p.count(d)
	}
	if d.spare {
		p.stretch.arrivals.rescue(ticksOf(now), d.at)
	} else if d.origin == received {
		p.stretch.packet(ticksOf(now), d.at, int64(len(pcm)/p.times))
	}
	p.end = d.at + int64(len(pcm)/p.times)
	if !p.open { // the direct road carries it; here it is history, for concealment
		p.offset += p.write - pos
		p.append(pcm)
		p.read = p.write
		return
	}
	if d.origin >= concealed {
		if pcm, pos = p.inTime(pcm, pos); len(pcm) == 0 {
			return
		}
	}
	most := playoutMost * int64(p.times)
	if p.steady || pos < p.write || pos > p.write+most { // too late, or another timeline
		p.offset += p.write - pos
		pos = p.write
	}
	p.makeUp(int(pos - p.write)) // a silence on the wire stays one
	p.append(pcm)
	if over := p.write - p.read - most; over > 0 {
		p.cut(int(over))
	}
	if d.origin == received {
		p.hearing.buffer.Store(p.stretch.waits(ticksOf(now), (pos-p.read)/int64(p.times)))
	}
}

// inTime leaves of what stands in for packets what comes in time.
func (p *playout) inTime(pcm []int16, pos int64) ([]int16, int64) {
	if pos > p.write+playoutMost*int64(p.times) {
		return nil, pos
	}
	over := min(max(int(p.write-pos), 0), len(pcm))
	p.made -= min(p.made, over/p.times) // it is counted where it was made, or was a pause
	return pcm[over:], pos + int64(over)
}

// count counts what was made up until d came. A pause on the wire lacks nothing, nor
// does one so long that nobody speaks.
func (p *playout) count(d *sound) {
	if pause := int(d.at - p.end); d.lost == 0 && pause > 0 {
		p.made -= min(p.made, pause)
	}
	if p.made > pauseLeast {
		p.made = 0
	}
	p.hearing.heard.Add(int64(p.made))
	p.hearing.concealed.Add(int64(p.made))
	p.made = 0
}

// take fills one frame, at now, and makes up what has not come.
func (p *playout) take(frame []int16, now time.Time) {
	p.adapt(ticksOf(now), len(frame))
	if lacks := len(frame) - p.depth(); lacks > 0 {
		p.makeUp(lacks)
		p.made += lacks / p.times
	}
	p.copy(frame, p.read)
	p.read += int64(len(frame))
}

// makeUp appends n samples that go on from the last ones and fade to silence.
func (p *playout) makeUp(n int) {
	var pcm [2 * media.FrameSamples]int16
	for n > 0 {
		part := pcm[:min(n, len(pcm))]
		p.conceal.Fill(part)
		p.store(part)
		n -= len(part)
	}
}

// append appends sound; after some that was made up, with a cross-fade.
func (p *playout) append(pcm []int16) {
	if !p.conceal.Losing() {
		p.conceal.Heard(pcm)
		p.store(pcm)
		return
	}
	var own [2 * longestPacket]int16 // pcm is others' too
	n := copy(own[:], pcm)
	p.conceal.Heard(own[:n])
	p.store(own[:n])
}

func (p *playout) at(pos int64) int16     { return p.buf[pos&(playoutSize-1)] }
func (p *playout) set(pos int64, v int16) { p.buf[pos&(playoutSize-1)] = v }

func (p *playout) store(pcm []int16) {
	n := copy(p.buf[p.write&(playoutSize-1):], pcm)
	copy(p.buf[:], pcm[n:])
	p.write += int64(len(pcm))
}

// copy copies what lies from a position on.
func (p *playout) copy(pcm []int16, from int64) {
	n := copy(pcm, p.buf[from&(playoutSize-1):])
	copy(pcm[n:], p.buf[:])
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
	p.conceal = transcode.Concealer{Wide: times > 1}
	var heard [2 * longestPacket]int16
	p.copy(heard[:], p.write-int64(len(heard)))
	p.conceal.Heard(heard[:])
}

// peek copies what take would give next, without taking it.
func (p *playout) peek(pcm []int16) {
	n := min(p.depth(), len(pcm))
	p.copy(pcm[:n], p.read)
	if n < len(pcm) {
		c := p.conceal
		c.Fill(pcm[n:])
	}
}
