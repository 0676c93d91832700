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
	R               float64       `json:"r_factor"`            // ITU-T G.107, 0 to 93.2
	MOS             float64       `json:"mos"`                 // 1 to 4.5
}
