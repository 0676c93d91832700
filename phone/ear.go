package phone

import (
	"slices"
	"sync"
	"time"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/rtp"
	"github.com/roomline/roomline/transcode"
)

// How a late packet is waited for when one is missing.
const (
	reorderMost = 16
	reorderWait = 100 * time.Millisecond
)

// A peer whose clock disagrees with arrival by more than this has begun a new
// one: what it sends is placed by arrival.
const strayClock = 2 * time.Second

// afterHold is how long after a hold a gap is nobody's fault.
const afterHold = time.Second

// Gaps counts interruptions of what was heard, by RTP time: stretches without
// sound between two packets, for which nobody asked by hold or digits.
type Gaps struct {
	Count   int
	Longest time.Duration
	Total   time.Duration
	Pause   time.Duration // the longest time between two arrivals, holds apart
}

// Ear hears one stream of sound: it puts packets in order, decodes them and
// writes the sound where its timestamp says. Every Call has one; others may be
// made for what a browser's track receives. Its methods are safe for concurrent
// use; Packet is called in order of arrival.
type Ear struct {
	keep int // samples

	mu       sync.Mutex
	order    *rtp.Reorder
	decoders map[media.Codec]transcode.Decoder
	frame    []int16

	begun     time.Time // arrival of the first packet
	timestamp uint32    // of the packet before
	position  int       // its place
	end       int       // the place behind it
	last      time.Time // its arrival
	pcm       []int16
	came      ring
	onsets    onsets

	gaps    Gaps
	held    bool
	free    time.Time // no gap counts before
	digit   bool      // a key was pressed since the packet before
	comfort bool      // the packet before was comfort noise
}

// NewEar makes an Ear that keeps up to keep of sound.
func NewEar(keep time.Duration) *Ear {
	return &Ear{keep: samplesIn(keep), order: rtp.NewReorder(reorderMost, reorderWait),
		decoders: map[media.Codec]transcode.Decoder{}, frame: make([]int16, 8*maxFrame)}
}

// Packet takes a packet as it arrived, G.711 or Opus; Arrived must be set.
func (e *Ear) Packet(p *media.Packet) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.last.IsZero() && !e.excusedLocked(p.Arrived) && !e.digit && !e.comfort {
		e.gaps.Pause = max(e.gaps.Pause, p.Arrived.Sub(e.last))
	}
	e.last = p.Arrived
	e.order.Push(p, e.place)
	e.order.Flush(p.Arrived, e.place)
}

// place decodes a packet and puts its sound into its place; mu is held.
func (e *Ear) place(p *media.Packet, lost int) {
	e.locate(p)
	if p.Codec == media.ComfortNoise {
		e.comfort = true
		return
	}
	n := e.decode(p)
	if n == 0 {
		return
	}
	e.judgeGap(p, lost)
	e.comfort = false
	e.came.add(Packet{SequenceNumber: p.SequenceNumber, Timestamp: p.Timestamp, At: p.Arrived, Position: e.position})
	e.onsets.push(e.frame[:n], p.Arrived)
	e.write(e.position, e.frame[:n])
	e.end = max(e.end, e.position+n)
}

// locate finds the packet's place: by its timestamp, or by its arrival when the
// peer's clock has jumped.
func (e *Ear) locate(p *media.Packet) {
	if e.begun.IsZero() {
		e.begun, e.timestamp = p.Arrived, p.Timestamp
		return
	}
	scale := int32(max(p.Codec.ClockRate(), media.NarrowbandHz) / media.NarrowbandHz)
	position := e.position + int(int32(p.Timestamp-e.timestamp)/scale)
	byArrival := samplesIn(p.Arrived.Sub(e.begun))
	if off := position - byArrival; off > samplesIn(strayClock) || off < -samplesIn(strayClock) {
		position = max(byArrival, e.end)
		e.onsets.interrupt()
	}
	e.position, e.timestamp = max(0, position), p.Timestamp
}

// decode writes the packet's sound to frame.
func (e *Ear) decode(p *media.Packet) int {
	d := e.decoders[p.Codec]
	if d == nil {
		var err error
		if d, err = transcode.NewDecoder(p.Codec, media.NarrowbandHz); err != nil {
			return 0
		}
		e.decoders[p.Codec] = d
	}
	n, err := d.Decode(p.Payload, e.frame)
	if err != nil {
		return 0
	}
	return n
}

// judgeGap counts the silence before a packet, if somebody must answer for it.
func (e *Ear) judgeGap(p *media.Packet, lost int) {
	missing := e.position - e.end
	asked := e.excusedLocked(p.Arrived) || lost == 0 && (e.digit || e.comfort)
	if missing > 0 {
		e.onsets.interrupt()
		e.digit = false
	}
	if missing <= 0 || asked || e.end == 0 {
		return
	}
	gap := timeOf(missing)
	e.gaps.Count++
	e.gaps.Total += gap
	e.gaps.Longest = max(e.gaps.Longest, gap)
}

// write puts pcm at a place, as far as there is room.
func (e *Ear) write(at int, pcm []int16) {
	n := min(len(pcm), e.keep-at)
	if n <= 0 {
		return
	}
	if more := at + n - len(e.pcm); more > 0 {
		e.pcm = append(e.pcm, make([]int16, more)...)
	}
	copy(e.pcm[at:], pcm[:n])
}

// Close places what was still waited behind and gives the decoders back. What was
// heard stays.
func (e *Ear) Close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.order.Flush(e.last.Add(2*reorderWait), e.place)
	for _, d := range e.decoders {
		d.Close()
	}
	clear(e.decoders)
}

// excuse tells that a hold begins or ends: its gaps are nobody's fault.
func (e *Ear) excuse(held bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.held && !held {
		e.free = time.Now().Add(afterHold)
	}
	e.held = held
}

func (e *Ear) excusedLocked(now time.Time) bool { return e.held || now.Before(e.free) }

// Onsets returns when sound began after a silence: the arrival of the packet that
// holds the onset, plus the onset's place in it. At most 1024, oldest first.
func (e *Ear) Onsets() []time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.onsets.times)
}

// keyPressed tells that packets of a key stand in place of sound.
func (e *Ear) keyPressed() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.digit = true
}

// Heard returns a copy of what was heard, 8 kHz mono, placed by RTP time from the
// first packet on; what did not come is silence.
func (e *Ear) Heard() []int16 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.pcm)
}

// HeardFrom is [Ear.Heard] without its first samples; from 0 on.
func (e *Ear) HeardFrom(sample int) []int16 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.pcm[min(sample, len(e.pcm)):])
}

// Since is when the first packet came; zero before it.
func (e *Ear) Since() time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.begun
}

// Arrivals returns the newest packets, oldest first, at most 4096.
func (e *Ear) Arrivals() []Packet {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.came.list()
}

// Gaps returns the interruptions so far.
func (e *Ear) Gaps() Gaps {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.gaps
}
