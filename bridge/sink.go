package bridge

import (
	"bytes"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/transcode"
)

const (
	// singleFor is how long one source must be alone before a mixed sink goes back to direct.
	singleFor = 2 * time.Second
	// fillAfter is how long a phone's stream may be silent before the beat fills it.
	fillAfter = 100 * time.Millisecond
	// joinSamples is the length of the cross-fade where the road changes: 5 ms.
	joinSamples = 40
)

// Sink is one outgoing stream. It alone owns the stream's sequence numbers and
// timestamps, which never restart while it lives.
//
// A listening Sink carries what one seat hears, on one of three roads:
//
//	direct   one source; its packets drive the stream
//	mixed    two or more; the beat mixes them every 20 ms
//	paced    none; the beat sends silence or digits, to phones only
//
// A forwarding Sink carries one source to one browser and is always direct.
type Sink struct {
	writer   media.Writer
	form     atomic.Pointer[form]
	fills    bool // a phone: it always gets RTP
	opus     transcode.OpusSettings
	listener *Participant
	inputs   atomic.Pointer[[]*Source] // what the seat hears
	driver   atomic.Pointer[Source]    // whose packets drive the stream; nil: the beat, or nobody yet
	joining  atomic.Bool               // the next direct packet is cross-faded
	closed   atomic.Bool

	mu      sync.Mutex // taken after any Source.mu
	num     numbering
	out     media.Packet
	mixing  bool
	filling bool
	single  time.Time // since when at most one source has been active
	keys    keys
	keypad  media.Keypad // keys that are sent as tones
	playing *performance // what the gateway plays itself
	relayed relayNumbers
	tail    [joinSamples]int16 // what the mixed road would have sent next
	silence []byte
	fadePCM [longestPacket]int16
	fadeOut [longestPacket]byte

	mix mixBuffer
}

type road uint8

const (
	roadDirect road = iota
	roadMixed
)

// form is how a Sink's packets look. It is immutable.
type form struct {
	codec   media.Codec
	frame   int    // samples per packet; 0: as the sound comes
	silence []byte // a packet of it, for G.711
}

func newForm(codec media.Codec, ptime time.Duration) *form {
	f := &form{codec: codec}
	if codec != media.PCMU && codec != media.PCMA {
		return f
	}
	f.frame = media.FrameSamples
	if ptime > 0 {
		f.frame = max(80, int(ptime*media.NarrowbandHz/time.Second))
	}
	f.silence = bytes.Repeat([]byte{silenceByte(codec)}, f.frame)
	return f
}

func newSink(l *Participant, w media.Writer, codec media.Codec, ptime time.Duration, fills bool) *Sink {
	k := &Sink{listener: l, writer: w, fills: fills, opus: l.x.Opus, num: newNumbering(codec.ClockRate())}
	k.form.Store(newForm(codec, ptime))
	k.inputs.Store(&[]*Source{})
	return k
}

// Recode changes codec and packet length of the stream, after a re-INVITE. The
// RTP clock must stay the same.
func (k *Sink) Recode(codec media.Codec, ptime time.Duration) {
	next := newForm(codec, ptime)
	if now := k.form.Load(); now.codec == next.codec && now.frame == next.frame {
		return
	}
	k.listener.x.change(func(*change) {
		k.form.Store(next)
		k.mix.release()
		k.listener.room.rewireLocked()
	})
}

func silenceByte(codec media.Codec) byte {
	if codec == media.PCMA {
		return 0xD5
	}
	return 0xFF
}

// Close ends the stream. Nothing is written after it returned.
func (k *Sink) Close() {
	k.listener.drop(k)
	k.end()
	k.mix.release()
}

// end waits for a packet under way.
func (k *Sink) end() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closed.Store(true)
}

// Road names the road in use: direct, mixed or paced.
func (k *Sink) Road() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.mixing:
		return "mixed"
	case k.driver.Load() != nil && !k.filling:
		return "direct"
	}
	return "paced"
}

// road decides how a packet of s that has just arrived reaches this sink. A
// second active source turns the road to mixed at once.
func (k *Sink) road(s *Source, now time.Time) road {
	if k.driver.Load() == s {
		return roadDirect
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.mixing {
		return roadMixed
	}
	if d := k.driver.Load(); d != nil && d.active(now) && k.hears(d) {
		k.mixing, k.single = true, time.Time{}
		k.driver.Store(nil)
		return roadMixed
	}
	k.driver.Store(s)
	return roadDirect
}

func (k *Sink) hears(s *Source) bool {
	for _, in := range *k.inputs.Load() {
		if in == s {
			return true
		}
	}
	return false
}

// passes reports whether payloads of codec with so many samples may go through untouched.
func (k *Sink) passes(codec media.Codec, samples int) bool {
	f := k.form.Load()
	return f.codec == codec && (f.frame == 0 || f.frame == samples) && !k.joining.Load()
}

// direct sends what one packet of s became; at and samples count narrowband samples.
func (k *Sink) direct(s *Source, payload []byte, at int64, samples, lost int, marker bool, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.driver.Load() != s || k.keys.sending() || k.performs() || k.closed.Load() {
		return
	}
	scale := k.num.rate / media.NarrowbandHz
	if p, ok := k.num.follow(s, now, at*scale, int64(samples)*scale, lost, marker); ok {
		k.filling = false
		k.write(p, k.form.Load().codec, payload)
	}
}

func (k *Sink) write(p place, codec media.Codec, payload []byte) {
	k.out = media.Packet{Codec: codec, Marker: p.marker, SequenceNumber: p.seq, Timestamp: p.ts, Payload: payload}
	k.writer.WritePacket(&k.out) // a lost packet is the network's affair; the leg's end is told elsewhere
}

// join cross-fades the first direct packet after the mixed road with what that
// road would have sent. The payload comes back as it is when there is nothing to join.
func (k *Sink) join(e transcode.Encoder, pcm []int16, payload []byte) []byte {
	if !k.joining.Swap(false) || k.form.Load().frame == 0 || len(pcm) < joinSamples {
		return payload
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	faded := k.fadePCM[:copy(k.fadePCM[:], pcm)]
	for i, old := range k.tail {
		faded[i] = int16((int(old)*(joinSamples-i) + int(faded[i])*i) / joinSamples)
	}
	n, err := e.Encode(faded, k.fadeOut[:])
	if err != nil {
		return payload
	}
	return k.fadeOut[:n]
}

// tick is the sink's share of a beat.
func (k *Sink) tick(now time.Time, beat uint64) {
	k.mu.Lock()
	mixing, performs := k.mixing, false
	switch {
	case k.closed.Load():
		mixing = false
	case k.keys.sending():
		k.tickKeys(now)
		mixing = false
	case k.performs():
		performs = true
	case !mixing && k.fills:
		k.fill(now)
	}
	k.mu.Unlock()
	switch {
	case performs:
		k.tickPlay(now)
	case mixing:
		k.tickMixed(now, beat)
	}
}

// fill keeps a phone's stream alive while nobody drives it.
func (k *Sink) fill(now time.Time) {
	quiet, f := now.Sub(k.num.at), k.form.Load()
	frame := time.Duration(f.frame) * time.Second / media.NarrowbandHz
	if k.num.begun && (quiet < frame-5*time.Millisecond || !k.filling && quiet < fillAfter) {
		return
	}
	k.filling = true
	k.write(k.num.fill(now, int64(f.frame)), f.codec, f.silence)
}

// tickMixed mixes, and goes back to direct when one source has been alone for long enough.
func (k *Sink) tickMixed(now time.Time, beat uint64) {
	k.mix.mu.Lock()
	defer k.mix.mu.Unlock()
	active, last := 0, (*Source)(nil)
	k.mix.clear()
	for _, s := range *k.inputs.Load() {
		if s.codec.Audio() {
			k.mix.add(s.beatFrame(beat))
			if s.active(now) {
				active, last = active+1, s
			}
		}
	}
	frame := k.mix.limited()
	if active > 1 {
		k.single = time.Time{}
	} else if k.single.IsZero() {
		k.single = now
	}
	k.sendFrame(frame, now, func() bool { return k.mixing && !k.performs() })
	if !k.single.IsZero() && now.Sub(k.single) >= singleFor {
		k.leaveMixed(last)
	}
}

func (k *Sink) leaveMixed(last *Source) {
	var tail [joinSamples]int16
	if last != nil {
		last.drain()
		last.peek(tail[:])
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.mixing, k.single, k.tail = false, time.Time{}, tail
	k.joining.Store(last != nil && k.form.Load().frame > 0)
	k.mix.n = 0
}

// sendFrame encodes and sends one beat's sound, unless the road has changed
// meanwhile: still is asked with k.mu held.
func (k *Sink) sendFrame(frame []int16, now time.Time, still func() bool) {
	f := k.form.Load()
	for _, pcm := range k.mix.gather(frame, f.frame) {
		payload, err := k.mix.encode(f.codec, k.opus, pcm)
		if err != nil {
			return
		}
		k.mu.Lock()
		if !k.closed.Load() && !k.keys.sending() && still() {
			length := int64(len(pcm)) * k.num.rate / media.NarrowbandHz
			late := now.Sub(k.num.at) > beatStall
			k.filling = false
			k.write(k.num.beat(now, length, late), f.codec, payload)
		}
		k.mu.Unlock()
	}
}

// SendDigits queues keys, 0-9 * # A-D, to be sent as telephone-events of 100 ms
// with pauses between them. Sound is held back meanwhile.
func (k *Sink) SendDigits(digits string) error {
	if !k.fills {
		return refuse(Invalid, "digits", "only phones are sent digits")
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.keys.queue(digits)
}

func (k *Sink) tickKeys(now time.Time) {
	step, ok := k.keys.next()
	if !ok { // a pause between keys
		f := k.form.Load()
		k.write(k.num.beat(now, int64(f.frame), false), f.codec, f.silence)
		return
	}
	k.keys.write(k, step, now)
}

// setInputs replaces what the seat hears.
func (k *Sink) setInputs(in []*Source) {
	k.inputs.Store(&in)
	if d := k.driver.Load(); d != nil && !k.hears(d) && k.driver.CompareAndSwap(d, nil) {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.filling = true // nothing more is to be waited for
	}
}
