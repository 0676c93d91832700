package bridge

import (
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/transcode"
)

// open starts and stops the jitter buffer with the need for it.
func (s *Source) open(mixed bool) {
	if mixed {
		s.playout.start()
	} else {
		s.playout.stop()
	}
}

// decode makes sound of a packet, mends the gap before it, and sends both on.
func (s *Source) decode(f *fanout, p *media.Packet, at int64, ticks, lost int) {
	if !s.ready(p.Codec, rateOf(p.Codec, f.wide), at) {
		return
	}
	if gap := at - s.next; lost > 0 && gap > 0 {
		s.mend(f, p.Payload, at, int(min(gap, int64(longestMend))))
	}
	how := received
	if p.Redundant {
		how = recovered
	}
	n, err := s.decoder.Decode(p.Payload, s.pcm[:])
	if err != nil {
		how = concealed
		if n, err = s.decoder.Conceal(s.pcm[:ticks*times(s.rateHz)]); err != nil {
			return
		}
	}
	s.hearing.hear(n/times(s.rateHz), how)
	if s.heir != nil {
		n = s.inherit(p.Payload, at, n)
	}
	s.level.measure(s.pcm[:n], s.now)
	d := sound{pcm: s.pcm[:n], rateHz: s.rateHz, at: at, lost: lost, marker: p.Marker}
	if s.seams.open {
		s.seams.fade(d.pcm, d.rateHz)
		d.seams, s.seams.open = &s.seams, false
	}
	if s.ear != nil {
		if lost > 0 {
			s.ear.detector.Gap()
		}
		s.ear.hear(s.convert.at(&d, media.NarrowbandHz))
	}
	s.deliver(f, &d)
	s.next = at + int64(n/times(s.rateHz))
}

// mend makes up the last gap ticks before position at: what the next payload has
// redundancy for is recovered from it, what lies before that is concealed.
func (s *Source) mend(f *fanout, next []byte, at int64, gap int) {
	spare := transcode.Redundancy(s.decodes, next, media.NarrowbandHz)
	if spare > gap { // less than a frame is missing: engines conceal that
		spare = 0
	}
	for left := gap - spare; left > 0; left -= media.FrameSamples {
		pcm := s.pcm[:min(left, media.FrameSamples)*times(s.rateHz)]
		if _, err := s.decoder.Conceal(pcm); err != nil {
			return
		}
		s.standIn(f, pcm, at-int64(spare+left), concealed)
	}
	if spare == 0 {
		return
	}
	pcm := s.pcm[:spare*times(s.rateHz)]
	if _, err := s.decoder.Recover(next, pcm); err == nil {
		s.standIn(f, pcm, at-int64(spare), recovered)
	}
}

// standIn sends on sound that was not received.
func (s *Source) standIn(f *fanout, pcm []int16, at int64, how origin) {
	s.hearing.hear(len(pcm)/times(s.rateHz), how)
	s.deliver(f, &sound{pcm: pcm, rateHz: s.rateHz, at: at, origin: how})
}

func (s *Source) deliver(f *fanout, d *sound) {
	s.playout.put(d, s.now)
	for _, r := range f.renditions {
		r.push(s, d)
	}
}
