//go:build libopus

package transcode

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/roomline/roomline/media"
)

// engines are both compiled in under this tag.
var engines = []*engine{&gopusEngine, &libopusEngine}

func encoderOf(t *testing.T, e *engine, rateHz int, s OpusSettings) Encoder {
	t.Helper()
	enc, err := newOpusEncoder(e, rateHz, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(enc.Close)
	return enc
}

func decoderOf(t *testing.T, e *engine, rateHz int) Decoder {
	t.Helper()
	d, err := newOpusDecoder(e, rateHz)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

func TestEnginesDecodeAlike(t *testing.T) {
	for _, by := range engines {
		for _, c := range []struct {
			rate, bitrate, ms int
			atLeast           float64 // dB
		}{{8000, 24000, 20, 90}, {8000, 24000, 60, 90}, {16000, 24000, 20, 60}, {48000, 32000, 20, 60}, {48000, 64000, 10, 60}} {
			e := encoderOf(t, by, c.rate, OpusSettings{Bitrate: c.bitrate, Complexity: 5})
			packets := encodeAll(t, e, vowels(c.rate, 3*c.rate), c.rate*c.ms/1000)
			ours := decodeAll(t, decoderOf(t, &gopusEngine, 8000), packets)
			theirs := decodeAll(t, decoderOf(t, &libopusEngine, 8000), packets)
			got := snrDB(theirs, ours)
			t.Logf("encoded by %s at %d Hz, %d bit/s, %d ms: %.1f dB between the decoders", by.name, c.rate, c.bitrate, c.ms, got)
			if got < c.atLeast {
				t.Errorf("encoded by %s at %d Hz, %d bit/s, %d ms: only %.1f dB", by.name, c.rate, c.bitrate, c.ms, got)
			}
		}
	}
	packets := stereoPackets(t)
	ours := decodeAll(t, decoderOf(t, &gopusEngine, 8000), packets)
	theirs := decodeAll(t, decoderOf(t, &libopusEngine, 8000), packets)
	if got := snrDB(theirs, ours); got < 60 {
		t.Errorf("stereo: only %.1f dB between the decoders", got)
	}
}

func TestEnginesEncodeAlike(t *testing.T) {
	for _, complexity := range []int{0, 5, 10} {
		var bytes [2]int
		var quality [2]float64
		for i, by := range engines {
			pcm := vowels(8000, 40000)
			packets := encodeAll(t, encoderOf(t, by, 8000, OpusSettings{Complexity: complexity}), pcm, 160)
			for _, p := range packets {
				bytes[i] += len(p)
			}
			heard := decodeAll(t, decoderOf(t, &libopusEngine, 8000), packets)
			quality[i] = bestSNR(pcm, heard)
		}
		t.Logf("complexity %d: gopus %d bytes %.2f dB, libopus %d bytes %.2f dB", complexity, bytes[0], quality[0], bytes[1], quality[1])
		if ratio := float64(bytes[0]) / float64(bytes[1]); ratio < 0.9 || ratio > 1.1 {
			t.Errorf("complexity %d: %d bytes by gopus, %d by libopus", complexity, bytes[0], bytes[1])
		}
		if quality[0] < quality[1]-1 {
			t.Errorf("complexity %d: %.2f dB by gopus, %.2f by libopus", complexity, quality[0], quality[1])
		}
	}
}

func TestEnginesRecoverAndConcealAlike(t *testing.T) {
	e := encoderOf(t, &libopusEngine, 8000, DefaultOpus())
	e.SetLoss(20)
	packets := encodeAll(t, e, vowels(8000, 32000), 160)
	for _, way := range []string{"recover", "conceal"} {
		var heard [2][]int16
		for i, by := range engines {
			d := decoderOf(t, by, 8000)
			for j, p := range packets[:len(packets)-1] {
				buf := make([]int16, 160)
				var err error
				switch {
				case j%5 != 4:
					_, err = d.Decode(p, buf)
				case way == "recover":
					_, err = d.Recover(packets[j+1], buf)
				default:
					_, err = d.Conceal(buf)
				}
				if err != nil {
					t.Fatal(err)
				}
				heard[i] = append(heard[i], buf...)
			}
		}
		got := snrDB(heard[1], heard[0]) // with all that follows each loss
		t.Logf("%s: %.1f dB between the engines", way, got)
		if got < 40 {
			t.Errorf("%s: only %.1f dB between the engines", way, got)
		}
	}
}

func TestEnginesRefuseAlike(t *testing.T) {
	seeds := encodeAll(t, encoderOf(t, &libopusEngine, 8000, DefaultOpus()), vowels(8000, 8000), 160)
	seeds = append(seeds, stereoPackets(t)...)
	rng := rand.New(rand.NewPCG(5, 6))
	pcm := make([]int16, 960)
	verdicts := map[string]int{}
	for range 5000 {
		p := mutate(rng, seeds[rng.IntN(len(seeds))])
		_, gopusErr := decoderOf(t, &gopusEngine, 8000).Decode(p, pcm)
		_, libopusErr := decoderOf(t, &libopusEngine, 8000).Decode(p, pcm)
		verdicts[fmt.Sprint(gopusErr == nil, libopusErr == nil)]++
		if (gopusErr == nil) != (libopusErr == nil) {
			t.Errorf("packet %x: gopus %v, libopus %v", p, gopusErr, libopusErr)
		}
	}
	t.Log("accepted by gopus and libopus:", verdicts)
}

// The library itself says how long a packet is.
func TestSamplesAgreeWithLibopus(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	seeds := stereoPackets(t)
	pcm := make([]int16, 960)
	for range 5000 {
		p := mutate(rng, seeds[rng.IntN(len(seeds))])
		state, err := newLibopusDecoder(8000)
		if err != nil {
			t.Fatal(err)
		}
		n, errTheirs := state.(*libopusDecoder).dec.Decode(append(make([]byte, 0, len(p)+1), p...), pcm)
		if len(p) == 0 {
			continue
		}
		if got, err := Samples(media.Opus, p, 8000); got != n || (err == nil) != (errTheirs == nil) {
			t.Errorf("packet %x: %d, %v; libopus says %d, %v", p, got, err, n, errTheirs)
		}
	}
}
