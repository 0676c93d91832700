package transcode

import "math"

// The measures of a NoiseMeter, per frame of 20 ms.
const (
	meterOrder = 10     // of its descriptions, as G.711 Appendix II has it
	meterSpan  = 50     // frames that are averaged
	meterGate  = 4.0    // power over the noise that is still taken for noise: 6 dB
	meterRise  = 1.0138 // of the noise with each frame that is not: 3 dB a second
)

// NoiseMeter finds out how a line sounds when nobody speaks. It takes decoded
// sound at 8 kHz and tells noise from speech by its power: what is 6 dB louder
// than the noise so far is left out, what is far below it is the new noise, and a
// noise that has become louder is believed after some seconds. The zero value is
// ready. It allocates nothing and one goroutine uses it at a time.
type NoiseMeter struct {
	frames int                     // averaged, at most meterSpan; 0: nothing was heard
	like   [meterOrder + 1]float64 // the noise's autocorrelation per sample
}

// Listen takes one decoded frame at 8 kHz, of 5 ms or more, best 20 ms. pcm is
// not kept.
func (m *NoiseMeter) Listen(pcm []int16) {
	if len(pcm) < noiseStep {
		return
	}
	power := likenessAt(pcm, 0)
	switch {
	case m.frames > 0 && power > meterGate*m.like[0]:
		m.rise()
		return
	case meterGate*power < m.like[0]: // a pause in speech
		m.frames = 0
	}
	m.frames = min(m.frames+1, meterSpan)
	pace := 1 / float64(m.frames)
	m.like[0] += pace * (power - m.like[0])
	for lag := 1; lag <= meterOrder; lag++ {
		m.like[lag] += pace * (likenessAt(pcm, lag) - m.like[lag])
	}
}

// Level returns the noise's level in dBov, -127 before anything was heard.
func (m *NoiseMeter) Level() float64 {
	if m.like[0] <= 0 {
		return -127
	}
	return max(-127, 10*math.Log10(m.like[0]/(loudest*loudest)))
}

// Describe writes the noise as a payload of comfort noise (RFC 3389): the level,
// and as many reflection coefficients as sid has room for, at most ten. It
// returns the payload's length, 0 before anything was heard.
func (m *NoiseMeter) Describe(sid []byte) int {
	if m.frames == 0 || len(sid) == 0 {
		return 0
	}
	sid[0] = byte(min(127, math.Round(-m.Level())))
	shape := m.shape()
	n := min(meterOrder, len(sid)-1)
	for i, k := range shape[:n] {
		sid[1+i] = byte(min(max(math.Round(k*sidUnits)+sidZero, 0), sidGreatest))
	}
	return 1 + n
}

// rise lets the noise seem louder, in the shape it has.
func (m *NoiseMeter) rise() {
	m.like[0] = max(m.like[0], 0.1) // -100 dBov, lest it start from nothing
	for lag := range m.like {
		m.like[lag] *= meterRise
	}
}

// shape returns the noise's reflection coefficients by the recursion of Levinson
// and Durbin, in the sign that ComfortNoise expects.
func (m *NoiseMeter) shape() (k [meterOrder]float64) {
	var a, next [meterOrder + 1]float64 // of 1 + Σ a z⁻ⁱ
	left := m.like[0]*1.0001 + 0.01     // what the coefficients so far do not explain
	for i := range k {
		sum := m.like[i+1]
		for j := 1; j <= i; j++ {
			sum += a[j] * m.like[i+1-j]
		}
		k[i] = min(max(-sum/left, -1), 1)
		for j := 1; j <= i; j++ {
			next[j] = a[j] + k[i]*a[i+1-j]
		}
		next[i+1] = k[i]
		a = next
		left = max(left*(1-k[i]*k[i]), 1e-6)
	}
	return k
}

// likenessAt is the autocorrelation of pcm at a lag, per sample.
func likenessAt(pcm []int16, lag int) float64 {
	sum := int64(0)
	for i, v := range pcm[lag:] {
		sum += int64(v) * int64(pcm[i])
	}
	return float64(sum) / float64(len(pcm))
}
