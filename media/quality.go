package media

import (
	"math"
	"time"
)

// Quality says how well one leg's audio travels, as far as this side can know.
// Received figures are of packets that came to us; remote figures are what the
// peer reported over RTCP about packets that we sent. Counters and with them
// LossPercent, R and MOS are of the whole call; Live is of its last seconds.
type Quality struct {
	PacketsReceived uint64        `json:"packets_received"`
	PacketsLost     uint64        `json:"packets_lost"`
	Mended          uint64        `json:"packets_recovered"` // of the lost ones, had from redundant packets (RFC 2198)
	PacketsSent     uint64        `json:"packets_sent"`
	Discarded       uint64        `json:"packets_discarded"` // from strangers, malformed, or too late
	Jitter          time.Duration `json:"-"`                 // interarrival jitter, RFC 3550 section 6.4.1
	JitterMS        float64       `json:"jitter_ms"`
	RoundTripMS     float64       `json:"round_trip_ms"`
	RemoteLoss      float64       `json:"remote_loss_percent"` // last fraction lost that the peer reported, 0 to 100
	RemoteJitterMS  float64       `json:"remote_jitter_ms"`    // as the peer reported it
	LossPercent     float64       `json:"loss_percent"`        // 0 to 100
	Burst           float64       `json:"burst_ratio"`         // BurstR of ITU-T G.107: 1 for random loss, more where losses come together; 0 while nothing was lost

	DelayMS          float64 `json:"delay_ms"`          // one way, as far as known; see [Quality.Rate]
	BufferMS         float64 `json:"buffer_ms"`         // the share of our jitter buffer in it; 0 while its sound goes straight on
	HeardMS          float64 `json:"heard_ms"`          // sound of this leg that was decoded
	RecoveredMS      float64 `json:"recovered_ms"`      // of it, sound that was lost and had from redundancy (FEC, RED)
	ConcealedMS      float64 `json:"concealed_ms"`      // of it, sound that was lost and made up
	ConcealedPercent float64 `json:"concealed_percent"` // of what was to be heard, 0 to 100

	R         float64 `json:"r_factor"`        // of what we hear; ITU-T G.107, 0 to 93.2; 0 until a packet has come
	MOS       float64 `json:"mos"`             // the same as an opinion score, 1 to 4.5; 0 until a packet has come
	RemoteR   float64 `json:"remote_r_factor"` // of what the peer hears of us, by its reports; 0 until one has come
	RemoteMOS float64 `json:"remote_mos"`

	LowestMOS    float64       `json:"mos_min"`       // the worst five seconds; 0 until they have passed
	MeanMOS      float64       `json:"mos_avg"`       // mean of all five seconds; 0 until they have passed
	MeanBufferMS float64       `json:"buffer_avg_ms"` // likewise, of BufferMS
	MostBufferMS float64       `json:"buffer_max_ms"`
	Live         *QualityPoint `json:"live,omitempty"`

	// What the figures are made from.
	Codec    Codec         `json:"-"`
	Packet   time.Duration `json:"-"` // sound per packet; 0: not known
	Pattern  LossPattern   `json:"-"` // of the received packets
	Reported bool          `json:"-"` // the peer has reported what it receives
	// Packets that the peer expected and lost between two of its reports.
	RemoteExpected, RemoteLost uint64 `json:"-"`
}

// Rate computes percentages, delay, R and MOS from counters and times.
//
// R is of this leg alone, as if the other speaker sat at the gateway. Its loss is
// what was not heard: what was concealed, or lost and not recovered where that is
// more; of sound that nobody decodes here, what the network lost. Its delay is half
// the round trip, the packet that the sender fills first, the codec's look-ahead,
// and the jitter buffer: ours where sound waits in it, else what a listener behind
// us needs, taken as twice the jitter. The microphone's and the loudspeaker's own
// buffers are not known and not counted. The remote figures are made alike from the
// peer's reports, which do not tell bursts.
func (q *Quality) Rate() {
	q.JitterMS = Milliseconds(q.Jitter)
	q.LossPercent = percentOf(float64(q.PacketsLost), float64(q.PacketsLost+q.PacketsReceived))
	q.Burst = q.Pattern.BurstRatio()
	q.ConcealedPercent = percentOf(q.ConcealedMS, q.HeardMS)

	path := q.RoundTripMS/2 + Milliseconds(q.Packet) + Milliseconds(q.Codec.lookAhead())
	q.DelayMS = path + q.BufferMS
	if q.BufferMS == 0 {
		q.DelayMS += 2 * q.JitterMS
	}
	q.R, q.MOS, q.RemoteR, q.RemoteMOS = 0, 0, 0, 0
	if q.PacketsReceived+q.PacketsLost > 0 {
		q.R, q.MOS = EModel(q.Codec, q.missed(), q.Burst, fromMilliseconds(q.DelayMS))
	}
	if q.Reported {
		q.RemoteR, q.RemoteMOS = EModel(q.Codec, q.lostThere(), 1, fromMilliseconds(path+2*q.RemoteJitterMS))
	}
}

// missed is the share of sound that was not heard as it was spoken, in percent.
func (q *Quality) missed() float64 { return max(q.ConcealedPercent, q.LossPercent-q.recovered()) }

// recovered is the share of sound that was had from redundancy, in percent: as sound
// where it is decoded here, which knows of FEC too, or as packets.
func (q *Quality) recovered() float64 {
	return max(percentOf(q.RecoveredMS, q.HeardMS), percentOf(float64(q.Mended), float64(q.PacketsLost+q.PacketsReceived)))
}

// lostThere is the peer's loss in percent: of all its reports, else of the last one,
// which may be of 50 packets only.
func (q *Quality) lostThere() float64 {
	if q.RemoteExpected > 0 {
		return percentOf(float64(q.RemoteLost), float64(q.RemoteExpected))
	}
	return q.RemoteLoss
}

// Since returns how sound has travelled since before, an earlier state of the same leg.
func (q *Quality) Since(before *Quality, at time.Time) QualityPoint {
	d := *q
	d.PacketsReceived = less(q.PacketsReceived, before.PacketsReceived)
	d.PacketsLost = less(q.PacketsLost, before.PacketsLost) // a late packet can take one back
	d.Mended = less(q.Mended, before.Mended)
	d.Pattern = q.Pattern.Since(before.Pattern)
	d.RemoteExpected, d.RemoteLost = less(q.RemoteExpected, before.RemoteExpected), less(q.RemoteLost, before.RemoteLost)
	d.HeardMS = max(0, q.HeardMS-before.HeardMS)
	d.RecoveredMS = max(0, q.RecoveredMS-before.RecoveredMS)
	d.ConcealedMS = max(0, q.ConcealedMS-before.ConcealedMS)
	d.Rate()
	return QualityPoint{
		At: at, Loss: short(d.LossPercent), Burst: short(d.Burst), Concealed: short(d.ConcealedPercent),
		Recovered: short(d.recovered()), JitterMS: short(d.JitterMS),
		RoundTripMS: short(d.RoundTripMS), DelayMS: short(d.DelayMS), BufferMS: short(d.BufferMS),
		RemoteLoss: short(d.lostThere()), R: short(d.R), MOS: short(d.MOS), RemoteR: short(d.RemoteR), RemoteMOS: short(d.RemoteMOS),
	}
}

// QualityPoint is how sound travelled in some seconds, rounded to hundredths. R and
// MOS are 0 where nothing came, RemoteR and RemoteMOS where the peer reports nothing.
type QualityPoint struct {
	At          time.Time `json:"at"` // the end of these seconds
	Loss        float32   `json:"loss_percent"`
	Burst       float32   `json:"burst_ratio"`
	Concealed   float32   `json:"concealed_percent"`
	Recovered   float32   `json:"recovered_percent"`
	JitterMS    float32   `json:"jitter_ms"`
	RoundTripMS float32   `json:"round_trip_ms"`
	DelayMS     float32   `json:"delay_ms"`
	BufferMS    float32   `json:"buffer_ms"`
	RemoteLoss  float32   `json:"remote_loss_percent"`
	R           float32   `json:"r_factor"`
	MOS         float32   `json:"mos"`
	RemoteR     float32   `json:"remote_r_factor"`
	RemoteMOS   float32   `json:"remote_mos"`
}

// Worst is the lower one of the R of both directions, 0 while neither is known.
func (p *QualityPoint) Worst() float64 {
	switch {
	case p.RemoteR == 0:
		return float64(p.R)
	case p.R == 0:
		return float64(p.RemoteR)
	}
	return float64(min(p.R, p.RemoteR))
}

// Milliseconds returns a duration in ms.
func Milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func fromMilliseconds(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }

func short(x float64) float32 { return float32(math.Round(x*100) / 100) }

// percentOf is 0 of nothing.
func percentOf(part, whole float64) float64 {
	if whole <= 0 {
		return 0
	}
	return 100 * part / whole
}
