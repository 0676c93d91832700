package transcode

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/roomline/roomline/media"
)

// sine returns a tone with the given amplitude, 0 to 32767.
func sine(freqHz float64, rateHz, samples int, amplitude float64) []int16 {
	pcm := make([]int16, samples)
	for i := range pcm {
		pcm[i] = int16(math.Round(amplitude * math.Sin(2*math.Pi*freqHz*float64(i)/float64(rateHz))))
	}
	return pcm
}

// vowels returns something that codecs take for speech: pulses of a gliding
// pitch through three resonances, syllables with pauses between them, and a
// little noise.
func vowels(rateHz, samples int) []int16 {
	rng := rand.New(rand.NewPCG(1, 2))
	pcm := make([]int16, samples)
	formants := [3]resonance{}
	phase := 0.0
	for i := range pcm {
		t := float64(i) / float64(rateHz)
		phase += (110 + 40*math.Sin(2*math.Pi*0.7*t)) / float64(rateHz)
		pulse := rng.NormFloat64() * 0.02
		if phase >= 1 {
			phase--
			pulse++
		}
		sum := formants[0].next(pulse, 500+200*math.Sin(2*math.Pi*1.1*t), 80, rateHz) +
			0.6*formants[1].next(pulse, 1400+400*math.Sin(2*math.Pi*0.9*t), 100, rateHz) +
			0.3*formants[2].next(pulse, 2500, 140, rateHz)
		syllable := max(math.Sin(2*math.Pi*1.6*t), 0.003)
		pcm[i] = clip(float32(9000 * syllable * sum))
	}
	return pcm
}

type resonance struct{ y1, y2 float64 }

func (r *resonance) next(x, freqHz, widthHz float64, rateHz int) float64 {
	a := math.Exp(-math.Pi * widthHz / float64(rateHz))
	y := x + 2*a*math.Cos(2*math.Pi*freqHz/float64(rateHz))*r.y1 - a*a*r.y2
	r.y1, r.y2 = y, r.y1
	return y
}

// toneDB returns the level of a tone in dB relative to a full-scale sine.
func toneDB(pcm []int16, rateHz int, freqHz float64) float64 {
	var re, im float64
	for i, v := range pcm {
		sin, cos := math.Sincos(2 * math.Pi * freqHz * float64(i) / float64(rateHz))
		re += float64(v) * cos
		im += float64(v) * sin
	}
	return 20 * math.Log10(2*math.Hypot(re, im)/float64(len(pcm))/32768+1e-9)
}

// rmsDB returns the level in dB relative to a full-scale sine.
func rmsDB(pcm []int16) float64 {
	var sum float64
	for _, v := range pcm {
		sum += float64(v) * float64(v)
	}
	return 10 * math.Log10(2*sum/float64(max(len(pcm), 1))/(32768*32768)+1e-12)
}

// snrDB compares got with want, sample by sample.
func snrDB(want, got []int16) float64 {
	var signal, noise float64
	for i := range want {
		d := float64(want[i]) - float64(got[i])
		signal += float64(want[i]) * float64(want[i])
		noise += d * d
	}
	return 10 * math.Log10((signal+1)/(noise+1e-3))
}

// bestSNR compares a decoded signal with its original at the best delay.
func bestSNR(pcm, heard []int16) float64 {
	best := -100.0
	for delay := range 120 {
		n := min(len(pcm), len(heard)-delay)
		best = max(best, snrDB(pcm[:n], heard[delay:delay+n]))
	}
	return best
}

func openDecoder(t testing.TB, codec media.Codec, rateHz int) Decoder {
	t.Helper()
	d, err := NewDecoder(codec, rateHz)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

func openEncoder(t testing.TB, codec media.Codec, rateHz int, s OpusSettings) Encoder {
	t.Helper()
	e, err := NewEncoder(codec, rateHz, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// encodeAll cuts pcm into frames and encodes them.
func encodeAll(t testing.TB, e Encoder, pcm []int16, frame int) [][]byte {
	t.Helper()
	var packets [][]byte
	for ; len(pcm) >= frame; pcm = pcm[frame:] {
		out := make([]byte, MaxPayload)
		n, err := e.Encode(pcm[:frame], out)
		if err != nil {
			t.Fatal(err)
		}
		packets = append(packets, out[:n])
	}
	return packets
}

// decodeAll decodes packets one after the other.
func decodeAll(t testing.TB, d Decoder, packets [][]byte) []int16 {
	t.Helper()
	var pcm []int16
	buf := make([]int16, 5760)
	for i, p := range packets {
		n, err := d.Decode(p, buf)
		if err != nil {
			t.Fatalf("packet %d: %v", i, err)
		}
		pcm = append(pcm, buf[:n]...)
	}
	return pcm
}
