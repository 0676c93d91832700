package rtp

import "time"

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
type DigitSender struct{}

// Start begins a key, 0-9 * # A-D. Duration 0 means 100 ms. It is an error
// while another key is sent or if there is no such key.
func (d *DigitSender) Start(key rune, duration time.Duration) error { return errNotBuilt }

// Active reports whether a key is being sent.
func (d *DigitSender) Active() bool { return false }

// Next returns this beat's packet; ok is false when no key is being sent.
func (d *DigitSender) Next() (step DigitStep, ok bool) { return DigitStep{}, false }
