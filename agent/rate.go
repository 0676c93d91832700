package agent

import "math"

// Sound at 16 and 24 kHz for agents. Any whole multiple of 8 kHz goes through the
// same filter, unlike in transcode, whose half-band filter knows a factor of two.

const (
	filterReach = 12  // narrowband samples to either side that a sample depends on: 1.5 ms
	passband    = 0.9 // of 4 kHz
)

// lowpass is a windowed sinc for a factor, symmetric around its middle, with a
// gain of one.
func lowpass(times int) []float32 {
	h := make([]float32, 2*filterReach*times+1)
	sum := 0.0
	for i := range h {
		x := float64(i-filterReach*times) / float64(times) // in narrowband samples
		w := 0.42 + 0.5*math.Cos(math.Pi*x/filterReach) + 0.08*math.Cos(2*math.Pi*x/filterReach)
		v := passband * w
		if x != 0 {
			v = w * math.Sin(math.Pi*passband*x) / (math.Pi * x)
		}
		h[i] = float32(v)
		sum += v
	}
	for i := range h {
		h[i] /= float32(sum)
	}
	return h
}

// upsampler makes sound at a multiple of 8 kHz. One goroutine at a time uses it.
type upsampler struct {
	times  int
	filter []float32
	past   []int16 // narrowband, the newest last
}

func newUpsampler(times int) upsampler {
	return upsampler{times, lowpass(times), make([]int16, 2*filterReach+1)}
}

// process appends the sound of in to out.
func (u *upsampler) process(in, out []int16) []int16 {
	if u.times == 1 {
		return append(out, in...)
	}
	for _, v := range in {
		copy(u.past, u.past[1:])
		u.past[len(u.past)-1] = v
		for phase := range u.times {
			sum := float32(0)
			for i, at := len(u.past)-1, phase; at < len(u.filter); i, at = i-1, at+u.times {
				sum += u.filter[at] * float32(u.past[i])
			}
			out = append(out, clipped(sum*float32(u.times)))
		}
	}
	return out
}

// downsampler makes sound at 8 kHz. One goroutine at a time uses it.
type downsampler struct {
	times  int
	filter []float32
	past   []int16 // wideband, as long as the filter, then what is new
	phase  int     // samples until the next one that is kept
}

func newDownsampler(times int) downsampler {
	return downsampler{times: times, filter: lowpass(times), past: make([]int16, 2*filterReach*times)}
}

// process appends the sound of in to out. What does not make a whole sample is
// kept for the next time.
func (d *downsampler) process(in, out []int16) []int16 {
	if d.times == 1 {
		return append(out, in...)
	}
	d.past = append(d.past, in...)
	at := d.phase
	for ; at+len(d.filter) <= len(d.past); at += d.times {
		sum := float32(0)
		for i, v := range d.past[at : at+len(d.filter)] {
			sum += d.filter[i] * float32(v)
		}
		out = append(out, clipped(sum))
	}
	keep := min(at, len(d.past)-len(d.filter)+1)
	d.phase = at - keep
	d.past = append(d.past[:0], d.past[keep:]...)
	return out
}

func clipped(v float32) int16 {
	return int16(min(max(math.Round(float64(v)), math.MinInt16), math.MaxInt16))
}

// sized returns a buffer of n elements, the same one where it is large enough.
func sized[T any](buf []T, n int) []T {
	if cap(buf) < n {
		return make([]T, n)
	}
	return buf[:n]
}
