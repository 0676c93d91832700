package bridge

import (
	"slices"
	"sync"
	"time"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/transcode"
)

// mixBuffer mixes one sink's sound, beat by beat.
type mixBuffer struct {
	mu       sync.Mutex // held by the beat while it mixes; taken before Source.mu and Sink.mu
	sum      [2 * media.FrameSamples]int32
	frame    [2 * media.FrameSamples]int16
	samples  int // of sum and frame in use
	limiter  limiter
	was      *[]*Source // who was in the last beat's mix; nil: there was none
	n        int
	packets  [4][]int16
	encoder  transcode.Encoder
	steering steering
	rateHz   int                 // of encoder
	up       transcode.Upsampler // of what the gateway plays itself
	room     lazy[mixRoom]
}

// mixRoom is what a mix needs beyond its sum.
type mixRoom struct {
	pcm    [2 * longestPacket]int16 // sound that waits for a full packet
	out    [transcode.MaxPayload]byte
	played [2 * media.FrameSamples]int16
}

// clear begins a mix of 20 ms at a rate.
func (m *mixBuffer) clear(rateHz int) {
	m.samples = media.FrameSamples * times(rateHz)
	clear(m.sum[:m.samples])
}

func (m *mixBuffer) add(frame []int16) {
	for i, v := range frame {
		m.sum[i] += int32(v)
	}
}

// enter adds the first frame of somebody who was not heard before.
func (m *mixBuffer) enter(frame []int16, times int) {
	n := joinSamples * times
	for i, v := range frame[:n] {
		m.sum[i] += int32(int(v) * i / n)
	}
	for i, v := range frame[n:] {
		m.sum[n+i] += int32(v)
	}
}

// leave adds a last bit of somebody who is not heard any more.
func (m *mixBuffer) leave(frame []int16, times int) {
	n := joinSamples * times
	for i, v := range frame[:n] {
		m.sum[i] += int32(int(v) * (n - i) / n)
	}
}

// limited returns the sum, turned down where it would clip.
func (m *mixBuffer) limited() []int16 {
	m.limiter.apply(m.sum[:m.samples], m.frame[:m.samples])
	return m.frame[:m.samples]
}

// gather adds a beat's sound to what waits and returns the packets of the given
// number of samples that are full; 0 takes the beat as it is.
func (m *mixBuffer) gather(frame []int16, samples int) [][]int16 {
	if samples == 0 || samples == len(frame) && m.n == 0 {
		m.packets[0] = frame
		return m.packets[:1]
	}
	waits := &m.room.get().pcm
	if m.n >= samples { // handed out last time
		m.n = copy(waits[:], waits[m.n/samples*samples:m.n])
	}
	m.n += copy(waits[m.n:], frame)
	full := min(m.n/samples, len(m.packets))
	for i := range full {
		m.packets[i] = waits[i*samples : (i+1)*samples]
	}
	return m.packets[:full]
}

func (m *mixBuffer) encode(codec media.Codec, rateHz int, opus transcode.OpusSettings, pcm []int16) ([]byte, error) {
	if m.encoder == nil || m.rateHz != rateHz {
		e, err := transcode.NewEncoder(codec, rateHz, opus)
		if err != nil {
			return nil, err
		}
		if m.encoder != nil {
			m.encoder.Close()
		}
		m.encoder, m.rateHz = e, rateHz
		e.SetLoss(m.steering.told)
	}
	out := &m.room.get().out
	n, err := m.encoder.Encode(pcm, out[:])
	return out[:n], err
}

func (m *mixBuffer) release() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.n = 0
	if m.encoder != nil {
		m.encoder.Close()
		m.encoder = nil
	}
}

// tickMixed mixes, and goes back to direct when one source has been alone for long enough.
func (k *Sink) tickMixed(now time.Time, beat uint64) {
	k.mix.mu.Lock()
	defer k.mix.mu.Unlock()
	active, last := 0, (*Source)(nil)
	rateHz := k.rateHz()
	k.mix.clear(rateHz)
	in, was := k.inputs.Load(), k.heardBefore()
	for _, s := range *in {
		if frame := s.beatFrame(now, beat, rateHz); in == was || slices.Contains(*was, s) {
			k.mix.add(frame)
		} else {
			k.mix.enter(frame, times(rateHz))
		}
		if s.active(now) {
			active, last = active+1, s
		}
	}
	for _, s := range *was {
		if in != was && !slices.Contains(*in, s) {
			k.mix.leave(s.beatFrame(now, beat, rateHz), times(rateHz))
		}
	}
	k.mix.was = in
	frame := k.mix.limited()
	if active > 1 {
		k.single = time.Time{}
	} else if k.single.IsZero() {
		k.single = now
	}
	k.sendFrame(frame, rateHz, now, func() bool { return k.mixing && !k.performs() })
	if alone := now.Sub(k.single); !k.single.IsZero() && alone >= singleFor && (alone >= singleMost || last.skippable()) {
		k.leaveMixed(last)
	}
}

// heardBefore returns whom the listener heard before this beat: those of the last
// mix, or the one who was alone.
func (k *Sink) heardBefore() *[]*Source {
	k.mu.Lock()
	drove := k.drove
	k.drove = nil
	if k.performed != nil { // a filler has yielded
		k.performed, k.mix.n, k.mix.was = nil, 0, nil
	}
	k.mu.Unlock()
	switch {
	case drove != nil:
		return &[]*Source{drove}
	case k.mix.was != nil:
		return k.mix.was
	}
	return k.inputs.Load() // after what the gateway played
}

func (k *Sink) leaveMixed(last *Source) {
	next := tail{times: 1}
	switch {
	case k.form.Load().codec == media.G722: // its resamplers hold some sound back: guess
		next = tail{}
	case last != nil:
		next = last.peek()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.mixing, k.single, k.tail = false, time.Time{}, next
	k.joining.Store(last != nil && k.form.Load().frame > 0)
	k.mix.n, k.mix.was = 0, nil
	k.filling = last == nil // nobody is waited for
}
