package phone

import (
	"context"
	"errors"
	"time"

	"github.com/roomline/roomline/bridge"
)

// Hangup ends the call and waits until it is over.
func (c *Call) Hangup() {
	cause := bridge.CauseCanceled
	select {
	case <-c.answered:
		cause = bridge.CauseNormal
	default:
		if c.inbound {
			cause = bridge.CauseRejected
		}
	}
	c.line.End(cause, "")
	<-c.ended
}

// Hold puts the peer on hold, or takes it back, and waits for its agreement.
// While it is on hold it is sent nothing.
func (c *Call) Hold(ctx context.Context, on bool) error {
	if on {
		c.mouth.hold(true)
		c.ear.excuse(true)
	}
	err := c.line.Hold(ctx, on)
	if on == (err == nil) { // it is held now
		c.mu.Lock()
		c.holding = true
		c.mu.Unlock()
		return err
	}
	c.mu.Lock()
	c.holding = false
	c.mu.Unlock()
	c.mouth.hold(false)
	c.ear.excuse(false)
	return err
}

// Speak says s from now on, in place of what was said before; nil is silence.
// done is closed when s is at its end, replaced, or the call is over.
func (c *Call) Speak(s Source) (done <-chan struct{}) { return c.mouth.Speak(s) }

// Mute stops sending altogether, or goes on. (A phone with nothing to say sends silence.)
func (c *Call) Mute(on bool) { c.mouth.mute(on) }

// Play says s and waits until it is at its end, replaced, or ctx or the call
// has ended. An endless source is said until then.
func (c *Call) Play(ctx context.Context, s Source) error {
	done := c.Speak(s)
	select {
	case <-done:
		return nil
	case <-c.ended:
		return errOver
	case <-ctx.Done():
		c.mouth.unspeak(done)
		return ctx.Err()
	}
}

// SendDigits presses keys, 0-9 * # A-D, and waits until they are sent. A comma
// is a pause of half a second. Sound pauses meanwhile, as on a real phone.
func (c *Call) SendDigits(ctx context.Context, keys string) error {
	select {
	case <-c.answered:
	default:
		return errNotAnswered
	}
	if !c.session.Params().EventsAgreed {
		return errors.New("the other side takes no digits: it has not agreed to telephone-event")
	}
	done, err := c.mouth.press(keys)
	if err != nil {
		return err
	}
	select {
	case <-done:
		return nil
	case <-c.ended:
		return errOver
	case <-ctx.Done():
		c.mouth.unpress()
		return ctx.Err()
	}
}

// Heard returns a copy of what was heard, 8 kHz mono, placed by RTP time from
// the first packet on; what did not come is silence.
func (c *Call) Heard() []int16 { return c.ear.Heard() }

// HeardFrom is [Call.Heard] without its first samples, for those who listen while
// the call goes on; from 0 on.
func (c *Call) HeardFrom(sample int) []int16 { return c.ear.HeardFrom(sample) }

// HeardSince is when the first packet came; zero before it.
func (c *Call) HeardSince() time.Time { return c.ear.Since() }

// Said returns a copy of what was said, if [Config.KeepSaid] asked for it, from
// SaidSince on; pauses are silence.
func (c *Call) Said() []int16 { return c.mouth.said() }

// SaidSince is when the first packet was sent; zero before it.
func (c *Call) SaidSince() time.Time { return c.mouth.Since() }

// Arrivals returns the newest packets of sound that came, oldest first, at most 4096.
func (c *Call) Arrivals() []Packet { return c.ear.Arrivals() }

// Sendings returns the newest packets of sound that were sent, oldest first, at most 4096.
func (c *Call) Sendings() []Packet { return c.mouth.Sendings() }

// Packet is one packet of sound, as it came or was sent.
type Packet struct {
	SequenceNumber uint16
	Timestamp      uint32
	At             time.Time // arrival, or just before the write
	Position       int       // of its first sample in Heard or Said
}

// Transfer asks the peer to call target, a SIP URI or number, in our stead (RFC
// 3515); with, if not nil, is the call of ours that the new one takes the place of
// (attended transfer). It waits until the peer says how it went.
func (c *Call) Transfer(ctx context.Context, target string, with *Call) error {
	var other bridge.Line
	if with != nil {
		other = with.line
	}
	return c.line.Refer(ctx, target, other)
}
