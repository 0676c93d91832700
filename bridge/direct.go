package bridge

import (
	"time"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/transcode"
)

type road uint8

const (
	roadDirect road = iota
	roadMixed
)

// road decides how a packet of s that has just arrived reaches this sink. A
// second active source turns the road to mixed at once.
func (k *Sink) road(s *Source, now time.Time) road {
	if s.speaker != nil {
		k.yield()
	}
	if k.driver.Load() == s {
		return roadDirect
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.mixing {
		return roadMixed
	}
	if d := k.driver.Load(); d != nil && d.active(now) && k.hears(d) {
		k.mixing, k.single, k.drove, k.awaits = true, time.Time{}, d, false
		k.driver.Store(nil)
		if k.form.Load().codec == media.G722 { // the mix's own resamplers begin anew
			k.seam()
		}
		return roadMixed
	}
	if k.fills && !k.begins(s) {
		k.seam()
		k.awaits = true
	}
	k.driver.Store(s)
	return roadDirect
}

// begins reports whether s may be heard as it is after what was sent last: a voice
// that begins on a quiet line, and G.722 towards G.722 after a pause, lest it never
// pass untouched. k.mu is held.
func (k *Sink) begins(s *Source) bool {
	if s.speaker != nil && (k.hushed || !k.num.begun) && !k.joining.Load() {
		return true
	}
	return k.form.Load().codec == media.G722 && s.Codec() == media.G722 && k.step.with(s)
}

func (k *Sink) hears(s *Source) bool {
	for _, in := range *k.inputs.Load() {
		if in == s {
			return true
		}
	}
	return false
}

// chooseForm decides whether a packet of s in codec, so many ticks long, goes
// through untouched. A phone's does only where it joins on to what was heard last:
// whole says that nothing is missing before it.
func (k *Sink) chooseForm(s *Source, codec media.Codec, ticks int, whole bool) {
	f := k.form.Load()
	k.untouched.Store(f.codec == codec && (f.frame == 0 || f.frame == ticks && (whole || !k.fills)) && !k.joining.Load() &&
		(codec != media.G722 || k.step.with(s)))
}

// portion is what one packet of a source became for its sinks.
type portion struct {
	codec   media.Codec
	payload []byte  // nil for G.722 that is still to be encoded
	pcm     []int16 // the same as sound; nil for a payload that passes untouched
	at      int64   // position on the source's timeline, in ticks
	ticks   int
	lost    int // packets missing before it
	marker  bool
}

// direct sends a portion of s.
func (k *Sink) direct(s *Source, p *portion, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.driver.Load() != s || k.keys.sending() || k.performs() || k.closed.Load() || k.form.Load().codec != p.codec {
		return
	}
	scale := k.num.rate / media.NarrowbandHz
	place, ok := k.num.follow(s, now, p.at*scale, int64(p.ticks)*scale, p.lost, p.marker)
	if !ok {
		if k.awaits {
			k.seam()
		}
		return
	}
	payload := p.payload
	if payload == nil {
		payload = k.encodeG722(p.pcm)
	} else if p.codec == media.G722 {
		k.step.passed(s)
	}
	k.filling, k.awaits, k.hushed = false, false, false
	k.write(place, p.codec, payload)
}

// write sends a packet with the next number of the stream, unless it holds nothing
// and the listener knows already: in discontinuous transmission (RFC 7587 section
// 3.1.3) a pause is one such packet, and then only its time goes on.
func (k *Sink) write(p place, codec media.Codec, payload []byte) {
	rests := codec == media.Opus && len(payload) <= dtxMost && k.form.Load().opus.DTX
	if rests && k.resting {
		k.num.unsent()
		return
	}
	p.marker = p.marker || k.resting
	k.resting = rests
	k.send(p, codec, payload)
}

func (k *Sink) send(p place, codec media.Codec, payload []byte) {
	if k.fills && (codec == media.PCMU || codec == media.PCMA) {
		k.past.sent(codec, payload)
	}
	k.out = media.Packet{Codec: codec, Marker: p.marker, SequenceNumber: p.seq, Timestamp: p.ts, Payload: payload}
	k.writer.WritePacket(&k.out) // a lost packet is the network's affair; the leg's end is told elsewhere
}

// join cross-fades the first direct packet after another road with what that road
// would have sent. The portion stays as it is when there is nothing to join.
func (k *Sink) join(e transcode.Encoder, p *portion) {
	if !k.joining.Load() || k.form.Load().frame == 0 || len(p.pcm) < joinSamples {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.performs() {
		return
	}
	faded := k.fade.get().pcm[:copy(k.fade.get().pcm[:], p.pcm)]
	k.mend(faded, len(faded)/p.ticks, false)
	if p.payload == nil {
		p.pcm = faded
		return
	}
	if n, err := e.Encode(faded, k.fade.get().out[:]); err == nil {
		p.payload = k.fade.get().out[:n]
	}
}
