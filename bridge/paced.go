package bridge

import (
	"time"

	"github.com/roomline/roomline/media"
)

// fill keeps a phone's stream alive while nobody drives it.
func (k *Sink) fill(now time.Time) {
	quiet, f := now.Sub(k.num.at), k.form.Load()
	frame := time.Duration(f.pace) * time.Second / media.NarrowbandHz
	if k.num.begun && (quiet < frame-5*time.Millisecond || !k.filling && quiet < fillAfter) {
		return
	}
	k.filling = true
	k.write(k.num.fill(now, k.paceLength(f)), f.codec, k.quiet(f))
}

// quiet is a packet of what a line sounds like on which nobody speaks. k.mu is held.
func (k *Sink) quiet(f *form) []byte {
	if f.frame == 0 { // Opus
		return f.silence
	}
	at := k.hum
	k.hum = (at + f.pace) % humLength
	n := times(f.rateHz(true))
	joins := k.joining.Load() && !(k.hushed && k.awaits)
	if k.hushed = true; n == 1 && !joins {
		return f.hum.payload[at : at+f.pace]
	}
	pcm := k.fade.get().pcm[:copy(k.fade.get().pcm[:f.pace*n], f.hum.pcm[at*n:])]
	if joins {
		k.mend(pcm, n, k.awaits)
	}
	if f.codec == media.G722 {
		return k.encodeG722(pcm)
	}
	return f.hum.encode(pcm, k.fade.get().out[:])
}

// paceLength is the length of a packet that the gateway makes itself, in units of
// the stream's clock.
func (k *Sink) paceLength(f *form) int64 {
	return int64(f.pace) * k.num.rate / media.NarrowbandHz
}

// sendFrame encodes and sends one beat's sound, unless the road has changed
// meanwhile: still is asked with k.mu held.
func (k *Sink) sendFrame(frame []int16, rateHz int, now time.Time, still func() bool) {
	f := k.form.Load()
	for _, pcm := range k.mix.gather(frame, f.frame*times(rateHz)) {
		if k.joining.Load() {
			k.mu.Lock()
			k.mend(pcm, times(rateHz), false)
			k.mu.Unlock()
		}
		payload, err := []byte(nil), error(nil)
		if f.codec != media.G722 {
			payload, err = k.mix.encode(f.codec, rateHz, f.opus, pcm)
		}
		k.mu.Lock()
		if err == nil && k.form.Load() == f && !k.closed.Load() && !k.keys.sending() && still() {
			k.sendPaced(f, payload, pcm, rateHz, now)
		}
		k.mu.Unlock()
	}
}

// sendPaced numbers and writes a packet of the beat's. k.mu is held.
func (k *Sink) sendPaced(f *form, payload []byte, pcm []int16, rateHz int, now time.Time) {
	if f.codec == media.G722 {
		payload = k.encodeG722(pcm)
	}
	length := int64(len(pcm)) * k.num.rate / int64(rateHz)
	late := now.Sub(k.num.at) > beatStall
	k.filling, k.hushed = false, false
	k.write(k.num.beat(now, length, late), f.codec, payload)
}

func (k *Sink) tickKeys(now time.Time) {
	step, ok := k.keys.next()
	if !ok { // a pause between keys
		f := k.form.Load()
		k.write(k.num.beat(now, k.paceLength(f), false), f.codec, k.quiet(f))
		return
	}
	k.keys.write(k, step, now)
}
