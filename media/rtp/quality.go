package rtp

import (
	"time"

	"github.com/roomline/roomline/media"
)

// Quality returns how the sound travels. What becomes of it behind the session, in
// a jitter buffer or a decoder, is not in it.
func (s *Session) Quality() media.Quality {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &s.in.reception
	q := media.Quality{
		PacketsReceived: r.total,
		PacketsLost:     r.lost(),
		PacketsSent:     s.out.packets,
		Discarded:       s.in.discarded,
		Jitter:          time.Duration(r.jitter * float64(time.Second)),
		RoundTripMS:     media.Milliseconds(s.out.roundTrip),
		RemoteLoss:      s.out.remote.Percent(),
		RemoteJitterMS:  media.Milliseconds(s.out.remoteJitter),
		Reported:        s.out.remote.Heard(),
		Pattern:         r.losses.Pattern(),
	}
	q.RemoteExpected, q.RemoteLost = s.out.remote.Sums()
	if a := s.agreed.Load(); a != nil {
		q.Codec, q.Packet = a.Codec, r.packing.Length(r.rateHz, a.Ptime)
	}
	q.Rate()
	return q
}

// UnmendedLoss returns the loss in percent of what we send, by the peer's last
// report; 0 before the first.
func (s *Session) UnmendedLoss() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.remote.Percent()
}
