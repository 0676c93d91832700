package bridge

import (
	"crypto/sha256"
	"crypto/subtle"
	"sync"
	"time"

	"github.com/roomline/roomline/dialplan"
	"github.com/roomline/roomline/media"
)

const (
	pinTries   = 3
	pinTimeout = 15 * time.Second
	beepLength = 300 * time.Millisecond
)

// askPIN: the call is answered in a room of its own, where nobody is, and gets
// into the target's room when it has keyed the PIN. Its keys are neither logged
// nor told to anybody.
func (c *Call) askPIN(t dialplan.Target, room string) step {
	c.pin = &keyedPIN{}
	if err := c.accept("call-" + c.id); err != nil {
		return c.end(CauseSignalling, err.Error())
	}
	return c.awaitAck(func() step {
		c.answered()
		return c.keyPIN(t.PIN, room)
	})
}

// keyedPIN are the keys of one try.
type keyedPIN struct{ keys []rune }

// keyed takes a key for the PIN that is asked for; other keys are events.
func (c *Call) keyed(d press) (wanted bool) {
	if c.asking.keyed(c, d.Key) {
		return false
	}
	if c.pin == nil {
		c.digit(d)
		return false
	}
	if d.Key == '*' { // starts over
		c.pin.keys = nil
	} else {
		c.pin.keys = append(c.pin.keys, d.Key)
	}
	return true
}

func (c *Call) keyPIN(pin, room string) step {
	rec := c.Record()
	who := guesser{rec.Trunk, rec.From}
	for range pinTries {
		c.beep()
		keys, ended := c.gather(len(pin))
		if ended {
			return nil
		}
		c.pin.keys = nil
		if keys == "" {
			continue
		}
		delay := c.x.guesses.turn(who, time.Now())
		if delay > longestDelay {
			return c.end(CauseRejected, "too many wrong PINs came from this number; try again later")
		}
		if c.pause(delay) {
			return nil
		}
		if samePIN(keys, pin) {
			c.x.guesses.right(who)
			c.pin = nil
			if err := c.sit(room); err != nil {
				return c.end(CauseInternal, err.Error())
			}
			return c.active
		}
		c.x.guesses.wrong(who, time.Now())
		c.pin.keys = nil // those of the pause
	}
	return c.end(CauseRejected, "the PIN of the room was not keyed within 3 tries")
}

// gather waits for the keys of one try: as many as the PIN has, or fewer and #.
func (c *Call) gather(length int) (keys string, ended bool) {
	timeout := time.NewTimer(pinTimeout)
	defer timeout.Stop()
	for { // the first keys may have come before the beep
		switch n := len(c.pin.keys); {
		case n > 0 && c.pin.keys[n-1] == '#':
			return string(c.pin.keys[:n-1]), false
		case n == length:
			return string(c.pin.keys), false
		}
		switch e, what := c.wait(nil, timeout.C); what {
		case over:
			return "", true
		case timeUp:
			return string(c.pin.keys), false
		case told:
			c.changed(e)
		}
	}
}

// pause serves the call for a while.
func (c *Call) pause(d time.Duration) (ended bool) {
	timeout := time.NewTimer(d)
	defer timeout.Stop()
	for {
		switch e, what := c.wait(nil, timeout.C); what {
		case over:
			return true
		case timeUp:
			return false
		case told:
			c.changed(e)
		}
	}
}

// samePIN compares without telling by its time where they differ.
func samePIN(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// beep asks for the PIN.
func (c *Call) beep() {
	if _, err := c.sink.Play(media.Beep(media.NarrowbandHz), beepLength); err != nil {
		c.log.Warn("no beep", "error", err)
	}
}

const (
	freeGuesses    = 3
	longestDelay   = 30 * time.Second
	guessesLast    = time.Hour
	mostGuessers   = 4096
	longestPenalty = time.Minute
)

// guesser is who keys PINs, as far as can be told.
type guesser struct{ trunk, from string }

// guesses slow down who keys wrong PINs: after three, each further try of the
// same number waits, over all of its calls together.
type guesses struct {
	mu sync.Mutex
	by map[guesser]*guess
}

type guess struct {
	wrong int
	last  time.Time
	next  time.Time // when the next try may be judged
}

// turn says how long a try has to wait before it is judged, and takes that turn.
func (g *guesses) turn(who guesser, now time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	a := g.by[who]
	if a == nil || a.wrong < freeGuesses {
		return 0
	}
	at := now
	if a.next.After(now) {
		at = a.next
	}
	if wait := at.Sub(now); wait > longestDelay { // refused: it takes no turn
		return wait
	}
	a.next = at.Add(min(time.Second<<min(a.wrong-freeGuesses, 10), longestPenalty))
	return at.Sub(now)
}

func (g *guesses) wrong(who guesser, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.by == nil {
		g.by = map[guesser]*guess{}
	}
	a := g.by[who]
	if a == nil {
		g.makeRoomLocked(now)
		a = &guess{}
		g.by[who] = a
	}
	if now.Sub(a.last) > guessesLast {
		a.wrong = 0
	}
	a.wrong++
	a.last = now
	if a.wrong == freeGuesses {
		a.next = now.Add(time.Second)
	}
}

// makeRoomLocked forgets who has not tried for long, and if need be who tried least lately.
func (g *guesses) makeRoomLocked(now time.Time) {
	if len(g.by) < mostGuessers {
		return
	}
	var oldest guesser
	var at time.Time
	for who, a := range g.by {
		if now.Sub(a.last) > guessesLast {
			delete(g.by, who)
		} else if at.IsZero() || a.last.Before(at) {
			oldest, at = who, a.last
		}
	}
	if len(g.by) >= mostGuessers {
		delete(g.by, oldest)
	}
}

func (g *guesses) right(who guesser) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.by, who)
}
