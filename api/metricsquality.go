package api

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
)

// How sound travels: of live legs what the last seconds were like, of calls that
// ended how they were as a whole.
var (
	descClass = prometheus.NewDesc("roomline_legs_by_quality", "Live legs by the class of their last seconds, the worse direction of each.", []string{"kind", "class"}, nil)
	legMeans  = []legMean{
		newLegMean("mos", "opinion score (ITU-T G.107) of what the gateway hears", func(p *media.QualityPoint) float64 { return float64(p.MOS) }),
		newLegMean("remote_mos", "opinion score of what the peer hears, by its reports", func(p *media.QualityPoint) float64 { return float64(p.RemoteMOS) }),
		newLegMean("loss_ratio", "packet loss towards the gateway", func(p *media.QualityPoint) float64 { return float64(p.Loss) / 100 }),
		newLegMean("concealed_ratio", "share of sound that was made up", func(p *media.QualityPoint) float64 { return float64(p.Concealed) / 100 }),
		newLegMean("jitter_seconds", "interarrival jitter", func(p *media.QualityPoint) float64 { return float64(p.JitterMS) / 1000 }),
		newLegMean("delay_seconds", "one-way delay", func(p *media.QualityPoint) float64 { return float64(p.DelayMS) / 1000 }),
		newLegMean("buffer_seconds", "the jitter buffer's share of the delay", func(p *media.QualityPoint) float64 { return float64(p.BufferMS) / 1000 }),
	}
)

// legMean is the mean of one figure over the live legs of a kind; legs that do not
// know it are not in it.
type legMean struct {
	desc  *prometheus.Desc
	score bool // 0 means that it is not known
	read  func(*media.QualityPoint) float64
}

func newLegMean(name, help string, read func(*media.QualityPoint) float64) legMean {
	return legMean{
		desc:  prometheus.NewDesc("roomline_leg_"+name, "Mean over live legs, of their last seconds: "+help+".", []string{"kind"}, nil),
		score: name == "mos" || name == "remote_mos", read: read,
	}
}

// collectQuality tells of the live legs in rooms.
func collectQuality(ch chan<- prometheus.Metric, rooms []bridge.RoomRecord) {
	points := map[string][]*media.QualityPoint{}
	for _, r := range rooms {
		for _, p := range r.Participants {
			if p.Quality != nil && p.Quality.Live != nil {
				points[p.Kind] = append(points[p.Kind], p.Quality.Live)
			}
		}
	}
	for kind, live := range points {
		classes := map[bridge.QualityClass]int{bridge.QualityGood: 0, bridge.QualityFair: 0, bridge.QualityPoor: 0, bridge.QualityBad: 0}
		for _, p := range live {
			if r := p.Worst(); r > 0 {
				classes[bridge.ClassOf(r)]++
			}
		}
		for class, n := range classes {
			ch <- prometheus.MustNewConstMetric(descClass, prometheus.GaugeValue, float64(n), kind, string(class))
		}
		for _, m := range legMeans {
			m.collect(ch, kind, live)
		}
	}
}

func (m *legMean) collect(ch chan<- prometheus.Metric, kind string, live []*media.QualityPoint) {
	sum, n := 0.0, 0
	for _, p := range live {
		if v := m.read(p); v > 0 || !m.score && p.R > 0 {
			sum += v
			n++
		}
	}
	if n > 0 {
		ch <- prometheus.MustNewConstMetric(m.desc, prometheus.GaugeValue, sum/float64(n), kind)
	}
}

// callQualities are distributions over the calls that ended.
type callQualities struct {
	mos, least, loss, concealed, jitter, delay *prometheus.HistogramVec
}

func newCallQualities(r *prometheus.Registry) callQualities {
	histogram := func(name, help string, buckets ...float64) *prometheus.HistogramVec {
		h := prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "roomline_call_" + name, Help: "Of calls that ended: " + help + ".", Buckets: buckets}, []string{"direction"})
		r.MustRegister(h)
		return h
	}
	scores := []float64{2, 2.58, 3.1, 3.6, 4.03, 4.34} // R 40 to 90 in tens
	ratios := []float64{.001, .005, .01, .02, .05, .1, .2}
	return callQualities{
		mos:       histogram("mos", "opinion score (ITU-T G.107) of what the gateway heard", scores...),
		least:     histogram("mos_min", "opinion score of the worst five seconds", scores...),
		loss:      histogram("loss_ratio", "packet loss towards the gateway", ratios...),
		concealed: histogram("concealed_ratio", "share of sound that was made up", ratios...),
		jitter:    histogram("jitter_seconds", "interarrival jitter at the end", .002, .005, .01, .02, .04, .08, .16),
		delay:     histogram("delay_seconds", "one-way delay at the end", .025, .05, .1, .15, .2, .3, .4),
	}
}

// add counts a call that ended; those without sound are not in it.
func (c *callQualities) add(cdr bridge.CDR) {
	q := cdr.Quality
	if q == nil || q.MOS == 0 {
		return
	}
	direction := string(cdr.Direction)
	c.mos.WithLabelValues(direction).Observe(q.MOS)
	if q.LowestMOS > 0 {
		c.least.WithLabelValues(direction).Observe(q.LowestMOS)
	}
	c.loss.WithLabelValues(direction).Observe(q.LossPercent / 100)
	c.concealed.WithLabelValues(direction).Observe(q.ConcealedPercent / 100)
	c.jitter.WithLabelValues(direction).Observe(q.JitterMS / 1000)
	c.delay.WithLabelValues(direction).Observe(q.DelayMS / 1000)
}
