package bridge

import (
	"slices"
	"sync"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/transcode"
)

const (
	// humLevel is how loud a line is on which nobody speaks, in -dBov: enough not to
	// sound dead, too little to be noticed. With the codecs' own noise it stays below -66.
	humLevel = 67
	// humLength is how long it takes to repeat itself, in ticks: 4 s.
	humLength = 4 * media.NarrowbandHz
)

// hum is noise in a codec, for all streams. It is immutable.
type hum struct {
	codec   media.Codec
	pcm     []int16 // at the codec's rate; its beginning follows once more
	payload []byte  // the same in G.711, of which any part is a packet
}

var silenceByte = map[media.Codec]byte{media.PCMU: 0xFF, media.PCMA: 0xD5}

// hums are made when they are first needed.
var hums = map[media.Codec]func() *hum{
	media.PCMU: sync.OnceValue(func() *hum { return newHum(media.PCMU) }),
	media.PCMA: sync.OnceValue(func() *hum { return newHum(media.PCMA) }),
	media.G722: sync.OnceValue(func() *hum { return newHum(media.G722) }),
}

func newHum(codec media.Codec) *hum {
	var noise transcode.ComfortNoise
	_ = noise.Update([]byte{humLevel}) // well formed
	n := times(rateOf(codec, true))
	pcm := make([]int16, n*humLength)
	if n > 1 {
		noise.FillWide(pcm)
		return &hum{codec: codec, pcm: slices.Concat(pcm, pcm[:n*longestPacket])}
	}
	noise.Fill(pcm)
	h := &hum{codec: codec, pcm: slices.Concat(pcm, pcm[:longestPacket])}
	h.payload = h.encode(h.pcm, make([]byte, len(h.pcm)))
	return h
}

// encode encodes sound in G.711, whose coders have no memory.
func (h *hum) encode(pcm []int16, out []byte) []byte {
	e, err := transcode.NewEncoder(h.codec, media.NarrowbandHz, transcode.OpusSettings{})
	if err != nil {
		return nil
	}
	defer e.Close()
	n, _ := e.Encode(pcm, out)
	return out[:n]
}
