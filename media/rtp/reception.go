package rtp

import (
	"time"

	"github.com/roomline/roomline/media"
)

// Limits of RFC 3550 appendix A.1.
const (
	maxDropout  = 3000
	maxMisorder = 100
)

// reception counts what arrives of one peer, over all the streams (SSRCs) that it
// uses one after the other.
type reception struct {
	ssrc     uint32
	previous uint32 // the SSRC before; it must prove itself to come back
	proof    int    // packets in a row of previous
	started  bool

	base, highest uint32 // extended sequence numbers of the stream, from its first packet on
	received      uint32 // of the stream since base

	streamsLost uint64 // of earlier streams and before a restart
	total       uint64 // received in all streams

	expectedBefore, receivedBefore uint32 // at the last report

	losses  media.Losses  // their pattern, in all streams
	packing media.Packing // how much sound a packet has

	jitter  float64 // in seconds, RFC 3550 A.8
	transit uint32  // of the last packet, in units of rateHz
	rateHz  int     // of transit; 0: none yet
	epoch   time.Time
}

// arrival says how a packet stands to those before it.
type arrival uint8

const (
	usual   arrival = iota
	foreign         // of another stream that goes on beside the one we follow: dropped
	restart         // the first of a stream, or numbers start anew
)

// add counts a packet.
func (r *reception) add(h header) arrival {
	if !r.started || h.ssrc != r.ssrc {
		if r.returning(h.ssrc) {
			return foreign
		}
		r.begin(h)
		return restart
	}
	r.proof = 0
	delta := h.sequence - uint16(r.highest)
	switch {
	case delta < maxDropout:
		r.highest += uint32(delta)
	case delta <= 65535-maxMisorder: // a jump: the peer numbers anew
		r.begin(h)
		return restart
	default: // late or twice; late ones from before the first packet widen the base
		if ext := r.highest - uint32(-delta); int32(ext-r.base) < 0 {
			r.base = ext
		}
	}
	r.received++
	r.total++
	r.losses.Add(h.sequence)
	r.packing.Add(h.sequence, h.timestamp)
	return usual
}

// returning reports whether ssrc is the one we left and has not yet shown three
// packets in a row: two streams beside each other must not take turns.
func (r *reception) returning(ssrc uint32) bool {
	if !r.started || ssrc != r.previous {
		return false
	}
	r.proof++
	return r.proof < 3
}

func (r *reception) begin(h header) {
	if r.started {
		r.streamsLost += r.streamLost()
		if h.ssrc != r.ssrc {
			r.previous = r.ssrc
		}
	} else {
		r.previous = ^h.ssrc // nobody's
	}
	r.ssrc, r.started, r.proof = h.ssrc, true, 0
	// One cycle of headroom: late packets from before the first stay positive.
	r.base = 1<<16 | uint32(h.sequence)
	r.highest, r.received = r.base, 1
	r.expectedBefore, r.receivedBefore = 0, 0
	r.rateHz = 0
	r.total++
	r.losses.Restart()
	r.losses.Add(h.sequence)
	r.packing.Add(h.sequence, h.timestamp)
}

// time updates the jitter by the distance between RTP time and arrival.
func (r *reception) time(timestamp uint32, rateHz int, now time.Time) {
	if r.epoch.IsZero() {
		r.epoch = now
	}
	// In 32-bit units of the RTP clock, so that wrapping timestamps cancel out.
	arrived := uint32(units(now.Sub(r.epoch), rateHz))
	transit := arrived - timestamp
	if r.rateHz == rateHz {
		distance := float64(int32(transit-r.transit)) / float64(rateHz)
		if distance < 0 {
			distance = -distance
		}
		if distance < 10 { // a jump of the peer's clock is not jitter
			r.jitter += (distance - r.jitter) / 16
		}
	}
	r.rateHz, r.transit = rateHz, transit
}

func (r *reception) expected() uint32 {
	if !r.started {
		return 0
	}
	return r.highest - r.base + 1
}

// extended returns the extended highest sequence number as reports carry it,
// section 6.4.1: counted from cycle 0.
func (r *reception) extended() uint32 { return r.highest - 1<<16 }

func (r *reception) streamLost() uint64 {
	return uint64(max(0, int64(r.expected())-int64(r.received))) // duplicates can make it negative
}

// lost returns the packets lost so far.
func (r *reception) lost() uint64 { return r.streamsLost + r.streamLost() }

// fraction returns the share of packets lost since the last call, in 1/256
// (RFC 3550 appendix A.3).
func (r *reception) fraction() uint8 {
	expected, received := r.expected()-r.expectedBefore, r.received-r.receivedBefore
	r.expectedBefore, r.receivedBefore = r.expected(), r.received
	if expected == 0 || received >= expected {
		return 0
	}
	return uint8(min(255, 256*uint64(expected-received)/uint64(expected)))
}

// units converts a duration to units of a clock without overflow.
func units(d time.Duration, rateHz int) int64 {
	whole, rest := int64(d/time.Second), int64(d%time.Second)
	return whole*int64(rateHz) + rest*int64(rateHz)/int64(time.Second)
}
