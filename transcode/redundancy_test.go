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
