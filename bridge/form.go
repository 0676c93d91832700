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
	silence []byte // a packet of it; G.722 has none that is silent after any sound

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
	if b, ok := silenceByte[codec]; ok {
		f.silence = bytes.Repeat([]byte{b}, f.frame)
	}
	return f
}

var silenceByte = map[media.Codec]byte{media.PCMU: 0xFF, media.PCMA: 0xD5}

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

// tail is 5 ms of what a road would have sent next.
type tail struct {
	pcm   [2 * joinSamples]int16
	times int // its rate in units of 8 kHz
}

// fade cross-fades from the tail into pcm, of so many times 8 kHz, in place.
func (t *tail) fade(pcm []int16, times int) {
	n := joinSamples * times
	for i := range min(n, len(pcm)) {
		old := int(t.pcm[i*t.times/times])
		if t.times < times && i%2 == 1 { // between two samples
			old = (old + int(t.pcm[min(i/2+1, joinSamples-1)])) / 2
		}
		pcm[i] = int16((old*(n-i) + int(pcm[i])*i) / n)
	}
}
