package amd

import (
	"math"
	"time"

	"github.com/roomline/roomline/media"
)

const (
	frameTime   = media.FrameDuration
	frameLength = media.FrameSamples
	mostSkipped = 1000 // frames of silence that are counted one by one

	binHz    = float64(media.NarrowbandHz) / frameLength // 50 Hz
	bins     = 60                                        // up to 3 kHz
	lowest   = 4                                         // 200 Hz
	lobe     = 2                                         // bins on either side that belong to a tone
	evenDB   = 5.0
	silent   = -127.0
	hardware = -80.0 // dBov below which there is no line, only zeros
)

// frame gathers 20 ms.
type frame struct {
	pcm  [frameLength]int16
	have int
	n    int // frames that are over
}

// end is when the frame that is over last ended.
func (f *frame) end() time.Duration { return time.Duration(f.n) * frameTime }

func (f *frame) take(pcm []int16) (n int, full bool) {
	n = copy(f.pcm[f.have:], pcm)
	if f.have += n; f.have < frameLength {
		return n, false
	}
	f.have = 0
	f.n++
	return n, true
}

// measure is what is known of 20 ms.
type measure struct {
	db    float64 // level, dBov
	hz    float64 // of the strongest tone
	pure  float64 // its share of the power, 0 to 1
	twain float64 // the same of the two strongest
	even  bool    // it is as loud all the time, as two tones at once are not
}

var (
	window = hann()
	waves  = cosines()
)

func hann() (w [frameLength]float32) {
	for i := range w {
		w[i] = float32(0.5 - 0.5*math.Cos(2*math.Pi*(float64(i)+0.5)/frameLength))
	}
	return w
}

// cosines has one period of the lowest bin, in which all others are found.
func cosines() (c [frameLength]float32) {
	for i := range c {
		c[i] = float32(math.Cos(2 * math.Pi * float64(i) / frameLength))
	}
	return c
}

// measure measures the frame that is full.
func (f *frame) measure() measure {
	m := measure{db: media.Level(f.pcm[:])}
	if m.db < quietest {
		return m
	}
	var power [bins]float64
	m.even = f.even()
	total := f.spectrum(&power)
	if total <= 0 {
		return m
	}
	first, share := strongest(&power)
	m.hz, m.pure = peak(&power, first), share/total
	for i := max(0, first-lobe); i <= min(bins-1, first+lobe); i++ {
		power[i] = 0
	}
	_, second := strongest(&power)
	m.twain = (share + second) / total
	return m
}

// even reports whether all quarters are about as loud.
func (f *frame) even() bool {
	soft, hard := 0.0, silent
	for i := range 4 {
		db := media.Level(f.pcm[i*frameLength/4 : (i+1)*frameLength/4])
		soft, hard = min(soft, db), max(hard, db)
	}
	return hard-soft < evenDB
}

// spectrum fills in the power at each bin, and returns the sum.
func (f *frame) spectrum(power *[bins]float64) (total float64) {
	var x [frameLength]float32
	for i, v := range f.pcm {
		x[i] = float32(v) * window[i]
	}
	for k := range power {
		re, im, at := float32(0), float32(0), 0
		for _, v := range x {
			re += v * waves[at]
			im += v * waves[(at+frameLength/4)%frameLength]
			if at += k; at >= frameLength {
				at -= frameLength
			}
		}
		power[k] = float64(re)*float64(re) + float64(im)*float64(im)
		if k >= 1 { // a line's offset is no sound
			total += power[k]
		}
	}
	return total
}

// strongest returns the bin of the strongest tone, and the power of its lobe.
func strongest(power *[bins]float64) (bin int, share float64) {
	for k := lowest; k < bins; k++ {
		if power[k] > power[bin] || bin == 0 {
			bin = k
		}
	}
	for k := max(1, bin-lobe); k <= min(bins-1, bin+lobe); k++ {
		share += power[k]
	}
	return bin, share
}

// peak is the frequency of a tone whose strongest bin is k: where a Hann window has
// its peak, seen from the bins on either side.
func peak(power *[bins]float64, k int) float64 {
	if k == 0 || k == bins-1 || power[k] == 0 {
		return float64(k) * binHz
	}
	left, mid, right := math.Sqrt(power[k-1]), math.Sqrt(power[k]), math.Sqrt(power[k+1])
	side, sign := right, 1.0
	if left > right {
		side, sign = left, -1
	}
	r := side / mid
	return (float64(k) + sign*(2*r-1)/(r+1)) * binHz
}
