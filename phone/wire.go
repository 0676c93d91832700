package phone

import (
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/rtp"
)

// Wire is what a Mouth speaks into; an rtp.Session is one.
type Wire interface {
	media.Writer
	Params() rtp.Params // Codec, Ptime and Send matter
}

// Track makes a Wire of a Writer that always takes codec, G.711 or Opus, in
// packets of 20 ms.
func Track(w media.Writer, codec media.Codec) Wire { return track{w, codec} }

type track struct {
	media.Writer
	codec media.Codec
}

func (t track) Params() rtp.Params {
	return rtp.Params{Codec: t.codec, Ptime: media.FrameDuration, Send: true}
}
