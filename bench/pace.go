package bench

import (
	"context"
	"sync"
	"time"

	"github.com/roomline/roomline/media"
)

// A beat is cut into slots, so that packets of many streams do not leave in one burst.
const (
	beat            = media.FrameDuration
	slots           = 20
	streamsPerPacer = 800
)

// sender sends its next packet.
type sender interface{ send() }

// pacer makes every stream send one packet each beat, at its own time within
// the beat, by absolute time: being late once does not make it slow.
type pacer struct {
	mu     sync.Mutex
	slots  [slots][]sender
	count  int
	lateMS []float64
}

// add lets s send from its next slot on.
func (p *pacer) add(s sender) {
	p.mu.Lock()
	defer p.mu.Unlock()
	slot := slotOf(p.count)
	p.slots[slot] = append(p.slots[slot], s)
	p.count++
}

// slotOf spreads streams. A call adds two, one for each way: they lie half a beat
// apart, and those of either way fill all slots evenly, as 7 and 20 have no
// common divisor.
func slotOf(stream int) int { return (stream/2*7 + stream%2*slots/2) % slots }

// run paces until ctx ends.
func (p *pacer) run(ctx context.Context) {
	const step = beat / slots
	due := time.Now()
	for slot := 0; ctx.Err() == nil; slot = (slot + 1) % slots {
		time.Sleep(time.Until(due))
		p.sendSlot(slot, due)
		due = due.Add(step)
	}
}

func (p *pacer) sendSlot(slot int, due time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.slots[slot]) == 0 {
		return
	}
	p.lateMS = append(p.lateMS, milliseconds(time.Since(due)))
	for _, s := range p.slots[slot] {
		s.send()
	}
}

// pacers spread streams over several pacers.
type pacers struct {
	list []*pacer
	next int
	wait sync.WaitGroup
	stop context.CancelFunc
}

func startPacers(ctx context.Context, streams int) *pacers {
	ctx, stop := context.WithCancel(ctx)
	ps := &pacers{stop: stop}
	for range (streams + streamsPerPacer - 1) / streamsPerPacer {
		p := new(pacer)
		ps.list = append(ps.list, p)
		ps.wait.Go(func() { p.run(ctx) })
	}
	return ps
}

// add is for one goroutine.
func (ps *pacers) add(s sender) {
	ps.list[ps.next%len(ps.list)].add(s)
	ps.next++
}

// forget drops what was noted about lateness so far.
func (ps *pacers) forget() {
	for _, p := range ps.list {
		p.mu.Lock()
		p.lateMS = p.lateMS[:0]
		p.mu.Unlock()
	}
}

// close stops all and returns by how much packets were late.
func (ps *pacers) close() []float64 {
	ps.stop()
	ps.wait.Wait()
	var late []float64
	for _, p := range ps.list {
		late = append(late, p.lateMS...)
	}
	return late
}

// speaker sends a lane's sound to a transport.
type speaker struct {
	lane   *lane
	to     media.Writer
	packet media.Packet
}

func newSpeaker(l *lane, to media.Writer) *speaker {
	return &speaker{lane: l, to: to, packet: media.Packet{Codec: l.sound.codec, Marker: true, SequenceNumber: 1}}
}

func (s *speaker) send() {
	s.packet.Payload = s.lane.next(time.Now())
	_ = s.to.WritePacket(&s.packet) // what is not sent is missed at the far end
	s.packet.Marker = false
	s.packet.SequenceNumber++
	s.packet.Timestamp += s.lane.sound.ticks()
}
