package phone

import (
	"time"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/rtp"
)

// Between keys there is a pause, so that every receiver tells them apart.
const (
	keyLength = 100 * time.Millisecond
	keyRest   = 100 * time.Millisecond
	commaRest = 500 * time.Millisecond
)

// nextKey begins the key that is due and reports whether a key is being sent.
func (m *Mouth) nextKey() bool {
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
func (m *Mouth) sendKey() (time.Duration, error) {
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

// press queues keys; done is closed when these and all before are sent.
func (m *Mouth) press(keys string) (done <-chan struct{}, err error) {
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
func (m *Mouth) unpress() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keys = nil
}
