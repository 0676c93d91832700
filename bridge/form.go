package bridge

import (
	"bytes"
	"cmp"
	"sync"
	"time"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/rtp"
	"github.com/roomline/roomline/transcode"
)

// form is how a Sink's packets look. It is immutable.
type form struct {
	codec   media.Codec
	frame   int    // ticks per packet; 0: as the sound comes
	pace    int    // ticks per packet of those that the gateway makes itself
	silence []byte // Opus: a packet of it
	hum     *hum   // else: what is sent when there is nothing to hear

	opus   transcode.OpusSettings
	narrow bool // the listener plays no more than narrowband Opus
}

// rateHz is the rate of sound that is encoded in this form, where wide sound can be had or not.
func (f *form) rateHz(wide bool) int { return rateOf(f.codec, wide && !f.narrow) }

// Ask follows what the listener asks of Opus. Where it has not said that it can
// use redundancy, none is sent.
func (k *Sink) Ask(o rtp.Opus) {
	k.listener.x.change(func(*change) {
		now := k.form.Load()
		next := *now
		next.narrow = o.MaxPlaybackHz > 0 && o.MaxPlaybackHz <= media.NarrowbandHz
		next.opus = k.opus
		next.opus.FEC = k.opus.FEC && o.FEC
		usual := cmp.Or(k.opus.Bitrate, transcode.DefaultOpus().Bitrate)
		if o.MaxBitrate >= transcode.LeastBitrate && o.MaxBitrate < usual {
			next.opus.Bitrate = o.MaxBitrate
		}
		if next.narrow == now.narrow && next.opus == now.opus {
			return
		}
		k.form.Store(&next)
		k.mix.release()
		k.listener.room.rewireLocked()
	})
}

func newForm(codec media.Codec, ptime time.Duration, opus transcode.OpusSettings) *form {
	f := &form{codec: codec, pace: media.FrameSamples, opus: opus}
	switch codec {
	case media.PCMU, media.PCMA, media.G722:
		if ptime > 0 {
			f.pace = max(80, int(ptime*media.NarrowbandHz/time.Second))
		}
		f.frame = f.pace
	case media.Opus:
		f.silence = opusSilence()
	}
	if f.frame > 0 {
		f.hum = hums[codec]()
	}
	return f
}

// opusSilence is a packet of 20 ms of silence, once the encoder has settled.
var opusSilence = sync.OnceValue(func() []byte {
	e, err := transcode.NewEncoder(media.Opus, media.WidebandHz, transcode.DefaultOpus())
	if err != nil {
		return nil
	}
	defer e.Close()
	pcm, out, n := make([]int16, 2*media.FrameSamples), make([]byte, transcode.MaxPayload), 0
	for range 10 {
		if n, err = e.Encode(pcm, out); err != nil {
			return nil
		}
	}
	return bytes.Clone(out[:n])
})
