package rtp

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"
)

// What a key sounds like on the way out.
const (
	defaultKey = 100 * time.Millisecond
	minKey     = 40 * time.Millisecond // shorter keys are not heard as such, ITU-T Q.24
	maxKey     = 60 * time.Second
	endPackets = 3 // RFC 4733 section 2.5.1.4
	keyVolume  = 10
	beatUnits  = 20 * eventClock / 1000
)

// DigitStep is one telephone-event packet to send.
type DigitStep struct {
	Payload []byte // 4 bytes, valid until the next call
	Marker  bool   // first packet of the key
	// Back is how far the packet's timestamp lies behind the beat that sends it,
	// in 8000 Hz units: RTP timestamp = timestamp of this beat - Back.
	Back uint32
	Done bool // last packet of the key: sound may go on with the next beat
}

// DigitSender plays one key as RFC 4733 packets, one per 20 ms beat. It is
// pure; the zero value is ready. Not safe for concurrent use.
type DigitSender struct {
	payload [4]byte
	total   uint32 // units that the key lasts
	elapsed uint32 // units since the key's start, at the coming beat
	segment uint32 // units from the key's start to its current segment
	ends    int    // end packets still to send; 0: idle
}

// Start begins a key, 0-9 * # A-D (a-d too). Duration 0 means 100 ms; others are
// kept within 40 ms and 60 s and rounded up to whole beats. It is an error while
// another key is sent or if there is no such key.
func (d *DigitSender) Start(key rune, duration time.Duration) error {
	event := strings.IndexRune(keys, key)
	if 'a' <= key && key <= 'd' {
		event = strings.IndexRune(keys, key-'a'+'A')
	}
	switch {
	case event < 0:
		return fmt.Errorf("no such key %q: want one of %s", key, keys)
	case d.Active():
		return fmt.Errorf("the key before is still being sent")
	case duration == 0:
		duration = defaultKey
	}
	duration = max(minKey, min(maxKey, duration))
	units := uint32(duration * eventClock / time.Second)
	*d = DigitSender{total: (units + beatUnits - 1) / beatUnits * beatUnits, ends: endPackets}
	d.payload[0], d.payload[1] = byte(event), keyVolume
	return nil
}

// Active reports whether a key is being sent.
func (d *DigitSender) Active() bool { return d.ends > 0 }

// Next returns this beat's packet; ok is false when no key is being sent. A
// packet speaks of the sound up to the end of its beat. The end packets follow
// the last one and differ from each other in nothing.
func (d *DigitSender) Next() (step DigitStep, ok bool) {
	if !d.Active() {
		return DigitStep{}, false
	}
	step = DigitStep{Payload: d.payload[:], Marker: d.elapsed == 0, Back: d.elapsed - d.segment}
	reach := min(d.elapsed+beatUnits, d.total) - d.segment
	switch {
	case reach > 0xFFFF: // section 2.5.1.3: fill this segment, go on in the next
		reach = 0xFFFF
		d.segment += 0xFFFF
	case d.segment+reach == d.total:
		d.payload[1] |= 0x80
		d.ends--
		step.Done = d.ends == 0
	}
	binary.BigEndian.PutUint16(d.payload[2:], uint16(reach))
	d.elapsed += beatUnits
	return step, true
}
