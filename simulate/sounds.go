package simulate

import (
	"time"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/phone"
)

// seen looks for a sound that is no speech, up to now, and moves the cursor behind it.
func (c *caller) seen(e Expect, now time.Duration) bool {
	switch e.Event {
	case Noise:
		return c.seenNoise(e.Lasts)
	case Silence:
		return c.seenSilence(e.Lasts, now)
	case ToneOf:
		return c.seenTone(e)
	case Beep:
		return c.seenBeep()
	}
	return false
}

func (c *caller) seenNoise(lasts time.Duration) bool {
	for _, s := range c.ear.since(c.cursor) {
		if s.Length() >= lasts {
			c.cursor = s.From
			return true
		}
	}
	return false
}

// seenSilence looks for a time without their sound, after the caller's own.
func (c *caller) seenSilence(lasts, now time.Duration) bool {
	at := max(c.cursor, c.quiet)
	for _, s := range c.ear.spans() {
		if s.To <= at {
			continue
		}
		if s.From-at >= lasts {
			break
		}
		at = s.To
	}
	if now-at < lasts {
		return false
	}
	c.cursor = at + lasts
	return true
}

// How tones are looked for.
const (
	toneWindow = 100 * time.Millisecond
	toneStep   = 50 * time.Millisecond
	beepQuiet  = 150 * time.Millisecond
)

// windows goes through what was heard since the cursor in overlapping windows.
func (c *caller) windows(look func(at time.Duration, pcm []int16) (done bool)) bool {
	for at := c.cursor.Truncate(toneStep); ; at += toneStep {
		pcm := cut(c.ear.pcm, Span{at - c.ear.lead, at - c.ear.lead + toneWindow})
		if len(pcm) < samplesIn(toneWindow) {
			return false
		}
		if look(at, pcm) {
			return true
		}
	}
}

// run is how long what began at from has lasted with the window at at.
func run(from, at time.Duration) time.Duration { return at + toneWindow - from }

// seenTone looks for a sine that is all there is.
func (c *caller) seenTone(e Expect) bool {
	from := time.Duration(-1)
	return c.windows(func(at time.Duration, pcm []int16) bool {
		level := media.Level(pcm)
		if level < -45 || media.ToneLevel(pcm, media.NarrowbandHz, e.Hz) < level-3 {
			from = -1
			return false
		}
		if from < 0 {
			from = at
		}
		if run(from, at) < e.Lasts {
			return false
		}
		c.cursor = at + toneWindow
		return true
	})
}

// seenBeep looks for any sine of 100 ms or more, and for silence behind it.
func (c *caller) seenBeep() bool {
	beeped := time.Duration(-1)
	return c.windows(func(at time.Duration, pcm []int16) bool {
		if _, _, ok := phone.FindTone(pcm); ok {
			beeped = at + toneWindow
			return false
		}
		if beeped < 0 || media.Level(pcm) > -45 {
			if at > beeped+beepQuiet {
				beeped = -1 // it went over into something else
			}
			return false
		}
		if at+toneWindow < beeped+beepQuiet {
			return false
		}
		c.cursor = at + toneWindow
		return true
	})
}
