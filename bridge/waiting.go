package bridge

import (
	"time"

	"github.com/roomline/roomline/media"
)

// What a phone that has been answered hears while it waits: the hold sound, the
// tone of ringing at the far end, and the busy tone. Its room is not heard meanwhile.

// busyLength is how long a phone hears that a transfer has failed.
const busyLength = 2 * time.Second

// holdSound begins or ends what a phone hears that we hold.
func (c *Call) holdSound(on bool) {
	c.quiet()
	if !on {
		return
	}
	c.sound(c.x.holdVoice())
}

func (x *Exchange) holdVoice() Voice {
	if x.HoldSound != nil {
		return x.HoldSound()
	}
	return media.NewChime(media.NarrowbandHz)
}

// ringback lets a phone that has gone ahead of a transfer hear that the far side
// rings, until there is early media, an answer or an end.
func (c *Call) ringback(e *errand, rings bool) {
	switch {
	case !e.waits(): // the phone talks to others yet, or its peer tells it
	case !rings:
		if e.rings && !c.isParked() {
			c.quiet()
		}
		e.rings = false
	case !e.rings && !c.isParked():
		e.rings = true
		c.sound(media.Ringback(e.leg.country(), media.NarrowbandHz))
	}
}

// busyTone tells a phone that comes back from a transfer why, where the far side was busy.
func (c *Call) busyTone(cause Cause) {
	if cause == CauseBusy && c.sink != nil {
		c.tone(cause)
	}
}

// tone plays for busyLength that nobody takes the phone: busy, or else congestion.
func (c *Call) tone(cause Cause) {
	if c.isParked() {
		return
	}
	voice := media.Congestion(c.trunk.Country, media.NarrowbandHz)
	if cause == CauseBusy {
		voice = media.Busy(c.trunk.Country, media.NarrowbandHz)
	}
	if _, err := c.sink.Play(voice, busyLength); err != nil {
		c.log.Warn("no busy tone", "error", err)
	}
}

// waits lets a phone that is answered hear that it waits, unless it hears
// something of the kind already.
func (c *Call) waits() {
	if c.sink != nil && c.hush == nil && c.isAnswered() && !c.isParked() {
		c.holdSound(true)
	}
}

// country is the one of the trunk by which a call leaves or came, empty if it says none.
func (c *Call) country() string {
	name := c.Record().Trunk
	for _, t := range c.x.plan().Trunks {
		if t.Name == name {
			return t.Country
		}
	}
	return ""
}

// sound plays to the phone until quiet; nil plays nothing.
func (c *Call) sound(v Voice) {
	if v == nil || c.sink == nil {
		return
	}
	stop, err := c.sink.Play(v, 0)
	if err != nil {
		c.log.Warn("the phone hears no waiting sound", "error", err)
		return
	}
	c.hush, c.filling = stop, false
}

// quiet ends what sound has begun.
func (c *Call) quiet() {
	if c.hush != nil {
		c.hush()
		c.hush, c.filling = nil, false
	}
}
