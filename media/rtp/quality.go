package rtp

import (
	"time"

	"github.com/roomline/roomline/media"
)

// Quality returns how the sound travels. R and MOS rate what we hear; their
// delay is half the round trip, one packet, and a jitter buffer of twice the
// jitter. They are 0 until a packet has come.
func (s *Session) Quality() media.Quality {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &s.in.reception
	jitter := time.Duration(r.jitter * float64(time.Second))
	q := media.Quality{
		PacketsReceived: r.total,
		PacketsLost:     r.lost(),
		PacketsSent:     s.out.packets,
		Discarded:       s.in.discarded,
		Jitter:          jitter,
		JitterMS:        milliseconds(jitter),
		RoundTripMS:     milliseconds(s.out.roundTrip),
		RemoteLoss:      s.out.remoteLoss,
	}
	if r.total == 0 {
		return q
	}
	q.LossPercent = 100 * float64(q.PacketsLost) / float64(q.PacketsLost+q.PacketsReceived)
	if a := s.agreed.Load(); a != nil {
		q.R, q.MOS = media.EModel(a.Codec, q.LossPercent, 1, s.out.roundTrip/2+a.Ptime+2*jitter)
	}
	return q
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
