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
	// It waits for a moment in which its jitter buffer holds next to nothing, as that is skipped, until singleMost.
	singleFor, singleMost = 2 * time.Second, 5 * time.Second
	// fillAfter is how long a phone's stream may be silent before the beat fills it;
	// where sound is decoded, the source has stood in by then.
	fillAfter = 150 * time.Millisecond
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
//	paced    none, or the gateway plays; the beat sends silence, tones or digits, to phones only
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
	joining   atomic.Bool               // the next sound is cross-faded with tail
	closed    atomic.Bool
	untouched atomic.Bool // the packet of the driver that is under way goes through as it is
	wide      atomic.Bool // somebody among inputs has more than narrowband

	mu        sync.Mutex // taken after any Source.mu
	num       numbering
	out       media.Packet
	mixing    bool
	filling   bool
	awaits    bool      // the next packet of the driver is the first that is heard of it
	hushed    bool      // the last packet was that of a quiet line
	resting   bool      // the last packet held nothing, in discontinuous transmission
	single    time.Time // since when at most one source has been active
	keys      keys
	keypad    media.Keypad // keys that are sent as tones
	playing   *performance // what the gateway plays itself
	relayed   relayNumbers
	tail      tail              // what is faded from when joining
	past      past              // what was sent last, to a phone
	drove     *Source           // whose packets drove the stream before it was mixed; nil once it is
	hum       int               // where in the noise of a quiet line the stream is
	performed *performance      // whose sound was sent last; nil: the room's
	g722      transcode.Encoder // of a G.722 stream, for every road
	step      inStep
	fade      lazy[fadeRoom]

	mix mixBuffer
}

// fadeRoom is where a packet is made that the road does not bring as it is.
type fadeRoom struct {
	pcm  [2 * longestPacket]int16
	out  [longestPacket]byte
	wide [2 * pastLength]int16 // what was sent last, in G.722
}

func newSink(l *Participant, w media.Writer, codec media.Codec, ptime time.Duration, fills bool) *Sink {
	k := &Sink{listener: l, writer: w, fills: fills, opus: l.x.Opus, num: newNumbering(codec.ClockRate())}
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
	switch d := k.driver.Load(); {
	case k.mixing:
		return "mixed"
	case d != nil && !k.filling && (!k.fills || d.active(time.Now())):
		return "direct"
	}
	return "paced"
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
		k.tickPlay(now, beat)
	case mixing:
		k.tickMixed(now, beat)
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

// setInputs replaces what the seat hears.
func (k *Sink) setInputs(in []*Source) {
	k.inputs.Store(&in)
	if d := k.driver.Load(); d != nil && !k.hears(d) && k.driver.CompareAndSwap(d, nil) {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.filling = true // nothing more is to be waited for
		k.seam()
	}
}
