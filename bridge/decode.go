package bridge

import "github.com/roomline/roomline/media"

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
	n, err := s.decoder.Decode(p.Payload, s.pcm[:])
	if err != nil {
		if n, err = s.decoder.Conceal(s.pcm[:ticks*times(s.rateHz)]); err != nil {
			return
		}
	}
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

// mend makes up the last gap ticks before position at: from the redundancy in
// the next payload where there is some, else by concealment.
func (s *Source) mend(f *fanout, next []byte, at int64, gap int) {
	const step = media.FrameSamples
	for left := gap; left > 0; {
		n := min(left, step)
		pcm, err := s.pcm[:n*times(s.rateHz)], error(nil)
		if left == n {
			_, err = s.decoder.Recover(next, pcm)
		} else {
			_, err = s.decoder.Conceal(pcm)
		}
		if err != nil {
			return
		}
		s.deliver(f, &sound{pcm: pcm, rateHz: s.rateHz, at: at - int64(left), made: true})
		left -= n
	}
}

func (s *Source) deliver(f *fanout, d *sound) {
	s.playout.put(d.at, d.pcm, times(d.rateHz))
	for _, r := range f.renditions {
		r.push(s, d)
	}
}
