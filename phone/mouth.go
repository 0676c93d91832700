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
const tooLate = 500 * time.Millisecond

// idleBeat is how often a mouth looks up while it may not send.
const idleBeat = 20 * time.Millisecond

// mouth sends one call's sound and keys, paced by its own clock: every packet
// has a deadline counted from the first one, so that lateness never adds up.
type mouth struct {
	session wire          // set before run
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
	kept    []int16
	sent    ring
	onsets  onsets
}

// wire is what a mouth needs of an rtp.Session.
type wire interface {
	media.Writer
	Params() rtp.Params
}

// maxFrame is the longest packet in samples: 60 ms.
const maxFrame = 480

// Between keys there is a pause, so that every receiver tells them apart.
const (
	keyLength = 100 * time.Millisecond
	keyRest   = 100 * time.Millisecond
	commaRest = 500 * time.Millisecond
)

func newMouth(ptime time.Duration) *mouth {
	return &mouth{ptime: ptime, silent: true, done: make(chan struct{}), sequence: startNumber(), timestamp: startTime()}
}

// run speaks until quiet is closed.
func (m *mouth) run(quiet <-chan struct{}) error {
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
		if late := time.Since(due); late > tooLate {
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

// beat sends one packet, or none, and returns how long it lasts.
func (m *mouth) beat() (time.Duration, error) {
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
func (m *mouth) skip(d time.Duration) {
	n := samplesIn(d)
	m.timestamp += uint32(n)
	m.silent = true
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.begun.IsZero() {
		m.say(make([]int16, n))
	}
}

// sendSound sends n samples of the source, filled up with silence.
func (m *mouth) sendSound(codec media.Codec, n int) error {
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
	m.timestamp += uint32(n)
	return m.session.WritePacket(&packet)
}

func (m *mouth) speakCodec(codec media.Codec) error {
	if m.encoder != nil && m.codec == codec {
		return nil
	}
	e, err := transcode.NewEncoder(codec, media.NarrowbandHz, transcode.OpusSettings{})
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
func (m *mouth) draw(pcm []int16) {
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
func (m *mouth) record(p media.Packet, pcm []int16) {
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
func (m *mouth) say(pcm []int16) {
	m.position += len(pcm)
	if room := m.keep - len(m.kept); room > 0 {
		m.kept = append(m.kept, pcm[:min(room, len(pcm))]...)
	}
}

// nextKey begins the key that is due and reports whether a key is being sent.
func (m *mouth) nextKey() bool {
	if m.key.Active() {
		return true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.rest > 0 {
		return false
	}
	if len(m.keys) == 0 {
		if m.pressed != nil {
			close(m.pressed)
			m.pressed = nil
		}
		return false
	}
	key := m.keys[0]
	m.keys = m.keys[1:]
	if key == ',' {
		m.rest = commaRest
		return false
	}
	m.rest = keyRest
	return m.key.Start(key, keyLength) == nil // press has checked it
}

// sendKey sends the next packet of the key that is pressed.
func (m *mouth) sendKey() (time.Duration, error) {
	step, ok := m.key.Next()
	if !ok {
		return 0, nil
	}
	packet := media.Packet{Codec: media.TelephoneEvent, Marker: step.Marker, SequenceNumber: m.sequence,
		Timestamp: m.timestamp - step.Back, Payload: step.Payload}
	m.sequence++
	m.timestamp += media.FrameSamples
	m.silent = true
	m.mu.Lock()
	m.onsets.interrupt()
	m.say(make([]int16, media.FrameSamples))
	m.mu.Unlock()
	return media.FrameDuration, m.session.WritePacket(&packet)
}

// finish ends whatever is under way.
func (m *mouth) finish() {
	if m.encoder != nil {
		m.encoder.Close()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.replaceLocked(nil)
}

func (m *mouth) replaceLocked(s Source) {
	close(m.done)
	m.source, m.done = s, make(chan struct{})
}

func (m *mouth) speak(s Source) <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.replaceLocked(s)
	return m.done
}

// unspeak falls silent if the source of done is still said.
func (m *mouth) unspeak(done <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.done == done {
		m.replaceLocked(nil)
	}
}

// press queues keys; done is closed when these and all before are sent.
func (m *mouth) press(keys string) (done <-chan struct{}, err error) {
	var list []rune
	for _, k := range keys {
		var try rtp.DigitSender
		if k != ',' {
			if err := try.Start(k, keyLength); err != nil {
				return nil, err
			}
		}
		list = append(list, k)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keys = append(m.keys, list...)
	if m.pressed == nil {
		m.pressed = make(chan struct{})
	}
	return m.pressed, nil
}

// unpress forgets the keys that wait.
func (m *mouth) unpress() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keys = nil
}

func (m *mouth) hold(on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.holding = on
}

func (m *mouth) mute(on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.muted = on
}

// closed reports whether nothing may be sent.
func (m *mouth) closed() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.holding || m.muted
}

func (m *mouth) since() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.begun
}

func (m *mouth) said() []int16 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.kept)
}

func (m *mouth) sendings() []Packet {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sent.list()
}
