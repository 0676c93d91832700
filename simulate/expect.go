package simulate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/speech"
	"github.com/roomline/roomline/phone"
)

// await waits for what a step expects.
func (c *caller) await(ctx context.Context, s Step) *Failure {
	e := s.Expect
	within := e.Within
	if within == 0 {
		within = c.scenario.Within
	}
	var err error
	switch e.Event {
	case Speech:
		err = c.awaitSpeech(ctx, e, within)
	case HungUp:
		err = c.awaitEnd(ctx, within)
	case Pressed:
		err = c.awaitKeys(ctx, e.Keys, within)
	case Declined:
		err = errors.New("the call was answered")
	default:
		err = c.watch(ctx, within+e.Lasts, func() bool { return c.seen(e, c.ear.now) })
	}
	if err != nil {
		return c.missing(err, s, e.String())
	}
	return nil
}

// missing is the failure of an expectation.
func (c *caller) missing(err error, s Step, expected string) *Failure {
	f := c.fail(err, s)
	if f.Kind == KindTimeout || f.Kind == KindInterrupted {
		return f
	}
	f.Expected = expected
	switch {
	case errors.Is(err, errOver):
		f.Heard = "they hung up" + but(c.heard())
	case errors.Is(err, errNever) && c.call.Report().PacketsReceived == 0:
		f.Kind, f.Heard = KindNoMedia, "no RTP has come since the answer"
	case errors.Is(err, errNever):
		f.Kind, f.Heard = KindExpectation, c.heard()
	case s.Expect.Event == Declined:
		f.Kind = KindExpectation
	}
	return f
}

func but(heard string) string {
	if heard == "" {
		return ""
	}
	return "; before, " + heard
}

// heard says in words what has come since the cursor.
func (c *caller) heard() string {
	utterances, _ := c.ear.utterances(c.cursor, c.scenario.Pause, c.keyed)
	var said []string
	for _, u := range utterances {
		phrases, known := c.judged[u]
		for _, h := range phrases {
			said = append(said, fmt.Sprintf("%q at %.2f s", h.Phrase, h.From.Seconds()))
		}
		if len(phrases) > 0 {
			continue
		}
		what := fmt.Sprintf("sound of %.1f s", u.Length().Seconds())
		if known {
			what += " that is none of the phrases"
		}
		said = append(said, fmt.Sprintf("%s at %.2f s", what, u.From.Seconds()))
	}
	if len(said) == 0 {
		return "heard nothing"
	}
	return "heard " + strings.Join(said, ", ")
}

// watch looks again and again until seen, or errNever when it is known what was
// heard up to within from now, or the call has ended.
func (c *caller) watch(ctx context.Context, within time.Duration, seen func() bool) error {
	deadline := c.now() + within
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		c.follow()
		switch {
		case seen():
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case c.ear.over:
			return errOver
		case c.ear.now >= deadline:
			return errNever
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}

// follow hears what has come, also when the call has ended just now.
func (c *caller) follow() {
	select {
	case <-c.call.Ended():
		c.ear.over = true
	default:
	}
	c.ear.follow()
}

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

// awaitEnd waits until the other side hangs up.
func (c *caller) awaitEnd(ctx context.Context, within time.Duration) error {
	err := c.watch(ctx, within, func() bool { return false })
	if errors.Is(err, errOver) {
		return nil
	}
	return err
}

// awaitKeys waits for keys of the other side, in this order.
func (c *caller) awaitKeys(ctx context.Context, keys string, within time.Duration) error {
	return c.watch(ctx, within, func() bool {
		for {
			select {
			case k, ok := <-c.call.Digits():
				if ok {
					c.pressed = append(c.pressed, k)
					continue
				}
			default:
			}
			i := strings.Index(string(c.pressed), keys)
			if i < 0 {
				return false
			}
			c.pressed = slices.Delete(c.pressed, 0, i+len(keys))
			return true
		}
	})
}

// awaitSpeech waits for an utterance that begins in time and is one of the phrases.
func (c *caller) awaitSpeech(ctx context.Context, e Expect, within time.Duration) error {
	deadline := c.now() + within
	if c.among(c.rest, e.Phrases, deadline) {
		return nil
	}
	for {
		u, err := c.utterance(ctx, deadline)
		if err != nil {
			return err
		}
		matched, err := c.recognised(ctx, u, e.Phrases, deadline)
		if err != nil || matched {
			return err
		}
	}
}

// utterance waits for the next one that was not recognised yet and has ended.
func (c *caller) utterance(ctx context.Context, deadline time.Duration) (found Span, err error) {
	begun := false // one is under way that began in time
	look := func() bool {
		list, whole := c.ear.utterances(c.cursor, c.scenario.Pause, c.keyed)
		begun = false
		for i, u := range list {
			if _, done := c.judged[u]; done || u.From > deadline {
				continue
			}
			if i == len(list)-1 && !whole {
				begun = true
				return false
			}
			found = u
			return true
		}
		return false
	}
	for {
		err := c.watch(ctx, max(tick, deadline-c.now()), look)
		if !errors.Is(err, errNever) || !begun {
			return found, err
		}
		deadline = max(deadline, c.now()) // let them finish
	}
}

// parts bounds how many pieces of an utterance are tried.
const parts = 8

// recognised tells whether an utterance, or a part of it between two pauses, is
// one of the phrases and began in time. The cursor moves behind it; what was said
// after the phrase waits for the next expectation.
func (c *caller) recognised(ctx context.Context, u Span, phrases []string, deadline time.Duration) (bool, error) {
	runs := pieces(c.ear.since(u.From), u)
	heard, err := c.understand(ctx, u, len(runs) > 0 || c.keyed)
	if err != nil {
		return false, err
	}
	c.judged[u] = heard
	c.noteHeard(heard)
	if c.among(heard, phrases, deadline) {
		c.cursor, c.keyed = u.To, false
		return true, nil
	}
	for _, piece := range runs[:min(len(runs), parts)] {
		heard, err := c.understand(ctx, piece, false)
		if err != nil {
			return false, err
		}
		if c.among(heard, phrases, deadline) {
			c.noteHeard(heard)
			c.cursor, c.keyed = piece.To, false
			return true, nil
		}
	}
	return false, nil
}

// understand is what was said in a span, in time from the answer.
func (c *caller) understand(ctx context.Context, s Span, pauses bool) ([]speech.Heard, error) {
	heard, err := c.props.understand(ctx, c.ear.sound(s), pauses)
	for i := range heard {
		heard[i].From, heard[i].To = max(s.From, s.From-around+heard[i].From), s.From-around+heard[i].To
	}
	return heard, err
}

// noteHeard keeps what was understood for the report.
func (c *caller) noteHeard(heard []speech.Heard) {
	for _, h := range heard {
		c.note(h.From, "agent", "%s", h.Phrase)
	}
}

// among looks for one of phrases in what was heard up to a time, and keeps what
// comes after it.
func (c *caller) among(heard []speech.Heard, phrases []string, deadline time.Duration) bool {
	for i, h := range heard {
		if h.From <= deadline && slices.ContainsFunc(phrases, func(p string) bool { return sameWords(p, h.Phrase) }) {
			c.rest = heard[i+1:]
			return true
		}
	}
	return false
}

// pieces are the runs of an utterance's spans that are shorter than all of it,
// the longest first.
func pieces(spans []Span, u Span) (list []Span) {
	inside := slices.DeleteFunc(slices.Clone(spans), func(s Span) bool { return s.From < u.From || s.To > u.To })
	most := len(inside) - 1
	if most >= 0 && inside[0].From > u.From {
		most++ // the utterance begins in the middle of a span
	}
	for n := most; n > 0; n-- {
		for i := 0; i+n <= len(inside); i++ {
			list = append(list, Span{inside[i].From, inside[i+n-1].To})
		}
	}
	return list
}
