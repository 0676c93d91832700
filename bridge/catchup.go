package bridge

import (
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/transcode"
)

// catchUp brings those who hear decoded sound to position at, where the next
// packet stands: it fills what is missing before it. It returns where the packet
// stands after all, and how many ticks of it come too late.
func (s *Source) catchUp(f *fanout, p *media.Packet, at int64, ticks, lost int) (from int64, late int) {
	l := &s.lull
	l.paused = l.paused || l.made > 0 && lost == 0 && at > l.end // not announced, but time went on
	l.learn(s.now, at, ticks)
	if l.made > 0 && at < s.next {
		if late = int(s.next - at); l.moved(s.now, ticks, late) {
			at, late = s.putOff(at, late), 0
		}
	}
	if gap := at - s.next; gap > 0 && (lost > 0 || l.made > 0 || l.paused) {
		at = s.putOff(at, -int(min(gap, int64(l.debt))))
		s.mend(f, p.Payload, at, int(min(at-s.next, longestMend)), lost > 0)
	}
	if l.made > 0 && !s.seams.open && (late > 0 || s.decodes != media.Opus) {
		s.seam()
	}
	if lost > 0 { // what stood in was not a pause
		s.hearing.hear(max(0, l.made-late), concealed)
		l.made = min(l.made, late)
	}
	if late < ticks {
		l.over()
	}
	l.paused, l.comfort = p.Codec == media.Opus && len(p.Payload) <= dtxMost, false
	return at, late
}

// mend makes up the last gap ticks before position at: what the next payload has
// redundancy for is recovered from it, what lies before that is made up.
func (s *Source) mend(f *fanout, next []byte, at int64, gap int, lost bool) {
	spare, how := 0, s.lull.origin()
	if lost {
		spare = transcode.Redundancy(s.decodes, next, media.NarrowbandHz)
	}
	if spare-gap > s.lull.made { // that frame is not the one that was lost
		spare = 0
	}
	for s.next = at - int64(gap); s.next < at-int64(spare); {
		if !s.makeUp(f, int(min(at-int64(spare)-s.next, media.FrameSamples)), how) {
			break
		}
	}
	if spare > 0 {
		s.restore(f, next, at, spare, max(0, spare-gap))
	}
	s.next = at
}

// restore sends on the spare ticks before position at, whose first late ticks
// have had a stand-in, from the redundancy in the next payload.
func (s *Source) restore(f *fanout, next []byte, at int64, spare, late int) {
	if late > 0 {
		s.seam()
	}
	pcm := s.pcm[:spare*times(s.rateHz)]
	if _, err := s.decoder.Recover(next, pcm); err == nil {
		s.hearing.hear(spare-late, recovered)
		s.deliver(f, &sound{pcm: pcm, rateHz: s.rateHz, at: at - int64(spare), late: late, origin: recovered, spare: true})
	}
}

// putOff moves the timeline, so that the packet at position at stands so many
// ticks later.
func (s *Source) putOff(at int64, ticks int) int64 {
	s.clock.move(ticks)
	s.lull.end += int64(ticks)
	s.playout.stretch.arrivals.move(int64(ticks))
	s.lull.debt = max(0, s.lull.debt+ticks)
	return at + int64(ticks)
}
