package bridge

import (
	"fmt"
	"testing"
	"time"

	"github.com/roomline/roomline/media"
)

// TestNobodyHearsThemselves looks for each phone's own tone in what it hears of
// a room in which all speak at once: over a long window, in which G.711's own noise
// is 60 dB down; that of Opus, which codes five tones badly, is 48.
func TestNobodyHearsThemselves(t *testing.T) {
	freqs := []float64{437.31, 641.73, 853.17, 1051.59, 1259.87} // with no common measure, lest the codec's noise have lines
	for _, codec := range []media.Codec{media.PCMU, media.Opus} {
		apart := map[media.Codec]float64{media.PCMU: 60, media.Opus: 48}[codec]
		for phones := 3; phones <= 5; phones++ {
			t.Run(fmt.Sprintf("%d phones, %s", phones, codec), func(t *testing.T) {
				withRoom(t, func(t *testing.T, _ *Exchange, r *Room) {
					wires, voices := make([]*wire, phones), make([]*voice, phones)
					for i := range phones {
						p := join(t, r, fmt.Sprint("phone", i), KindPhone)
						wires[i] = &wire{}
						p.Listen(wires[i], codec, 0)
						voices[i] = newVoice(t, p, codec, freqs[i], 160)
					}
					for range 400 { // 8 s
						for _, v := range voices {
							v.src.Push(v.next())
						}
						time.Sleep(20 * time.Millisecond)
					}
					for i, w := range wires {
						pcm := decoded(t, w.all())
						pcm = pcm[len(pcm)-48000:]
						own := media.ToneLevel(pcm, 8000, freqs[i])
						other := media.ToneLevel(pcm, 8000, freqs[(i+1)%phones])
						if own > other-apart {
							t.Errorf("phone %d hears itself at %.1f dBov, the next one at %.1f", i, own, other)
						}
						if other < -23 {
							t.Errorf("phone %d hears the next one at %.1f dBov only", i, other)
						}
					}
				})
			})
		}
	}
}
