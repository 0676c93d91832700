package transcode

import (
	"math/rand/v2"
	"testing"

	"github.com/thesyncim/gopus"

	"github.com/roomline/roomline/media"
)

// redundant encodes with redundancy for 20 % loss.
func redundant(t testing.TB, rateHz, ms int) [][]byte {
	t.Helper()
	e := openEncoder(t, media.Opus, rateHz, DefaultOpus())
	e.SetLoss(20)
	return encodeAll(t, e, vowels(rateHz, rateHz*3), rateHz*ms/1000)
}

func TestRedundancyIsSeen(t *testing.T) {
	for _, ms := range []int{10, 20, 40, 60} {
		plain := openEncoder(t, media.Opus, 8000, DefaultOpus())
		for i, p := range encodeAll(t, plain, vowels(8000, 8000), 8*ms) {
			if got := Redundancy(media.Opus, p, 8000); got != 0 {
				t.Fatalf("%d ms, packet %d: %d samples of redundancy, none was encoded", ms, i, got)
			}
		}
		seen := 0
		for _, p := range redundant(t, 8000, ms) {
			if got := Redundancy(media.Opus, p, 8000); got == 8*ms {
				seen++
			} else if got != 0 {
				t.Fatalf("%d ms: redundancy of %d samples", ms, got)
			}
		}
		if all := 3000 / ms; seen < all/2 {
			t.Errorf("%d ms: redundancy in %d of %d packets", ms, seen, all)
		}
	}
	for _, codec := range []media.Codec{media.PCMU, media.G722} {
		if Redundancy(codec, make([]byte, 160), 8000) != 0 {
			t.Errorf("%s has redundancy", codec)
		}
	}
}

// The other opinion is that of the engine's own parser.
func TestRedundancyIsWhatTheEngineSees(t *testing.T) {
	seeds := append(redundant(t, 8000, 20), redundant(t, 16000, 60)...)
	seeds = append(seeds, stereoPackets(t)...)
	rng := rand.New(rand.NewPCG(5, 6))
	for range 20000 {
		p := mutate(rng, seeds[rng.IntN(len(seeds))])
		if _, err := opusUnits(p); err != nil {
			if Redundancy(media.Opus, p, 8000) != 0 {
				t.Fatalf("%x is malformed and has redundancy", p)
			}
			continue
		}
		want := gopus.PacketHasLBRR(p) && len(firstFrame(p)) > 1 // decoders take a single byte for DTX
		if got := Redundancy(media.Opus, p, 8000) > 0; got != want {
			t.Fatalf("%x: redundancy %v, the engine says %v", p, got, want)
		}
	}
}

// At the bitrate that the gateway uses, speech over a line that loses packets at
// random: how many of the lost ones can be recovered from the next.
func TestMostLossesAreRecovered(t *testing.T) {
	for _, rateHz := range []int{8000, 16000} {
		speech := spokenAt(rateHz)
		for _, loss := range []int{2, 5, 10, 25} {
			e := openEncoder(t, media.Opus, rateHz, DefaultOpus())
			e.SetLoss(loss)
			packets := encodeAll(t, e, speech, rateHz/50)
			rng := rand.New(rand.NewPCG(7, uint64(loss)))
			lost, recovered, bytes := 0, 0, 0
			for _, p := range packets {
				bytes += len(p)
			}
			for range 50 {
				for i := range packets[1:] {
					if rng.IntN(100) < loss {
						lost++
						if rng.IntN(100) >= loss && Redundancy(media.Opus, packets[i+1], rateHz) == rateHz/50 {
							recovered++
						}
					}
				}
			}
			share := 100 * recovered / lost
			t.Logf("%d Hz, %d %% loss: %d %% recovered, %.1f kbit/s", rateHz, loss, share, float64(bytes)*0.4/float64(len(packets)))
			if share < 60 {
				t.Errorf("%d Hz, %d %% loss: %d %% of the lost packets can be recovered", rateHz, loss, share)
			}
		}
	}
}

// spokenAt is the recorded speech at 8 or 16 kHz.
func spokenAt(rateHz int) []int16 {
	payload := media.Speech()
	pcm := make([]int16, len(payload))
	d, _ := NewDecoder(media.PCMU, 8000)
	n, _ := d.Decode(payload, pcm)
	if rateHz == 8000 {
		return pcm[:n]
	}
	var up Upsampler
	wide := make([]int16, 0, 2*n)
	for buf := make([]int16, 320); len(pcm) >= 160; pcm = pcm[160:] {
		wide = append(wide, buf[:up.Process(pcm[:160], buf)]...)
	}
	return wide
}
