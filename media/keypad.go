package media

import (
	"math"
	"strings"
	"time"
)

// The frequencies of ITU-T Q.23, low group by row and high group by column, and
// the keys that they make together.
var (
	keyRows    = [4]float64{697, 770, 852, 941}
	keyColumns = [4]float64{1209, 1336, 1477, 1633}
)

const keyGrid = "123A456B789C*0#D"

// Levels of a key's two tones in dBov: -9 and -7 dBm0, where 0 dBm0 is 6.15 dB
// below the overload of G.711 (ITU-T G.711 table 5).
const (
	keyLowDB  = -9 - 6.15
	keyHighDB = -7 - 6.15
)

// A key and the pause after it, unless told otherwise.
const (
	KeyLength = 100 * time.Millisecond
	KeyPause  = 80 * time.Millisecond
)

// Keypad plays keys as tones, one after the other, at [NarrowbandHz]. The zero
// value is silent and ready. Not safe for concurrent use.
type Keypad struct {
	waiting []rune
	tone    *Tone
	left    int // samples of the key under way, or of the pause after it
	pause   bool
}

// Press queues one key, 0-9 * # A-D; others are passed over.
func (k *Keypad) Press(key rune) {
	if strings.ContainsRune(keyGrid, key) {
		k.waiting = append(k.waiting, key)
	}
}

// Waiting returns how many keys have not begun yet.
func (k *Keypad) Waiting() int { return len(k.waiting) }

// Sounding reports whether keys or the pause after one are left to play.
func (k *Keypad) Sounding() bool { return k.left > 0 || len(k.waiting) > 0 }

// Fill writes the next len(pcm) samples, silence after the last key.
func (k *Keypad) Fill(pcm []int16) {
	for len(pcm) > 0 {
		if k.left == 0 && !k.next() {
			clear(pcm)
			return
		}
		n := min(k.left, len(pcm))
		if k.pause {
			clear(pcm[:n])
		} else {
			k.tone.Fill(pcm[:n])
		}
		k.left, pcm = k.left-n, pcm[n:]
	}
}

// next begins the pause after a key, or the next key.
func (k *Keypad) next() bool {
	if k.tone != nil && !k.pause {
		k.pause, k.left = true, samplesIn(KeyPause)
		return true
	}
	k.tone, k.pause = nil, false
	if len(k.waiting) == 0 {
		return false
	}
	k.tone, k.left = keyTone(k.waiting[0], KeyLength), samplesIn(KeyLength)
	k.waiting = k.waiting[1:]
	return true
}

// keyTone is one press of a key with ramps of 5 ms.
func keyTone(key rune, length time.Duration) *Tone {
	at := strings.IndexRune(keyGrid, key)
	t := newTone(NarrowbandHz, keyLowDB, []float64{keyRows[at/4], keyColumns[at%4]}, []time.Duration{length, time.Hour})
	t.tilt = math.Pow(10, (keyHighDB-keyLowDB)/20)
	return t
}

func samplesIn(d time.Duration) int { return int(d * NarrowbandHz / time.Second) }

// Beep makes one short tone, such as before a PIN is keyed: 1000 Hz, 200 ms,
// then silence for an hour.
func Beep(rateHz int) *Tone {
	return newTone(rateHz, -19, []float64{1000}, []time.Duration{200 * time.Millisecond, time.Hour})
}
