package bridge

import (
	"time"

	"github.com/roomline/roomline/media"
)

// Voice makes sound that the gateway plays to a phone; [media.Tone] is one.
type Voice interface {
	// Fill writes the next samples, at [media.NarrowbandHz]. It neither waits nor
	// allocates. One goroutine calls it at a time.
	Fill(pcm []int16)
}

// Play sends v to a phone in place of what its seat hears: ringback while the
// called side rings, a beep before a PIN. It goes on for length, or until stop
// is called where length is 0; then the seat is heard again. A later Play takes
// over from an earlier one, whose stop then does nothing. stop may be called
// any number of times, and waits for nothing.
//
//	stop, err := sink.Play(media.Ringback("US", media.NarrowbandHz), 0)
//	stop, err := sink.Play(media.Beep(media.NarrowbandHz), 300*time.Millisecond)
func (k *Sink) Play(v Voice, length time.Duration) (stop func(), err error) {
	return k.begin(&performance{voice: v, endless: length == 0, left: int(length * media.NarrowbandHz / time.Second)})
}

// Fill plays v like [Sink.Play] until stop is called, or a [Speaker] speaks to the
// phone: that one is heard from its first sound on, which v fades into. It is for
// those who wait for an agent.
func (k *Sink) Fill(v Voice) (stop func(), err error) {
	return k.begin(&performance{voice: v, endless: true, yields: true})
}

func (k *Sink) begin(p *performance) (stop func(), err error) {
	if !k.fills {
		return nil, refuse(Invalid, "", "sound is played to phones alone")
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.playing = p
	return func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		p.stopped = true
	}, nil
}

// PlayKeys queues keys, 0-9 * # A-D, to be heard as tones of 100 ms with pauses
// between them. Other sound is held back meanwhile.
func (k *Sink) PlayKeys(digits string) error {
	if !k.fills {
		return refuse(Invalid, "digits", "only phones are sent digits")
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := checkKeys(digits, k.keypad.Waiting()); err != nil {
		return err
	}
	for _, key := range digits {
		k.keypad.Press(key)
	}
	return nil
}

// settles is how long a resampler sounds on, in ticks.
const settles = 16

// keying stands for the keypad among performances.
var keying = &performance{}

// performance is what Play plays. It is guarded by its Sink's mutex.
type performance struct {
	voice   Voice
	endless bool
	left    int // samples, if not endless
	stopped bool
	yields  bool // to a Speaker
}

// fill draws the next frame, and reports whether it was the last one: that one
// fades out, lest it end with a click.
func (p *performance) fill(frame []int16) (last bool) {
	p.voice.Fill(frame)
	p.left -= len(frame)
	if !p.stopped && (p.endless || p.left > 0) {
		return false
	}
	n := len(frame) - settles
	if !p.stopped && p.left < 0 {
		n = min(n, max(0, len(frame)+p.left))
	}
	clear(frame[n:])
	for i := range min(joinSamples, n) {
		frame[n-1-i] = int16(int(frame[n-1-i]) * i / joinSamples)
	}
	return true
}

// performs reports whether the gateway's own sound has the stream. k.mu is held.
func (k *Sink) performs() bool { return k.playing != nil || k.keypad.Sounding() }

// perform draws a beat's sound: keys, or else what Play plays. k.mu is held.
func (k *Sink) perform(frame []int16) {
	now := k.playing
	if k.keypad.Sounding() {
		now = keying
	}
	if now != nil && now != k.performed {
		k.performed, k.mix.n = now, 0
		if k.tail = (tail{}); k.form.Load().frame > 0 {
			k.joining.Store(true)
		}
	}
	switch {
	case k.keypad.Sounding():
		k.keypad.Fill(frame)
	case k.playing != nil:
		if k.playing.fill(frame) {
			k.playing = nil
		}
	default:
		clear(frame)
	}
}

// yield ends a filler, as a voice begins that somebody has waited for. What follows
// is faded from what the filler would have gone on with.
func (k *Sink) yield() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.playing == nil || !k.playing.yields {
		return
	}
	if k.form.Load().frame > 0 && k.performed == k.playing {
		k.tail = tail{times: 1}
		k.playing.voice.Fill(k.tail.pcm[:joinSamples])
		k.joining.Store(true)
	}
	k.playing, k.hushed = nil, false
}

func (k *Sink) isMixing() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.mixing
}

// tickPlay sends one beat of the gateway's own sound, and lets the seat be heard
// again after the last.
func (k *Sink) tickPlay(now time.Time, beat uint64) {
	k.mix.mu.Lock()
	defer k.mix.mu.Unlock()
	frame, rateHz := k.mix.frame[:media.FrameSamples], k.rateHz()
	k.mu.Lock()
	k.perform(frame)
	k.mu.Unlock()
	if rateHz == media.WidebandHz {
		played := &k.mix.room.get().played
		frame = played[:k.mix.up.Process(frame, played[:])]
	}
	k.sendFrame(frame, rateHz, now, func() bool { return true })
	if k.isMixing() { // time goes on for those who are not heard
		for _, s := range *k.inputs.Load() {
			s.beatFrame(now, beat, rateHz)
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.performs() { // what comes next begins from silence
		k.mix.n, k.mix.was, k.performed = 0, nil, nil
		k.tail, k.filling, k.hushed = tail{times: 1}, true, false
		k.awaits = k.driver.Load() != nil
		k.joining.Store(k.form.Load().frame > 0)
	}
}
