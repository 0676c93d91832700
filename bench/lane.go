package bench

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/roomline/roomline/media"
)

// lane is one direction of one call: what went in on one side of the gateway
// and what came out on the other. On the direct road one packet in is one
// packet out, in order; the marks in the sound tell which is which, and between
// two marks that agree the sequence numbers do.
type lane struct {
	sound *sound
	first int // frame of the loop that the lane began with, so that calls differ

	// Of the goroutine that paces.
	sentAt []time.Time // by packet number

	heard media.Codec // what comes out

	// listening is until when the ear is open, Unix nanoseconds: to hear the whole
	// stream would cost more than to send it.
	listening atomic.Int64

	mu    sync.Mutex
	ear   *ear
	got   []arrival
	bytes int
}

// A mark is listened for from earOpen frames before it goes in: enough of the
// silence in front of it for a decoder to settle. Marks that come out later than
// earTime after they went in are not heard.
const (
	earOpen = quietFront - 1
	earTime = 300 * time.Millisecond
)

// arrival is one packet that came out.
type arrival struct {
	sequence int64 // without the wrap at 16 bits
	at       time.Time
	onsetMS  float64 // of the mark that begins in it; -1: none
}

func newLane(s *sound, first int, heard media.Codec, room int) (*lane, error) {
	e, err := newEar(heard)
	if err != nil {
		return nil, err
	}
	return &lane{sound: s, first: first, heard: heard, ear: e, sentAt: make([]time.Time, 0, room), got: make([]arrival, 0, room)}, nil
}

// frame is the payload of packet i, and where a mark begins in it or -1.
func (l *lane) frame(i int) (payload []byte, onsetMS float64) {
	at := (l.first + i) % len(l.sound.frames)
	return l.sound.frames[at], l.sound.onsetMS[at]
}

// next is the payload to send now. It belongs to the goroutine that paces.
func (l *lane) next(now time.Time) []byte {
	i := len(l.sentAt)
	if _, onset := l.frame(i + earOpen); onset >= 0 {
		l.listening.Store(now.Add(earOpen*beat + earTime).UnixNano())
	}
	l.sentAt = append(l.sentAt, now)
	payload, _ := l.frame(i)
	return payload
}

// arrived takes a packet that came out; callbacks of the transports end here.
func (l *lane) arrived(p *media.Packet) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.Codec != l.heard || len(l.got) == cap(l.got) {
		return // comfort noise; or longer than planned: the window is over
	}
	a := arrival{sequence: int64(p.SequenceNumber), at: p.Arrived, onsetMS: -1}
	if n := len(l.got); n > 0 {
		last := l.got[n-1].sequence
		a.sequence = last + int64(int16(p.SequenceNumber-uint16(last)))
	}
	if a.at.IsZero() {
		a.at = time.Now()
	}
	l.bytes += len(p.Payload)
	l.got = append(l.got, a)
	if a.at.UnixNano() > l.listening.Load() {
		l.ear.rest()
		return
	}
	if onset, back, ok := l.ear.hear(p.Payload); ok && back < len(l.got) {
		l.got[len(l.got)-1-back].onsetMS = onset
	}
}

// heardSince reports whether a packet came after t.
func (l *lane) heardSince(t time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.got) > 0 && l.got[len(l.got)-1].at.After(t)
}

// bitrate is that of the payloads that came out, in bit/s; 0 before the first. Packets
// of a call that ends late may still come.
func (l *lane) bitrate() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.got) == 0 {
		return 0
	}
	return l.bytes * 8 * 50 / len(l.got)
}

// finding is what a lane tells about the window.
type finding struct {
	transitMS []float64
	codecMS   []float64 // by mark
	sent      int
	lost      int
	unmatched int
}

// tie says that packets sent as number n came out with sequence n + shift.
type tie struct {
	index int // into got
	shift int64
	codec float64
}

// judge compares what was sent between from and to with what came out. It is
// called when everything has stopped.
func (l *lane) judge(from, to time.Time) finding {
	l.mu.Lock()
	defer l.mu.Unlock()
	var f finding
	within := func(t time.Time) bool { return !t.Before(from) && t.Before(to) }
	ties := l.ties()
	for _, t := range ties {
		if within(l.got[t.index].at) {
			f.codecMS = append(f.codecMS, t.codec)
		}
	}
	came := make([]bool, len(l.sentAt))
	l.match(ties, func(a arrival, number int64, known bool) {
		switch {
		case known && number >= 0 && number < int64(len(l.sentAt)) && !a.at.Before(l.sentAt[number]):
			came[number] = true
			if within(l.sentAt[number]) {
				f.transitMS = append(f.transitMS, milliseconds(a.at.Sub(l.sentAt[number])))
			}
		case within(a.at):
			f.unmatched++
		}
	})
	for i, at := range l.sentAt {
		if within(at) {
			f.sent++
			if !came[i] {
				f.lost++
			}
		}
	}
	f.lost = max(f.lost-f.unmatched, 0) // they did arrive
	return f
}

// ties finds for every mark that came out the last one that had gone in.
func (l *lane) ties() []tie {
	var ties []tie
	next, mark := 0, -1 // packets sent so far, the last of them with a mark
	for i, a := range l.got {
		if a.onsetMS < 0 {
			continue
		}
		for ; next < len(l.sentAt) && l.sentAt[next].Before(a.at); next++ {
			if _, onset := l.frame(next); onset >= 0 {
				mark = next
			}
		}
		if mark < 0 || a.at.Sub(l.sentAt[mark]) > time.Second {
			continue
		}
		_, onset := l.frame(mark)
		ties = append(ties, tie{index: i, shift: a.sequence - int64(mark), codec: a.onsetMS - onset})
	}
	return ties
}

// match numbers every arrival by the ties around it. Where two neighbours
// disagree, the gateway has put in or left out packets in between, and none of
// these is known.
func (l *lane) match(ties []tie, each func(a arrival, number int64, known bool)) {
	next := 0 // the first tie not before i
	for i, a := range l.got {
		for next < len(ties) && ties[next].index < i {
			next++
		}
		switch {
		case len(ties) == 0:
			each(a, 0, false)
		case next == len(ties):
			each(a, a.sequence-ties[next-1].shift, true)
		case next == 0 || ties[next].index == i || ties[next-1].shift == ties[next].shift:
			each(a, a.sequence-ties[next].shift, true)
		default:
			each(a, 0, false)
		}
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
