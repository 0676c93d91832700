package bridge

import (
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/transcode"
)

// Wherever a phone's stream goes over from one sound to another, be it a person, a
// mix, what the gateway plays or a quiet line, the new one is cross-faded with 5 ms of
// what the old one would have gone on with. Opus decoders smooth that themselves.

// pastLength is how much of what was sent concealment looks at, in ticks.
const pastLength = 480

// past is what a phone was sent last, as a payload of G.711; that of G.722 is kept as sound.
type past struct {
	payload [pastLength]byte
	codec   media.Codec
}

// tail is 5 ms of what a road would have sent next. The zero value says that it is to
// be guessed from what was sent.
type tail struct {
	pcm   [2 * joinSamples]int16
	times int // its rate in units of 8 kHz
}

// seam has the next sound faded from what was sent last. k.mu is held.
func (k *Sink) seam() {
	if k.performs() || k.form.Load().frame == 0 { // Play's end is a seam itself
		return
	}
	if !k.joining.Load() {
		k.tail = tail{}
	}
	k.joining.Store(true)
}

// mend cross-fades into pcm, of so many times 8 kHz, in place, where a seam is open.
// It leaves it open if there is another one after pcm. k.mu is held.
func (k *Sink) mend(pcm []int16, times int, again bool) {
	if !k.joining.Load() {
		return
	}
	if k.tail.times == 0 {
		k.tail = k.past.continued(&k.fade)
	}
	k.tail.fade(pcm, times)
	k.tail = tail{}
	k.joining.Store(again)
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

// sent keeps a payload of G.711.
func (p *past) sent(codec media.Codec, payload []byte) {
	if p.codec != codec {
		p.codec, p.payload = codec, [pastLength]byte{}
		for i := range p.payload {
			p.payload[i] = silenceByte[codec]
		}
	}
	n := min(len(payload), pastLength)
	copy(p.payload[:], p.payload[n:])
	copy(p.payload[pastLength-n:], payload[len(payload)-n:])
}

// heard keeps sound that was sent as G.722.
func (p *past) heard(room *lazy[fadeRoom], pcm []int16) {
	past := &room.get().wide
	if p.codec != media.G722 {
		p.codec, *past = media.G722, [2 * pastLength]int16{}
	}
	n := min(len(pcm), len(past))
	copy(past[:], past[n:])
	copy(past[len(past)-n:], pcm[len(pcm)-n:])
}

// continued guesses what would have come next, as if packets were lost.
func (p *past) continued(room *lazy[fadeRoom]) (t tail) {
	if t.times = 1; p.codec == media.G722 {
		t.times = 2
		c := transcode.Concealer{Wide: true}
		c.Heard(room.get().wide[:])
		c.Fill(t.pcm[:])
		return t
	}
	if d, err := transcode.NewDecoder(p.codec, media.NarrowbandHz); err == nil {
		defer d.Close()
		var pcm [pastLength]int16
		_, _ = d.Decode(p.payload[:], pcm[:])
		_, _ = d.Conceal(t.pcm[:joinSamples])
	}
	return t
}
