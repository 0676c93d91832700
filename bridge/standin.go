package bridge

import (
	"time"

	"github.com/roomline/roomline/media"
)

const (
	// noiseFull is how many ticks into a lull the line's noise has come up, while
	// the last sound fades.
	noiseFull = 60 * media.NarrowbandHz / 1000
	// noiseMost and noiseLeast bound the noise, in -dBov, that is guessed from what
	// was heard: what is louder is no background, and a line without any sounds dead.
	noiseMost, noiseLeast = 45, 70
	// dtxMost is the longest Opus packet, in bytes, that says that nothing follows
	// for a while: RFC 7587 section 3.1.3, and what browsers take for it.
	dtxMost = 2
	// standInsAtOnce bounds what one beat makes up.
	standInsAtOnce = 5
)

// heed says when the beat is to look after this source. s.mu is held.
func (s *Source) heed(f *fanout) {
	if !f.phones && !s.lull.paused {
		s.wake.Store(0)
		return
	}
	wake := s.lull.wake()
	if s.playout.open {
		wake = s.now
	}
	s.wake.Store(wake.UnixNano())
}

// standIn is the source's share of a beat while its packets do not come.
func (s *Source) standIn(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, l := s.fan.Load(), &s.lull
	if s.decoder == nil || !s.missed(f) {
		s.wake.Store(0)
		return
	}
	s.now = now
	s.order.Flush(now.Add(reorderWait), s.inOrder) // what waits behind a gap is better than a stand-in
	if s.playout.open {
		l.due = now
		for n := 0; n < standInsAtOnce && s.playout.depth() < media.FrameSamples*s.playout.times; n++ {
			s.makeUp(f, media.FrameSamples, l.origin())
		}
		s.wake.Store(now.UnixNano())
		return
	}
	for n := 0; n < standInsAtOnce && !l.wake().After(now); n++ {
		s.makeUp(f, media.FrameSamples, l.origin())
		l.due = l.due.Add(media.FrameDuration)
	}
	l.due = latest(l.due, now.Add(-l.patience())) // the beat has stalled itself
	s.heed(f)
}

// missed reports whether somebody needs sound while packets do not come, and
// has it encoded for those who were sent the packets as they are.
func (s *Source) missed(f *fanout) (yes bool) {
	if s.playout.open {
		return s.lull.paused
	}
	for _, r := range f.renditions {
		for _, k := range r.sinks {
			if k.driver.Load() == s && (k.fills && r.frame > 0 || s.lull.comfort) {
				k.untouched.Store(false)
				yes = true
			}
		}
	}
	return yes
}

// makeUp sends on so many ticks, at most 20 ms, that stand in for packets, and
// reports whether there were any.
func (s *Source) makeUp(f *fanout, ticks int, how origin) bool {
	pcm := s.pcm[:ticks*times(s.rateHz)]
	if s.invent(pcm) != nil {
		return false
	}
	d := sound{pcm: pcm, rateHz: s.rateHz, at: s.next, origin: how}
	s.deliver(f, &d)
	s.next += int64(ticks)
	s.lull.made += ticks
	return true
}

// origin is what stands in now.
func (l *lull) origin() origin {
	switch {
	case l.comfort:
		return comfort
	case l.paused:
		return paused
	}
	return concealed
}

// invent continues the sound over pcm, at most 20 ms: what was heard last, which
// fades, and the line's noise, which comes up. Opus decoders do both.
func (s *Source) invent(pcm []int16) error {
	l := &s.lull
	if s.decodes == media.Opus || !l.comfort {
		if _, err := s.decoder.Conceal(pcm); err != nil || s.decodes == media.Opus {
			return err
		}
	} else {
		clear(pcm)
	}
	if l.made == 0 && !l.comfort {
		l.guess()
	}
	noise := l.pcm[:len(pcm)]
	if s.rateHz == media.WidebandHz {
		l.noise.FillWide(noise)
	} else {
		l.noise.Fill(noise)
	}
	full, at := noiseFull*times(s.rateHz), l.made*times(s.rateHz)
	if l.comfort {
		at = full
	}
	for i, v := range noise {
		if at < full {
			v = int16(int(v) * at / full)
			at++
		}
		pcm[i] = int16(min(max(int(pcm[i])+int(v), -32768), 32767))
	}
	return nil
}

// guess tells the noise what the line has sounded like.
func (l *lull) guess() {
	var sid [11]byte
	if n := l.meter.Describe(sid[:]); n > 0 {
		sid[0] = min(max(sid[0], noiseMost), noiseLeast)
		_ = l.noise.Update(sid[:n]) // well formed, as we made it
	}
}

// hush takes a packet of comfort noise, RFC 3389: the sender pauses.
func (s *Source) hush(f *fanout, p *media.Packet) {
	l := &s.lull
	at := s.clock.place(p.Timestamp, p.Codec.ClockRate(), 0, s.now)
	if s.decoder == nil || s.decodes == media.Opus {
		return
	}
	if !l.comfort {
		s.seam()
	}
	if l.noise.Update(p.Payload) != nil {
		return
	}
	if !l.comfort {
		if l.made == 0 && at >= s.next {
			s.next = at
		}
		l.due = s.now
	}
	l.paused, l.comfort = true, true
	s.heed(f)
}

// seam keeps what would stand in next, for the sound after it to be faded from.
func (s *Source) seam() {
	pcm := s.pcm[:joinSamples*times(s.rateHz)]
	if s.invent(pcm) == nil {
		s.keepSeams(&sound{pcm: pcm, rateHz: s.rateHz, at: s.next})
		s.seams.stoodIn = true
	}
}
