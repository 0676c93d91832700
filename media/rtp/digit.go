package rtp

import (
	"encoding/binary"
	"time"
)

// Digit is one key of the peer's keypad.
type Digit struct {
	Key      rune          // 0-9 * # A-D
	Duration time.Duration // as far as it was known when it was reported
}

// keys are the events of RFC 4733 section 3.2, in the order of their codes.
const keys = "0123456789*#ABCD"

// eventClock is the clock of telephone-event beside most codecs, and of a
// [DigitSender]. Beside Opus it is 48000.
const eventClock = 8000

// digitReceiver tells keys out of telephone-event packets, each key once however
// often its packets are repeated, lost or late. It is pure; the zero value is ready.
//
// A key is known by its RTP timestamp (RFC 4733 section 2.5.1.2), with two
// exceptions: a key that lasts longer than its duration field can say goes on as
// a new segment with a timestamp of its own (section 2.5.1.3), and some senders
// let the timestamp run on during a key.
type digitReceiver struct {
	pressed bool // anything known yet
	event   uint8
	start   uint32 // RTP timestamp of the key's segment
	latest  uint32 // of the last packet that belonged to the key
	ended   bool
	hz      uint32 // clock of the packet at hand
}

const (
	rebounceMS   = 60 // a key cannot be let go and pressed again within this time
	staleSeconds = 5  // how old a timestamp may be to be taken for a late packet of an earlier key
)

// push takes the payload of one packet, its times in units of hz; ok is true for
// the first packet of a key.
func (d *digitReceiver) push(payload []byte, timestamp uint32, marker bool, hz uint32) (digit Digit, ok bool) {
	if len(payload) < 4 || int(payload[0]) >= len(keys) {
		return Digit{}, false
	}
	d.hz = hz
	event, end := payload[0], payload[1]&0x80 != 0
	duration := binary.BigEndian.Uint16(payload[2:])
	if d.pressed {
		age := int32(timestamp - d.start)
		if age < 0 && age > -staleSeconds*int32(hz) {
			return Digit{}, false // late
		}
		if event == d.event && (timestamp == d.start || d.goesOn(timestamp, marker)) {
			d.update(timestamp, end)
			return Digit{}, false
		}
	}
	*d = digitReceiver{pressed: true, event: event, start: timestamp, latest: timestamp, ended: end, hz: hz}
	return Digit{
		Key:      rune(keys[event]),
		Duration: time.Duration(duration) * time.Second / time.Duration(hz),
	}, true
}

// goesOn reports whether a packet with a later timestamp belongs to the same key.
func (d *digitReceiver) goesOn(timestamp uint32, marker bool) bool {
	if marker {
		return false
	}
	return d.nextSegment(timestamp) || int32(timestamp-d.latest) <= rebounceMS*int32(d.hz)/1000
}

// nextSegment: segments are 0xFFFF long; senders that only count whole packets
// cut them up to 100 ms shorter.
func (d *digitReceiver) nextSegment(timestamp uint32) bool {
	length := timestamp - d.start
	return !d.ended && length <= 0xFFFF && length > 0xFFFF-d.hz/10
}

func (d *digitReceiver) update(timestamp uint32, end bool) {
	if d.nextSegment(timestamp) {
		d.start = timestamp
	}
	d.latest = timestamp
	d.ended = d.ended || end
}
