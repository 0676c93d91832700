package phone

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/rtp"
	"github.com/roomline/roomline/transcode"
)

// A mouth that is late by more than this leaves the time out instead of
// sending the packets of all of it at once.
const tooLate = time.Second

// idleBeat is how often a mouth looks up while it may not send.
const idleBeat = 20 * time.Millisecond

// Mouth sends one stream of sound and keys, paced by its own clock: every packet
// has a deadline counted from the first one, so that lateness never adds up.
// Every Call has one; others may be made to speak into a browser's track. Its
// methods are safe for concurrent use.
type Mouth struct {
	session Wire          // set before run
	ptime   time.Duration // 0: as agreed
	keep    int           // samples to keep of what was said

	// Of the goroutine in run.
	encoder   transcode.Encoder
	codec     media.Codec
	sequence  uint16
	timestamp uint32
	silent    bool // nothing was sent on the beat before: mark the next packet
	position  int  // samples since the first packet
	key       rtp.DigitSender
	pcm       [maxFrame]int16
	payload   [transcode.MaxPayload]byte

	mu      sync.Mutex
	source  Source
	done    chan struct{} // of source
	keys    []rune        // to be pressed
	pressed chan struct{} // closed when keys are through
	rest    time.Duration // before the next key
	holding bool
	muted   bool
	begun   time.Time
	late    time.Duration // at worst
	kept    []int16
	sent    ring
	onsets  onsets
}

// maxFrame is the longest packet in samples: 60 ms.
const maxFrame = 480

// NewMouth makes a Mouth that speaks into w once it runs.
func NewMouth(w Wire) *Mouth {
	m := newMouth(0)
	m.session = w
	return m
}

func newMouth(ptime time.Duration) *Mouth {
	return &Mouth{ptime: ptime, silent: true, done: make(chan struct{}), sequence: startNumber(), timestamp: startTime()}
}

// Run speaks, silence while there is nothing else, until quiet is closed. It is
// called once. An error is one of the Wire or the codec.
func (m *Mouth) Run(quiet <-chan struct{}) error {
	defer m.finish()
	timer := time.NewTimer(0)
	defer timer.Stop()
	due := time.Now()
	for {
		select {
		case <-quiet:
			return nil
		case <-timer.C:
		}
		late := time.Since(due)
		m.lag(late)
		if late > tooLate {
			late = late.Truncate(idleBeat)
			due = due.Add(late)
			m.skip(late)
		}
		length, err := m.beat()
		if err != nil {
			select {
			case <-quiet: // the session was closed under us
				return nil
			default:
				return err
			}
		}
		due = due.Add(length)
		timer.Reset(time.Until(due))
	}
}

// lag remembers the worst lateness.
func (m *Mouth) lag(late time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.late = max(m.late, late)
}

// beat sends one packet, or none, and returns how long it lasts.
func (m *Mouth) beat() (time.Duration, error) {
	p := m.session.Params()
	if !p.Send || m.closed() {
		m.skip(idleBeat)
		return idleBeat, nil
	}
	if m.nextKey() {
		return m.sendKey()
	}
	length := m.ptime
	if length == 0 {
		length = max(p.Ptime, 10*time.Millisecond)
	}
	return length, m.sendSound(p.Codec, samplesIn(length))
}

// skip lets time pass without a packet.
func (m *Mouth) skip(d time.Duration) {
	n := samplesIn(d)
	m.timestamp += uint32(n) * m.scale()
	m.silent = true
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.begun.IsZero() {
		m.say(make([]int16, n))
	}
}

// sendSound sends n samples of the source, filled up with silence.
func (m *Mouth) sendSound(codec media.Codec, n int) error {
	if err := m.speakCodec(codec); err != nil {
		return err
	}
	pcm := m.pcm[:n]
	m.draw(pcm)
	size, err := m.encoder.Encode(pcm, m.payload[:])
	if err != nil {
		return fmt.Errorf("encode %s: %w", codec, err)
	}
	packet := media.Packet{Codec: codec, Marker: m.silent, SequenceNumber: m.sequence, Timestamp: m.timestamp, Payload: m.payload[:size]}
	m.record(packet, pcm)
	m.silent = false
	m.sequence++
	m.timestamp += uint32(n) * m.scale()
	return m.session.WritePacket(&packet)
}

// scale is how many units of RTP time a sample at 8 kHz lasts.
func (m *Mouth) scale() uint32 {
	return uint32(max(m.codec.ClockRate(), media.NarrowbandHz) / media.NarrowbandHz)
}

func (m *Mouth) speakCodec(codec media.Codec) error {
	if m.encoder != nil && m.codec == codec {
		return nil
	}
	e, err := transcode.NewEncoder(codec, media.NarrowbandHz, transcode.DefaultOpus())
	if err != nil {
		return err
	}
	if m.encoder != nil {
		m.encoder.Close()
	}
	m.encoder, m.codec = e, codec
	return nil
}

// draw takes what comes next from the source.
func (m *Mouth) draw(pcm []int16) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	if m.source != nil {
		if n = m.source.Read(pcm); n < len(pcm) {
			m.replaceLocked(nil)
		}
	}
	clear(pcm[n:])
	m.rest -= timeOf(len(pcm))
}

// record notes a packet just before it is sent.
func (m *Mouth) record(p media.Packet, pcm []int16) {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.begun.IsZero() {
		m.begun = now
	}
	m.sent.add(Packet{SequenceNumber: p.SequenceNumber, Timestamp: p.Timestamp, At: now, Position: m.position})
	m.onsets.push(pcm, now)
	m.say(pcm)
}

// say keeps pcm; mu is held.
func (m *Mouth) say(pcm []int16) {
	m.position += len(pcm)
	if room := m.keep - len(m.kept); room > 0 {
		m.kept = append(m.kept, pcm[:min(room, len(pcm))]...)
	}
}

// finish ends whatever is under way.
func (m *Mouth) finish() {
	if m.encoder != nil {
		m.encoder.Close()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.replaceLocked(nil)
}

func (m *Mouth) replaceLocked(s Source) {
	close(m.done)
	m.source, m.done = s, make(chan struct{})
}

// Speak says s from now on, in place of what was said before; nil is silence.
// done is closed when s is at its end, replaced, or nothing is said any more.
func (m *Mouth) Speak(s Source) <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.replaceLocked(s)
	return m.done
}

// unspeak falls silent if the source of done is still said.
func (m *Mouth) unspeak(done <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.done == done {
		m.replaceLocked(nil)
	}
}

func (m *Mouth) hold(on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.holding = on
}

func (m *Mouth) mute(on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.muted = on
}

// closed reports whether nothing may be sent.
func (m *Mouth) closed() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.holding || m.muted
}

// Since is when the first packet was sent; zero before it.
func (m *Mouth) Since() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.begun
}

func (m *Mouth) said() []int16 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.kept)
}

// Sendings returns the newest packets of sound, oldest first, at most 4096.
func (m *Mouth) Sendings() []Packet {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sent.list()
}

// Onsets returns when sound began after a silence: the moment just before the
// write of the packet that holds the onset, plus the onset's place in it. At most
// 1024, oldest first.
func (m *Mouth) Onsets() []time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.onsets.times)
}

// Late returns how far behind its deadline a packet was at worst: above some
// milliseconds this machine is too busy for delays and jitter to be trusted.
func (m *Mouth) Late() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.late
}
