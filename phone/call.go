package phone

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media/rtp"
)

// Call is one call of a Phone, in either direction. Its methods are safe for
// concurrent use.
//
//	calling ─→ ringing ─→ answered ⇄ held ─→ ended
type Call struct {
	Invite bridge.Invite // of a call that came in

	id       string
	from, to string
	inbound  bool
	log      *slog.Logger
	line     bridge.Line
	session  *rtp.Session
	ear      *Ear
	mouth    *Mouth

	began    time.Time
	ringing  chan struct{} // closed when it rings at the called side
	answered chan struct{} // closed when talking begins
	ended    chan struct{} // closed when all is over and no goroutine is left
	digits   chan rune
	changes  chan bridge.LineEventKind

	mu       sync.Mutex
	rangAt   time.Time
	answerAt time.Time
	endAt    time.Time
	end      bridge.LineEvent
	pressed  []rune // keys that the peer pressed
	holding  bool   // we hold the peer
	heldBy   bool   // the peer holds us
}

// Failure is a call that was not answered.
type Failure struct {
	Cause   bridge.Cause
	SIPCode int // the response that said so, 0 if none did
	Reason  string
}

// Error says why in words.
func (f *Failure) Error() string {
	return "the call was not answered: " + endingWords(f.Cause, f.SIPCode, f.Reason)
}

var (
	errOver        = errors.New("the call is over")
	errNotAnswered = errors.New("the call is not answered")
	errNobody      = errors.New("nobody called")
)

// keysWaiting is how many keys of the peer wait for somebody to read them.
const keysWaiting = 256

func (p *Phone) newCall() *Call {
	c := &Call{
		id: bridge.NewID("phone"), began: time.Now(),
		ringing: make(chan struct{}), answered: make(chan struct{}), ended: make(chan struct{}),
		digits: make(chan rune, keysWaiting), changes: make(chan bridge.LineEventKind, 16),
	}
	c.log = p.log.With("call_id", c.id)
	keep := max(0, p.config.KeepHeard)
	c.ear = NewEar(keep)
	c.mouth = newMouth(p.config.Ptime)
	if p.config.KeepSaid {
		c.mouth.keep = samplesIn(keep)
	}
	return c
}

// attach joins the call to its line; watch follows.
func (c *Call) attach(line bridge.Line) {
	c.line, c.session = line, line.Media()
	c.mouth.session = c.session
	c.session.Receive(c.ear.Packet, c.key)
}

// watch follows the line to its end.
func (c *Call) watch() {
	var speaking sync.WaitGroup
	quiet := make(chan struct{})
	for e := range c.line.Events() {
		c.note(e)
		switch e.Kind {
		case bridge.LineAnswered:
			speaking.Go(func() { c.speak(quiet) })
			close(c.answered)
		case bridge.LineHeld:
			c.ear.excuse(true)
		case bridge.LineResumed:
			c.ear.excuse(false)
		}
		select {
		case c.changes <- e.Kind:
		default:
		}
	}
	close(quiet)
	// A Line takes its steps one after the other: when this one has been refused,
	// the one that ended the call has sent its CANCEL or BYE, and the phone may be closed.
	c.line.Ring()
	speaking.Wait()
	c.session.Receive(nil, nil)
	c.ear.Close()
	close(c.changes)
	close(c.digits)
	close(c.ended)
}

func (c *Call) speak(quiet <-chan struct{}) {
	defer func() {
		if p := recover(); p != nil {
			c.log.Error("panic while speaking", "panic", p, "stack", string(debug.Stack()))
			c.line.End(bridge.CauseInternal, "an internal error")
		}
	}()
	if err := c.mouth.Run(quiet); err != nil {
		c.log.Warn("speaking", "error", err)
	}
}

// note remembers when what happened.
func (c *Call) note(e bridge.LineEvent) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	switch e.Kind {
	case bridge.LineRinging, bridge.LineEarly:
		c.rangLocked(now)
	case bridge.LineAnswered:
		c.answerAt = now
	case bridge.LineHeld, bridge.LineResumed:
		c.heldBy = e.Kind == bridge.LineHeld
	case bridge.LineEnded:
		c.end, c.endAt = e, now
	}
}

func (c *Call) rangLocked(now time.Time) {
	if c.rangAt.IsZero() {
		c.rangAt = now
		close(c.ringing)
	}
}

// key takes a key that the peer pressed.
func (c *Call) key(d rtp.Digit) {
	c.ear.keyPressed()
	c.mu.Lock()
	c.pressed = append(c.pressed, d.Key)
	c.mu.Unlock()
	select {
	case c.digits <- d.Key:
	default:
	}
}

// ID names the call in logs.
func (c *Call) ID() string { return c.id }

// Ringing is closed when it rings: here for a call that came in, over there for
// one that we place.
func (c *Call) Ringing() <-chan struct{} { return c.ringing }

// Ended is closed when the call is over and nothing of it runs any more.
func (c *Call) Ended() <-chan struct{} { return c.ended }

// Changes delivers what happens on the line, as long as somebody reads; it is
// closed at the end.
func (c *Call) Changes() <-chan bridge.LineEventKind { return c.changes }

// Digits delivers the keys that the peer presses; it is closed at the end.
func (c *Call) Digits() <-chan rune { return c.digits }

// Session is the call's RTP session.
func (c *Call) Session() *rtp.Session { return c.session }

// Ring lets the caller of a call that came in hear that it rings.
func (c *Call) Ring() error {
	if err := c.line.Ring(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rangLocked(time.Now())
	return nil
}

// Answer takes a call that came in and waits until it is up.
func (c *Call) Answer(ctx context.Context) error {
	if err := c.line.Answer(); err != nil {
		return err
	}
	return c.Answered(ctx)
}

// Reject refuses a call that came in.
func (c *Call) Reject(cause bridge.Cause, reason string) { c.line.End(cause, reason) }

// Answered waits until the call is answered. When it ends instead, the error is
// a *[Failure]; when ctx ends first, the call is given up.
func (c *Call) Answered(ctx context.Context) error {
	var stopped error
	select {
	case <-c.answered:
		return nil
	case <-ctx.Done():
		stopped = ctx.Err()
		c.line.End(bridge.CauseCanceled, "nobody waits for the answer any more")
		<-c.ended
	case <-c.ended:
	}
	select {
	case <-c.answered: // and ended since
		return nil
	default:
	}
	if stopped != nil {
		return stopped
	}
	return c.failure()
}

func (c *Call) failure() *Failure {
	c.mu.Lock()
	defer c.mu.Unlock()
	return &Failure{Cause: c.end.Cause, SIPCode: c.end.SIPCode, Reason: c.end.Reason}
}
