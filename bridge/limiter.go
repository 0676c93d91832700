package bridge

const (
	limitLevel = 32000 // what the limiter lets through unchanged
	fullScale  = 32767
	limitSteps = 8      // in a beat, of 2.5 ms each
	limitRest  = 40     // steps for which the level stays after a sample that needed it: 100 ms
	recovery   = 0.01   // of what is turned down then comes back with each step: 250 ms
	fastest    = 0.0145 // of the gain comes back with each step at most: 1 dB in a beat
)

// limiter turns a mix down where it would clip, and slowly up again. What it
// changes is the level alone, so that several loud voices stay as clear as one;
// the beat itself is all that it looks ahead, so that it adds no delay. The zero
// value is ready.
type limiter struct {
	cut  float32 // 1 less the gain at the end of the last beat
	rest int     // steps until it is turned up again
}

// apply writes a beat's sum to pcm, which is as long.
func (l *limiter) apply(sum []int32, pcm []int16) {
	var allowed [limitSteps + 1]float32 // the most gain that each step stands
	step, least := len(sum)/limitSteps, float32(1)
	for i := range limitSteps {
		allowed[i] = gainFor(sum[i*step : (i+1)*step])
		least = min(least, allowed[i])
	}
	if least == 1 && l.cut == 0 {
		for i, v := range sum {
			pcm[i] = int16(v)
		}
		return
	}
	allowed[limitSteps] = 1 // nobody knows the next beat
	for i := range limitSteps {
		gain := 1 - l.cut
		next := l.next(min(allowed[i], allowed[i+1]))
		slopeTo(sum[i*step:(i+1)*step], pcm[i*step:], gain, next, gain > allowed[i])
	}
}

// next moves the gain by one step to what is allowed, and returns it.
func (l *limiter) next(allowed float32) float32 {
	gain := 1 - l.cut
	switch {
	case allowed < gain*1.01:
		gain, l.rest = min(gain, allowed), limitRest
	case l.rest > 0:
		l.rest--
	default:
		gain = min(gain+min(l.cut*recovery, gain*fastest), allowed)
	}
	if l.cut = 1 - gain; l.cut < 1e-4 {
		l.cut = 0
	}
	return gain
}

// gainFor is the gain, at most 1, that brings pcm down to limitLevel.
func gainFor(pcm []int32) float32 {
	most := int32(limitLevel)
	for _, v := range pcm {
		most = max(most, v, -v)
	}
	return float32(limitLevel) / float32(most)
}

// slopeTo writes a step whose gain goes from one value to another, in a quarter of
// its time where it begins too loud already: then its first samples may be bent.
func slopeTo(sum []int32, pcm []int16, from, to float32, late bool) {
	length := len(sum)
	if late {
		length /= 4
	}
	slope := (to - from) / float32(length)
	for i, v := range sum {
		gain := to
		if i < length {
			gain = from + slope*float32(i)
		}
		pcm[i] = bent(int32(gain * float32(v)))
	}
}

// bent keeps a sample that is beyond limitLevel short of full scale.
func bent(v int32) int16 {
	const room = fullScale - limitLevel
	if over := v - limitLevel; over > 0 {
		v = limitLevel + room*over/(room+over)
	} else if over := -v - limitLevel; over > 0 {
		v = -limitLevel - room*over/(room+over)
	}
	return int16(v)
}
