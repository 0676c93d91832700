package media

import "math"

// What is taken for a key, after ITU-T Q.24: two tones that agree with one key
// for two blocks in a row, which 40 ms hold wherever they begin and 23 ms never
// do.
const (
	keyBlock  = 102   // samples, 12.75 ms
	keySettle = 56    // samples after a gap that are passed over, 7 ms
	keyHits   = 2     // blocks in a row make a key
	keyMisses = 4     // blocks in a row of other sound end it: what a lost packet spoils is bridged
	keyQuiets = 2     // blocks in a row of silence end it
	keyTwist  = 6.31  // 8 dB: how much more power the low tone may have
	keyLean   = 3.99  // 6 dB: and the high one
	keyPurity = 0.82  // of a block's power, at least, is in the two tones
	keyClear  = 6.31  // 8 dB: each tone above the others of its group
	keyQuiet  = 0.005 // 23 dB below the key's power is silence
)

// keyLeast is the least power of each tone: -31 dBm0.
var keyLeast = float32(math.Pow(10, (-31-6.15)/10) * fullScale * fullScale)

var keyCoeffs = makeKeyCoeffs()

func makeKeyCoeffs() (c [8]float32) {
	for i := range 4 {
		c[i] = float32(2 * math.Cos(2*math.Pi*keyRows[i]/NarrowbandHz))
		c[4+i] = float32(2 * math.Cos(2*math.Pi*keyColumns[i]/NarrowbandHz))
	}
	return c
}

// KeyDetector hears the keys of a keypad in narrowband sound. The zero value is
// ready. It allocates nothing; not safe for concurrent use.
type KeyDetector struct {
	s1, s2 [8]float32 // Goertzel filters
	energy float32
	n      int // samples of the block so far
	skip   int // samples to pass over before it

	last   byte    // the key of the block before, 0: none
	hits   int     // blocks in a row with it
	held   byte    // the key that has been told and still sounds
	power  float32 // of its tones
	misses int     // blocks in a row without it
	quiets int     // of them, blocks of silence in a row
}

// Hear takes sound at [NarrowbandHz] and returns the key that has begun in it, if
// one has; each press is told once, after at most 40 ms. Sound that was made up
// for a lost packet is not to be given, see Gap.
// More than 40 ms at a time may hold two keys, of which the later one is told.
func (d *KeyDetector) Hear(pcm []int16) (key rune, ok bool) {
	n := min(d.skip, len(pcm))
	d.skip -= n
	for pcm = pcm[n:]; len(pcm) > 0; {
		n := min(keyBlock-d.n, len(pcm))
		d.filter(pcm[:n])
		pcm = pcm[n:]
		if d.n += n; d.n < keyBlock {
			break
		}
		if k := d.follow(d.judge()); k != 0 {
			key, ok = rune(k), true
		}
		d.clear()
	}
	return key, ok
}

// Gap tells that sound is missing, or was made up, before what Hear gets next: a
// key on both sides of it is one, and no block reaches across it. What follows
// is passed over for as long as decoders fade back in, such that a packet of 20 ms
// by itself still holds a block.
func (d *KeyDetector) Gap() {
	d.clear()
	d.skip = keySettle
}

func (d *KeyDetector) clear() {
	d.s1, d.s2, d.energy, d.n = [8]float32{}, [8]float32{}, 0, 0
}

// filter runs two filters at a time, so that their chains of dependent
// operations overlap.
func (d *KeyDetector) filter(pcm []int16) {
	for f := 0; f < 8; f += 2 {
		c, e := keyCoeffs[f], keyCoeffs[f+1]
		a1, a2, b1, b2 := d.s1[f], d.s2[f], d.s1[f+1], d.s2[f+1]
		for _, v := range pcm {
			x := float32(v)
			a1, a2 = x+c*a1-a2, a1
			b1, b2 = x+e*b1-b2, b1
		}
		d.s1[f], d.s2[f], d.s1[f+1], d.s2[f+1] = a1, a2, b1, b2
	}
	for _, v := range pcm {
		d.energy += float32(v) * float32(v)
	}
}

// judge returns the key of a full block, 0 if it is none, and the block's mean power.
func (d *KeyDetector) judge() (key byte, power float32) {
	var tones [8]float32 // mean power of each tone
	for i, c := range keyCoeffs {
		p := d.s1[i]*d.s1[i] + d.s2[i]*d.s2[i] - c*d.s1[i]*d.s2[i]
		tones[i] = p * 2 / (keyBlock * keyBlock)
	}
	power = d.energy / keyBlock
	row, low, lowClear := strongest(tones[:4])
	column, high, highClear := strongest(tones[4:])
	switch {
	case low < keyLeast, high < keyLeast, !lowClear, !highClear,
		low > high*keyTwist, high > low*keyLean, low+high < keyPurity*power:
		return 0, power
	}
	return keyGrid[4*row+column], power
}

// strongest returns the loudest of a group, and whether it stands out.
func strongest(group []float32) (at int, power float32, clear bool) {
	for i, p := range group {
		if p > power {
			at, power = i, p
		}
	}
	for i, p := range group {
		if i != at && p*keyClear > power {
			return at, power, false
		}
	}
	return at, power, true
}

// follow takes the verdict on one block, and returns a key that begins with it.
func (d *KeyDetector) follow(key byte, power float32) (begun byte) {
	if key != 0 && key == d.last {
		d.hits++
	} else {
		d.last, d.hits = key, 1
	}
	if d.held != 0 {
		if key == d.held {
			d.misses, d.quiets = 0, 0
			return 0
		}
		d.misses++
		if d.quiets++; power > d.power*keyQuiet {
			d.quiets = 0
		}
		if d.misses < keyMisses && d.quiets < keyQuiets && (key == 0 || d.hits < keyHits) {
			return 0
		}
		d.held = 0
	}
	if key == 0 || d.hits < keyHits {
		return 0
	}
	d.held, d.power, d.misses, d.quiets = key, power, 0, 0
	return key
}
