package bridge

import (
	"math"
	"time"
)

const (
	// leastLoss is the loss in percent from which redundancy is worth its bits, and
	// mostLoss what Opus makes the most of.
	leastLoss, mostLoss = 1, 25
	// lossFades is how long it takes to forget two thirds of a loss that is over:
	// 10 % become less than 1 % in twelve seconds.
	lossFades = 5 * time.Second
	// lossStep is by how much less loss an encoder is told of at once, so that its
	// bits do not go to and fro between sound and redundancy.
	lossStep = 2
)

// steering decides of how much loss an encoder is told, by what its listeners
// report: of more at once, of less slowly.
type steering struct {
	loss float64 // percent
	at   time.Time
	told int
}

// report takes in the worst loss in percent that a listener reports at now, and
// returns what to tell the encoder.
func (s *steering) report(loss float64, now time.Time) int {
	faded := s.loss * math.Exp(-float64(now.Sub(s.at))/float64(lossFades))
	s.loss, s.at = min(max(loss, faded), mostLoss), now
	switch percent := int(math.Ceil(s.loss)); {
	case s.loss < leastLoss:
		s.told = 0
	case percent > s.told || percent <= s.told-lossStep:
		s.told = percent
	}
	return s.told
}

// lossReporter is a media.Writer that knows what its peer reports over RTCP.
type lossReporter interface {
	// UnmendedLoss is the loss in percent that in-band redundancy is to make up
	// for: by the peer's last report, 0 before the first and while other redundancy
	// (RED) does it.
	UnmendedLoss() float64
}

// remoteLoss is the loss in percent that the listener reports of this stream.
func (k *Sink) remoteLoss() float64 {
	if w, ok := k.writer.(lossReporter); ok {
		return w.UnmendedLoss()
	}
	return k.listener.remoteLoss()
}

// tend steers the redundancy of the mixed road, once a second.
func (k *Sink) tend(now time.Time) {
	m := &k.mix
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.encoder != nil {
		m.encoder.SetLoss(m.steering.report(k.remoteLoss(), now))
	}
}

// tend looks after the encoders once a second: it steers redundancy by the worst
// loss that a listener reports, and drops what nobody has wanted for a while.
func (s *Source) tend(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.fan.Load()
	for key, e := range s.encodings {
		loss, wanted := f.worstLoss(e)
		switch {
		case wanted && e.encoder != nil:
			e.encoder.SetLoss(e.steering.report(loss, now))
		case !wanted && now.Sub(e.used) > renditionIdle:
			e.close()
			delete(s.encodings, key)
		}
	}
}

// worstLoss is the worst loss that a listener to an encoding reports; wanted says
// that there is one.
func (f *fanout) worstLoss(e *encoding) (loss float64, wanted bool) {
	for _, r := range f.renditions {
		if r.state != e {
			continue
		}
		for _, k := range r.sinks {
			loss, wanted = max(loss, k.remoteLoss()), true
		}
	}
	return loss, wanted
}
