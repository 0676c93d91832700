package media

import "time"

// trendMost is how many values a QualityTrend has at most.
const trendMost = 60

// QualityTrend is how sound travelled over a whole call, in at most 60 values of
// equal times, whatever its length; each is the worst of its time. All slices are
// of one length. R and RemoteR are 0 where nothing was known.
type QualityTrend struct {
	From      time.Time `json:"from"`    // the beginning of the first value's time
	StepMS    int64     `json:"step_ms"` // the time of one value
	R         []float32 `json:"r_factor" nullable:"false"`
	RemoteR   []float32 `json:"remote_r_factor" nullable:"false"`
	Loss      []float32 `json:"loss_percent" nullable:"false"`
	Concealed []float32 `json:"concealed_percent" nullable:"false"`
	JitterMS  []float32 `json:"jitter_ms" nullable:"false"`
	DelayMS   []float32 `json:"delay_ms" nullable:"false"`
	BufferMS  []float32 `json:"buffer_ms" nullable:"false"`

	each int // points per value
	open int // points in the last value
}

// Add takes the next point, of a time of step. When there are too many values, two
// become one.
func (t *QualityTrend) Add(p *QualityPoint, step time.Duration) {
	t.each = max(1, t.each)
	if t.open == t.each && len(t.R) == trendMost {
		t.halve()
	}
	t.StepMS = int64(t.each) * step.Milliseconds()
	if len(t.R) == 0 {
		t.From = p.At.Add(-step)
	}
	if len(t.R) == 0 || t.open == t.each {
		t.open = 0
		t.R, t.RemoteR = append(t.R, p.R), append(t.RemoteR, p.RemoteR)
		t.Loss, t.Concealed = append(t.Loss, p.Loss), append(t.Concealed, p.Concealed)
		t.JitterMS, t.DelayMS = append(t.JitterMS, p.JitterMS), append(t.DelayMS, p.DelayMS)
		t.BufferMS = append(t.BufferMS, p.BufferMS)
	}
	t.open++
	i := len(t.R) - 1
	t.R[i], t.RemoteR[i] = leastKnown(t.R[i], p.R), leastKnown(t.RemoteR[i], p.RemoteR)
	t.Loss[i], t.Concealed[i] = max(t.Loss[i], p.Loss), max(t.Concealed[i], p.Concealed)
	t.JitterMS[i], t.DelayMS[i] = max(t.JitterMS[i], p.JitterMS), max(t.DelayMS[i], p.DelayMS)
	t.BufferMS[i] = max(t.BufferMS[i], p.BufferMS)
}

func (t *QualityTrend) halve() {
	most := func(a, b float32) float32 { return max(a, b) }
	for _, pairs := range []struct {
		values *[]float32
		join   func(a, b float32) float32
	}{{&t.R, leastKnown}, {&t.RemoteR, leastKnown}, {&t.Loss, most}, {&t.Concealed, most}, {&t.JitterMS, most}, {&t.DelayMS, most}, {&t.BufferMS, most}} {
		v := *pairs.values
		for i := range len(v) / 2 {
			v[i] = pairs.join(v[2*i], v[2*i+1])
		}
		*pairs.values = v[:len(v)/2]
	}
	t.each *= 2
	t.open = t.each
}

// leastKnown is the lesser one of two R; 0 is not known.
func leastKnown(a, b float32) float32 {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

// Points returns the values as points, oldest first, without what a trend does not
// keep. A trend that came from outside may have slices of any length.
func (t *QualityTrend) Points() []QualityPoint {
	n := min(len(t.R), len(t.RemoteR), len(t.Loss), len(t.Concealed), len(t.JitterMS), len(t.DelayMS), len(t.BufferMS))
	points := make([]QualityPoint, n)
	for i := range points {
		points[i] = QualityPoint{
			At: t.From.Add(time.Duration(i+1) * time.Duration(t.StepMS) * time.Millisecond),
			R:  t.R[i], MOS: scoreOf(t.R[i]), RemoteR: t.RemoteR[i], RemoteMOS: scoreOf(t.RemoteR[i]),
			Loss: t.Loss[i], Concealed: t.Concealed[i], JitterMS: t.JitterMS[i], DelayMS: t.DelayMS[i], BufferMS: t.BufferMS[i],
		}
	}
	return points
}

func scoreOf(r float32) float32 {
	if r == 0 {
		return 0
	}
	return short(opinionScore(float64(r)))
}
