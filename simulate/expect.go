package simulate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
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
		f.Heard = "they hung up; before that the caller " + c.heard()
	case errors.Is(err, errNever) && c.call.Report().PacketsReceived == 0:
		f.Kind, f.Heard = KindNoMedia, "no RTP has come since the answer"
	case errors.Is(err, errNever):
		f.Kind, f.Heard = KindExpectation, c.heard()
	case s.Expect.Event == Declined:
		f.Kind = KindExpectation
	}
	return f
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
	c.ear.over = c.ended()
	c.ear.follow()
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
