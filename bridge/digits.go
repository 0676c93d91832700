package bridge

import (
	"context"
	"time"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/rtp"
)

// keyWay is how a key travels between a phone and us.
type keyWay uint8

const (
	byEvent keyWay = iota // telephone-event, RFC 4733
	byInfo                // SIP INFO
	byTone                // in the sound
)

// press is a key as it reached us.
type press struct {
	rtp.Digit
	way keyWay
}

// pressed takes a key from whoever must not wait.
func (c *Call) pressed(d rtp.Digit, way keyWay) {
	select {
	case c.keys <- press{d, way}:
	default: // 64 keys wait: the call is stuck, not the caller's fingers
	}
}

// listenForTones has the phone's sound searched for keys, where its trunk asks
// for that, or where keys cannot come as events.
func (c *Call) listenForTones() {
	events := c.line.Media().Params().EventsAgreed
	if mode := c.trunk.DTMF; mode != "inband" && (!automatic(mode) || events) {
		c.source.HearKeys(nil)
		return
	}
	c.source.HearKeys(func(key rune) { c.pressed(rtp.Digit{Key: key}, byTone) })
}

func automatic(mode string) bool { return mode == "" || mode == "auto" }

// keysOut is how this phone takes keys.
func (c *Call) keysOut() (keyWay, error) {
	agreed := c.line.Media().Params().EventsAgreed
	switch mode := c.trunk.DTMF; {
	case mode == "info":
		return byInfo, nil
	case mode == "inband":
		return byTone, nil
	case agreed:
		return byEvent, nil
	case mode == "rfc4733":
		return byEvent, refuse(Conflict, "", "the phone of call %s did not agree to telephone-event, and its trunk allows no other digits", c.id)
	}
	return byTone, nil
}

// sendKeys queues keys for the phone in the way that it takes them.
func (c *Call) sendKeys(digits string) error {
	if c.sink == nil {
		return refuse(Conflict, "", "call %s is not answered yet; digits need a call that is up", c.id)
	}
	way, err := c.keysOut()
	switch {
	case err != nil:
		return err
	case way == byInfo:
		return c.inform(digits)
	case way == byTone:
		return c.sink.PlayKeys(digits)
	}
	return c.sink.SendDigits(digits)
}

// infoKey is a key on its way to an INFO.
type infoKey struct {
	line Line
	key  rune
}

// inform queues keys to be sent by INFO.
func (c *Call) inform(digits string) error {
	if err := checkKeys(digits, len(c.infos)); err != nil {
		return err
	}
	if c.infos == nil {
		c.infos = make(chan infoKey, mostKeys)
		infos := c.infos
		c.x.running.Go(func() { c.sendInfos(infos) })
	}
	for _, key := range digits {
		c.infos <- infoKey{c.line, key} // there is room: only the call's goroutine puts keys in
	}
	return nil
}

// infoTimeout is how long the answer to one INFO is waited for; SIP itself gives up after 32 s.
const infoTimeout = 40 * time.Second

// sendInfos sends keys one after the other until the call has ended.
func (c *Call) sendInfos(infos <-chan infoKey) {
	for {
		select {
		case <-c.done:
			return
		case k := <-infos:
			ctx, cancel := context.WithTimeout(context.Background(), infoTimeout)
			if err := k.line.SendDigit(ctx, k.key, media.KeyLength); err != nil {
				c.log.Warn("a key could not be sent by INFO", "error", err)
			}
			cancel()
		}
	}
}

// echoes tells the presses of a phone that sends every key in two ways at once,
// such as INFO beside events, from keys that are pressed again.
type echoes struct{ heard []sighting }

type sighting struct {
	key  rune
	ways [byTone + 1]bool
	at   time.Time
}

// echoFor is how far the two ways may be apart.
const echoFor = time.Second

// repeats reports whether a press has come another way already.
func (e *echoes) repeats(p press, now time.Time) bool {
	for len(e.heard) > 0 && now.Sub(e.heard[0].at) > echoFor {
		e.heard = e.heard[1:]
	}
	for i := range e.heard {
		if s := &e.heard[i]; s.key == p.Key && !s.ways[p.way] {
			s.ways[p.way] = true
			return true
		}
	}
	s := sighting{key: p.Key, at: now}
	s.ways[p.way] = true
	e.heard = append(e.heard, s)
	return false
}
