package bridge

import (
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/transcode"
)

// warmUp is how many packets an Opus decoder needs to sound like one that has
// been there from the start.
const warmUp = 3

// heir is a decoder at another rate that gets ready beside the one in use.
type heir struct {
	decoder transcode.Decoder
	rateHz  int
	packets int
	pcm     [2 * longestPacket]int16
}

// seams are 5 ms of what a source's last decoder would have given next, at both
// rates; the next one's sound is cross-faded with them.
type seams struct {
	narrow, wide tail
	open         bool
	stoodIn      bool // the sound was made up, for those who hear no Opus
}

// join fades d from the old sound, at the other rate once somebody asks for it.
func (s *seams) join(d *sound) {
	s.open = false
	s.fade(d.pcm[d.late*times(d.rateHz):], d.rateHz)
	if d.other == nil {
		d.seams = s
		return
	}
	rateHz := media.NarrowbandHz + media.WidebandHz - d.rateHz
	s.fade(d.other[d.late*times(rateHz):], rateHz)
}

func (s *seams) fade(pcm []int16, rateHz int) {
	t := &s.narrow
	if rateHz == media.WidebandHz {
		t = &s.wide
	}
	if t.times > 0 {
		t.fade(pcm, t.times)
	}
}

// ready makes sure that there is a decoder for codec, and one under way for
// rateHz.
func (s *Source) ready(codec media.Codec, rateHz int, at int64) bool {
	if s.decoder != nil && s.decodes == codec {
		return s.rateHz == rateHz && s.heir == nil || s.prepare(codec, rateHz)
	}
	d, err := transcode.NewDecoder(codec, rateHz)
	if err != nil {
		return false
	}
	s.disown()
	if s.decoder == nil {
		s.next = at
	} else {
		pcm := s.pcm[:joinSamples*times(s.rateHz)]
		if _, err := s.decoder.Conceal(pcm); err == nil {
			s.keepSeams(&sound{pcm: pcm, rateHz: s.rateHz, at: s.next})
		}
		s.decoder.Close()
	}
	s.decoder, s.decodes, s.rateHz = d, codec, rateHz
	return true
}

// prepare opens a decoder for another rate, or gives up the one under way when
// it is not wanted any more.
func (s *Source) prepare(codec media.Codec, rateHz int) bool {
	if s.heir != nil && s.heir.rateHz == rateHz {
		return true
	}
	s.disown()
	if s.rateHz == rateHz {
		return true
	}
	if d, err := transcode.NewDecoder(codec, rateHz); err == nil {
		s.heir = &heir{decoder: d, rateHz: rateHz}
	}
	return true
}

func (s *Source) disown() {
	if s.heir != nil {
		s.heir.decoder.Close()
		s.heir = nil
	}
}

// inherit lets the heir hear a packet at position at, whose n samples are in
// s.pcm, and hands over to it once it is warm. It returns the number of samples
// then in s.pcm.
func (s *Source) inherit(payload []byte, at int64, n int) int {
	h := s.heir
	got, err := h.decoder.Decode(payload, h.pcm[:])
	if err != nil {
		return n
	}
	if h.packets++; h.packets < warmUp {
		s.convert.warm(&sound{pcm: h.pcm[:got], rateHz: h.rateHz, at: at})
		return n
	}
	s.keepSeams(&sound{pcm: s.pcm[:n], rateHz: s.rateHz, at: at})
	s.decoder.Close()
	s.decoder, s.rateHz, s.heir = h.decoder, h.rateHz, nil
	return copy(s.pcm[:], h.pcm[:got])
}

// keepSeams keeps the beginning of old sound to fade from.
func (s *Source) keepSeams(old *sound) {
	s.seams = seams{open: true}
	for _, t := range []*tail{&s.seams.narrow, &s.seams.wide} {
		rateHz := media.NarrowbandHz
		if t == &s.seams.wide {
			rateHz = media.WidebandHz
		}
		if rateHz != old.rateHz && !s.convert.warmFor(old) {
			continue // nobody has heard it at that rate
		}
		t.times = copy(t.pcm[:joinSamples*times(rateHz)], s.convert.at(old, rateHz)) / joinSamples
	}
}
