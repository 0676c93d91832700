package bridge

import (
	"strings"
	"time"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/rtp"
)

const (
	keyLength = 100 * time.Millisecond
	keyPause  = 3 // beats of silence after a key
	mostKeys  = 64
)

// keys is the queue of digits that a Sink sends.
type keys struct {
	waiting []rune
	sender  rtp.DigitSender
	pause   int
	start   int64     // position of the key under way
	began   time.Time // when it began; zero: with its first packet
}

func (q *keys) sending() bool { return q.sender.Active() || q.pause > 0 || len(q.waiting) > 0 }

func (q *keys) queue(digits string) error {
	if err := checkKeys(digits, len(q.waiting)); err != nil {
		return err
	}
	q.waiting = append(q.waiting, []rune(digits)...)
	return nil
}

// checkKeys refuses what cannot be queued behind so many keys that wait already.
func checkKeys(digits string, waiting int) error {
	if digits == "" || len(digits) > mostKeys || strings.Trim(digits, "0123456789*#ABCD") != "" {
		return refuse(Invalid, "digits", "digits must be 1 to %d of 0-9 * # A-D", mostKeys)
	}
	if waiting+len(digits) > mostKeys {
		return refuse(LimitReached, "digits", "%d digits wait to be sent already; try again when they are out", waiting)
	}
	return nil
}

// next returns this beat's event packet; ok is false in a pause.
func (q *keys) next() (step rtp.DigitStep, ok bool) {
	if q.pause > 0 {
		q.pause--
		return step, false
	}
	if !q.sender.Active() {
		if q.sender.Start(q.waiting[0], keyLength) != nil {
			q.pause = 1
		}
		q.waiting = q.waiting[1:]
		q.began = time.Time{}
	}
	if step, ok = q.sender.Next(); ok && step.Done {
		q.pause = keyPause
	}
	return step, ok
}

// write numbers and sends one event packet: every packet of a key carries the
// timestamp at which the key began, RFC 4733 section 2.2.1.
func (q *keys) write(k *Sink, step rtp.DigitStep, now time.Time) {
	n := &k.num
	if q.began.IsZero() {
		q.start, n.debt = n.elapsed(now, int64(media.FrameSamples)*n.rate/media.NarrowbandHz)
		q.began = now
	}
	n.driver = nil
	p := n.put(q.start, 0, 0, step.Marker, now)
	if step.Done { // sound goes on where the clock is by then
		n.length = int64(now.Sub(q.began)+media.FrameDuration) * n.rate / int64(time.Second)
	}
	k.write(p, media.TelephoneEvent, step.Payload)
}
