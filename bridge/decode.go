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

// decode makes sound of a packet, whose first late ticks somebody has heard a
// stand-in for, and sends it on.
func (s *Source) decode(f *fanout, p *media.Packet, at int64, ticks, lost, late int) {
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
	if s.heir != nil {
		n = s.inherit(p.Payload, at, n)
	}
	ticks = n / times(s.rateHz)
	late = min(late, ticks)
	s.hearing.hear(late, concealed)
	s.hearing.hear(ticks-late, how)
	s.level.measure(s.pcm[:n], s.now)
	d := sound{pcm: s.pcm[:n], rateHz: s.rateHz, at: at, late: late, lost: lost, marker: p.Marker, spare: p.Redundant}
	s.listen(&d)
	s.deliver(f, &d)
	s.learnNoise(f, &d)
	s.next = max(s.next, at+int64(ticks))
}

// learnNoise finds out what the line sounds like when nobody speaks, from sound
// that there is at 8 kHz anyhow. Opus decoders do it themselves.
func (s *Source) learnNoise(f *fanout, d *sound) {
	if f.phones && s.decodes != media.Opus && (d.rateHz == media.NarrowbandHz || d.other != nil) {
		s.lull.meter.Listen(s.convert.at(d, media.NarrowbandHz))
	}
}

// deliver sends sound to whoever hears it decoded. Opus listeners have been sent
// no stand-ins, so that nothing is late for them and there is no seam.
func (s *Source) deliver(f *fanout, d *sound) {
	if s.seams.open && !s.seams.stoodIn {
		s.seams.join(d)
	}
	for _, r := range f.renditions {
		if r.codec == media.Opus {
			r.push(s, d)
		}
	}
	if d.late*times(d.rateHz) == len(d.pcm) {
		return
	}
	if s.seams.open {
		s.seams.join(d)
	}
	fresh := *d
	fresh.at, fresh.pcm = d.at+int64(d.late), d.pcm[d.late*times(d.rateHz):]
	s.playout.put(&fresh, s.now)
	for _, r := range f.renditions {
		if r.codec != media.Opus {
			r.push(s, d)
		}
	}
}
