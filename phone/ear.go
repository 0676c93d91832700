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

// ear hears one call. It puts packets in order, decodes them and writes the
// sound where its timestamp says.
type ear struct {
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

func newEar(keep time.Duration) *ear {
	return &ear{keep: samplesIn(keep), order: rtp.NewReorder(reorderMost, reorderWait),
		decoders: map[media.Codec]transcode.Decoder{}, frame: make([]int16, 8*maxFrame)}
}

// packet takes a packet as it arrived.
func (e *ear) packet(p *media.Packet) {
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
func (e *ear) place(p *media.Packet, lost int) {
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
func (e *ear) locate(p *media.Packet) {
	if e.begun.IsZero() {
		e.begun, e.timestamp = p.Arrived, p.Timestamp
		return
	}
	position := e.position + int(int32(p.Timestamp-e.timestamp))
	byArrival := samplesIn(p.Arrived.Sub(e.begun))
	if off := position - byArrival; off > samplesIn(strayClock) || off < -samplesIn(strayClock) {
		position = max(byArrival, e.end)
		e.onsets.interrupt()
	}
	e.position, e.timestamp = max(0, position), p.Timestamp
}

// decode writes the packet's sound to frame.
func (e *ear) decode(p *media.Packet) int {
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
func (e *ear) judgeGap(p *media.Packet, lost int) {
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
func (e *ear) write(at int, pcm []int16) {
	n := min(len(pcm), e.keep-at)
	if n <= 0 {
		return
	}
	if more := at + n - len(e.pcm); more > 0 {
		e.pcm = append(e.pcm, make([]int16, more)...)
	}
	copy(e.pcm[at:], pcm[:n])
}

// finish places what was still waited behind and gives the decoders back.
func (e *ear) finish() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.order.Flush(e.last.Add(2*reorderWait), e.place)
	for _, d := range e.decoders {
		d.Close()
	}
	clear(e.decoders)
}

// excuse tells that a hold begins or ends: its gaps are nobody's fault.
func (e *ear) excuse(held bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.held && !held {
		e.free = time.Now().Add(afterHold)
	}
	e.held = held
}

func (e *ear) excusedLocked(now time.Time) bool { return e.held || now.Before(e.free) }

// keyPressed tells that packets of a key stand in place of sound.
func (e *ear) keyPressed() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.digit = true
}

func (e *ear) heard() []int16 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.pcm)
}

func (e *ear) since() time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.begun
}

func (e *ear) arrivals() []Packet {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.came.list()
}

func (e *ear) interruptions() Gaps {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.gaps
}
