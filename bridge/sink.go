package bridge

import (
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
	// joinSamples is the length of the cross-fade where the road changes: 5 ms, in ticks.
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
	writer    media.Writer
	form      atomic.Pointer[form]
	fills     bool // a phone: it always gets RTP
	opus      transcode.OpusSettings
	listener  *Participant
	inputs    atomic.Pointer[[]*Source] // what the seat hears
	driver    atomic.Pointer[Source]    // whose packets drive the stream; nil: the beat, or nobody yet
	joining   atomic.Bool               // the next direct packet is cross-faded
	closed    atomic.Bool
	untouched atomic.Bool // the packet of the driver that is under way goes through as it is
	wide      atomic.Bool // somebody among inputs has more than narrowband

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
	tail    tail              // what the mixed road would have sent next
	g722    transcode.Encoder // of a G.722 stream, for every road
	step    inStep
	fadePCM [2 * longestPacket]int16
	fadeOut [longestPacket]byte

	mix mixBuffer
}

type road uint8

const (
	roadDirect road = iota
	roadMixed
)

func newSink(l *Participant, w media.Writer, codec media.Codec, ptime time.Duration, fills bool) *Sink {
	k := &Sink{listener: l, writer: w, fills: fills, opus: l.x.Opus, num: newNumbering(codec.ClockRate()), tail: tail{times: 1}}
	k.reformLocked(newForm(codec, ptime, k.opus))
	k.inputs.Store(&[]*Source{})
	return k
}

// Recode changes codec and packet length of the stream, after a re-INVITE. Where
// the RTP clock changes with it, timestamps go on from the last one by the new
// clock.
func (k *Sink) Recode(codec media.Codec, ptime time.Duration) {
	next := newForm(codec, ptime, k.form.Load().opus)
	next.narrow = k.form.Load().narrow
	if now := k.form.Load(); now.codec == next.codec && now.frame == next.frame {
		return
	}
	k.listener.x.change(func(*change) {
		k.mu.Lock()
		k.reformLocked(next)
		k.mu.Unlock()
		k.mix.release()
		k.listener.room.rewireLocked()
	})
}

// reformLocked puts a form into force.
func (k *Sink) reformLocked(f *form) {
	k.g722 = nil
	k.step.calm(true)
	if f.codec == media.G722 {
		k.g722, _ = transcode.NewEncoder(media.G722, media.WidebandHz, k.opus)
	}
	k.num.reclock(f.codec.ClockRate())
	k.form.Store(f)
}

// rateHz is the rate that sound is mixed at for this stream.
func (k *Sink) rateHz() int { return k.form.Load().rateHz(k.wide.Load()) }

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

// passes decides whether a packet of s in codec, so many ticks long, goes through untouched.
func (k *Sink) passes(s *Source, codec media.Codec, ticks int) bool {
	f := k.form.Load()
	passes := f.codec == codec && (f.frame == 0 || f.frame == ticks) && !k.joining.Load() &&
		(codec != media.G722 || k.step.with(s))
	k.untouched.Store(passes)
	return passes
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
		return
	}
	payload := p.payload
	if payload == nil {
		payload = k.encodeG722(p.pcm)
	} else if p.codec == media.G722 {
		k.step.passed(s)
	}
	k.filling = false
	k.write(place, p.codec, payload)
}

func (k *Sink) write(p place, codec media.Codec, payload []byte) {
	k.out = media.Packet{Codec: codec, Marker: p.marker, SequenceNumber: p.seq, Timestamp: p.ts, Payload: payload}
	k.writer.WritePacket(&k.out) // a lost packet is the network's affair; the leg's end is told elsewhere
}

// join cross-fades the first direct packet after the mixed road with what that
// road would have sent. The portion stays as it is when there is nothing to join.
func (k *Sink) join(e transcode.Encoder, p *portion) {
	if !k.joining.Swap(false) || k.form.Load().frame == 0 || len(p.pcm) < joinSamples {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	faded := k.fadePCM[:copy(k.fadePCM[:], p.pcm)]
	k.tail.fade(faded, len(faded)/p.ticks)
	if p.payload == nil {
		p.pcm = faded
		return
	}
	if n, err := e.Encode(faded, k.fadeOut[:]); err == nil {
		p.payload = k.fadeOut[:n]
	}
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
	frame := time.Duration(f.pace) * time.Second / media.NarrowbandHz
	if k.num.begun && (quiet < frame-5*time.Millisecond || !k.filling && quiet < fillAfter) {
		return
	}
	k.filling = true
	k.write(k.num.fill(now, k.paceLength(f)), f.codec, k.quiet(f))
}

// quiet is a packet of silence. k.mu is held.
func (k *Sink) quiet(f *form) []byte {
	if f.codec != media.G722 {
		return f.silence
	}
	pcm := k.fadePCM[:f.pace*2]
	clear(pcm)
	return k.encodeG722(pcm)
}

// paceLength is the length of a packet that the gateway makes itself, in units of
// the stream's clock.
func (k *Sink) paceLength(f *form) int64 {
	return int64(f.pace) * k.num.rate / media.NarrowbandHz
}

// tickMixed mixes, and goes back to direct when one source has been alone for long enough.
func (k *Sink) tickMixed(now time.Time, beat uint64) {
	k.mix.mu.Lock()
	defer k.mix.mu.Unlock()
	active, last := 0, (*Source)(nil)
	rateHz := k.rateHz()
	k.mix.clear(rateHz)
	for _, s := range *k.inputs.Load() {
		k.mix.add(s.beatFrame(beat, rateHz))
		if s.active(now) {
			active, last = active+1, s
		}
	}
	frame := k.mix.limited()
	if active > 1 {
		k.single = time.Time{}
	} else if k.single.IsZero() {
		k.single = now
	}
	k.sendFrame(frame, rateHz, now, func() bool { return k.mixing && !k.performs() })
	if !k.single.IsZero() && now.Sub(k.single) >= singleFor {
		k.leaveMixed(last)
	}
}

func (k *Sink) leaveMixed(last *Source) {
	next := tail{times: 1}
	if last != nil {
		last.drain()
		next = last.peek()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.mixing, k.single, k.tail = false, time.Time{}, next
	k.joining.Store(last != nil && k.form.Load().frame > 0)
	k.mix.n = 0
}

// sendFrame encodes and sends one beat's sound, unless the road has changed
// meanwhile: still is asked with k.mu held.
func (k *Sink) sendFrame(frame []int16, rateHz int, now time.Time, still func() bool) {
	f := k.form.Load()
	for _, pcm := range k.mix.gather(frame, f.frame*times(rateHz)) {
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
	k.filling = false
	k.write(k.num.beat(now, length, late), f.codec, payload)
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
		k.write(k.num.beat(now, k.paceLength(f), false), f.codec, k.quiet(f))
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
