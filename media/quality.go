package media

import "time"

// Quality says how well one leg's audio travels, as far as this side can know.
// Received figures are of packets that came to us; remote figures are what the
// peer reported over RTCP about packets that we sent.
type Quality struct {
	PacketsReceived uint64        `json:"packets_received"`
	PacketsLost     uint64        `json:"packets_lost"`
	PacketsSent     uint64        `json:"packets_sent"`
	Discarded       uint64        `json:"packets_discarded"` // from strangers, malformed, or too late
	Jitter          time.Duration `json:"-"`                 // interarrival jitter, RFC 3550 section 6.4.1
	JitterMS        float64       `json:"jitter_ms"`
	RoundTripMS     float64       `json:"round_trip_ms"`
	RemoteLoss      float64       `json:"remote_loss_percent"` // last fraction lost that the peer reported, 0 to 100
	LossPercent     float64       `json:"loss_percent"`        // 0 to 100
	Burst           float64       `json:"burst_ratio"`         // BurstR of ITU-T G.107: 1 for random loss, more where losses come together; 0 while nothing was lost

	DelayMS          float64 `json:"delay_ms"`          // one way, as far as known: half the round trip, a packet, our jitter buffer
	BufferMS         float64 `json:"buffer_ms"`         // the share of our jitter buffer in it; 0 while its sound goes straight on
	HeardMS          float64 `json:"heard_ms"`          // sound of this leg that was decoded
	RecoveredMS      float64 `json:"recovered_ms"`      // of it, sound that was lost and had from redundancy (FEC, RED)
	ConcealedMS      float64 `json:"concealed_ms"`      // of it, sound that was lost and made up
	ConcealedPercent float64 `json:"concealed_percent"` // of what was to be heard, 0 to 100

	R   float64 `json:"r_factor"` // ITU-T G.107, 0 to 93.2
	MOS float64 `json:"mos"`      // 1 to 4.5
}
