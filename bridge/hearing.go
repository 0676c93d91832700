package bridge

import (
	"sync/atomic"
	"time"

	"github.com/roomline/roomline/media"
)

// Hearing is what became of a source's sound on its way to those who listen.
// Where nobody needs it decoded, nothing is counted.
type Hearing struct {
	Heard     time.Duration // decoded, with what was recovered and concealed
	Recovered time.Duration // of it, had from redundancy: in-band FEC or RED
	Concealed time.Duration // of it, made up
	Buffer    time.Duration // how long sound waits in the jitter buffer at present; 0: it goes straight on
}

// plus adds what became of another source of the same leg.
func (h Hearing) plus(other Hearing) Hearing {
	return Hearing{h.Heard + other.Heard, h.Recovered + other.Recovered, h.Concealed + other.Concealed, max(h.Buffer, other.Buffer)}
}

// hearing counts for Hearing, in ticks of 8 kHz. Packets and the beat write it, anybody reads it.
type hearing struct {
	heard, recovered, concealed, buffer atomic.Int64
}

func (h *hearing) read() Hearing {
	length := func(ticks *atomic.Int64) time.Duration {
		return time.Duration(ticks.Load()) * time.Second / media.NarrowbandHz
	}
	return Hearing{Heard: length(&h.heard), Recovered: length(&h.recovered), Concealed: length(&h.concealed), Buffer: length(&h.buffer)}
}

// hear counts sound on its way from the decoder.
func (h *hearing) hear(ticks int, how origin) {
	h.heard.Add(int64(ticks))
	switch how {
	case recovered:
		h.recovered.Add(int64(ticks))
	case concealed:
		h.concealed.Add(int64(ticks))
	}
}

// origin is where sound comes from.
type origin uint8

const (
	received  origin = iota
	recovered        // from redundancy
	concealed        // made up for lost sound
	paused           // made up while the sender pauses, for those whose sound must not stop
	comfort          // made up by what the sender said of its pause, for everybody
)

// Hearing returns what became of the source's sound so far.
func (s *Source) Hearing() Hearing { return s.hearing.read() }
