package bridge

import (
	"sync/atomic"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/transcode"
)

// G.722's coders adapt in step on both ends of a line. A stream that goes over
// from one encoder to another cracks, unless the new one is where the old one
// was. So each G.722 Sink has an encoder of its own for all of its roads; it
// follows what passes untouched; and once it has encoded sound itself, nothing
// passes untouched before a pause, in which all coders forget.

const (
	calmAfter = 100 * media.NarrowbandHz / 1000 // ticks of silence in which coders forget
	calmLevel = -60.0                           // dBov
)

// inStep says with whose encoder the listener's decoder is in step. The zero value
// is in step with anybody.
type inStep struct {
	source atomic.Pointer[Source] // whose packets passed last; nil: nobody's since it was calm
	ours   atomic.Bool            // our own encoder has made sound since
	silent int                    // ticks of silence that it has made in a row
}

func (s *inStep) with(source *Source) bool {
	last := s.source.Load()
	return !s.ours.Load() && (last == nil || last == source)
}

func (s *inStep) passed(source *Source) {
	if s.source.Load() != source {
		s.source.Store(source)
	}
}

// encoded takes note of sound that our own encoder has made.
func (s *inStep) encoded(pcm []int16) {
	if media.Level(pcm) > calmLevel {
		s.calm(false)
		return
	}
	if s.silent += len(pcm) / 2; s.silent >= calmAfter {
		s.calm(true)
	}
}

func (s *inStep) calm(is bool) {
	s.ours.Store(!is)
	if is {
		s.source.Store(nil)
	} else {
		s.silent = 0
	}
}

// encodeG722 encodes sound at 16 kHz for this stream. k.mu is held; the payload
// is good until the next one.
func (k *Sink) encodeG722(pcm []int16) []byte {
	k.step.encoded(pcm)
	k.past.heard(&k.fade, pcm)
	n, err := k.g722.Encode(pcm, k.fade.get().out[:])
	if err != nil {
		return nil
	}
	return k.fade.get().out[:n]
}

// follow brings the encoder to where the listener is, who has heard pcm from d.
func (k *Sink) follow(d transcode.Decoder, pcm []int16) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.untouched.Load() {
		transcode.Follow(k.g722, d, pcm)
		k.past.heard(&k.fade, pcm)
	}
}
