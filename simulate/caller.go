package simulate

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/roomline/roomline/media/speech"
	"github.com/roomline/roomline/phone"
)

// caller plays one scenario on one call. It belongs to one goroutine.
type caller struct {
	scenario *Scenario
	props    *props
	random   *rand.Rand
	call     *phone.Call
	ear      *listener

	step    int           // index of the one under way
	cursor  time.Duration // what was heard before is past
	quiet   time.Duration // when the caller was last heard
	said    []saying
	judged  map[Span][]speech.Heard // utterances that were recognised, and as what
	rest    []speech.Heard          // phrases of the last one, after the one that was expected
	hanging bool                    // the caller has hung up
	hungUp  bool                    // the other side has
	keyed   bool                    // the caller pressed keys at the cursor
	pressed []rune                  // keys of the other side not yet expected
	notes   []Note
}

// Note is something that happened, for the report.
type Note struct {
	At   time.Duration
	Who  string // caller, agent, or step
	Text string
}

// tick is how often a caller looks at what was heard.
const tick = 20 * time.Millisecond

var (
	errOver  = errors.New("the other side hung up")
	errNever = errors.New("it did not come in time")
)

// now is the time since the answer.
func (c *caller) now() time.Duration { return time.Since(c.ear.origin) }

func (c *caller) note(at time.Duration, who, format string, args ...any) {
	c.notes = append(c.notes, Note{at, who, fmt.Sprintf(format, args...)})
}

// play takes all steps. ctx is the scenario's.
func (c *caller) play(ctx context.Context) *Failure {
	for i, s := range c.scenario.Steps {
		c.step = i
		c.note(c.now(), "step", "%s", s)
		if f := c.take(ctx, s); f != nil {
			return f
		}
	}
	return nil
}

func (c *caller) take(ctx context.Context, s Step) *Failure {
	switch s.Action {
	case Say, WAV, Tone, Digits:
		c.pass(c.now(), s)
		return c.fail(c.speak(ctx, s), s)
	case Wait:
		return c.fail(c.sleep(ctx, c.chance(s.Least, s.Most)), s)
	case Hold:
		return c.fail(c.hold(ctx, s.Least), s)
	case Hangup:
		c.hanging = true
		c.call.Hangup()
	case BargeIn:
		return c.bargeIn(ctx, s)
	case Await:
		return c.await(ctx, s)
	case Assert:
		return c.assert(s)
	}
	return nil
}

// chance is a time between two, evenly.
func (c *caller) chance(least, most time.Duration) time.Duration {
	if most <= least {
		return least
	}
	return least + time.Duration(c.random.Int64N(int64(most-least)))
}

// fail makes a failure of an error of this step; nil of nil.
func (c *caller) fail(err error, s Step) *Failure {
	if err == nil {
		return nil
	}
	f := &Failure{Kind: KindTool, Step: c.step, Line: s.Line, Doing: s.String(), Heard: err.Error(), At: c.now()}
	switch {
	case errors.Is(err, errNever): // the caller says what
	case errors.Is(err, errOver), !c.hanging && c.ended():
		f.Kind, f.Expected, f.Heard = KindHungUp, "the call to go on", errOver.Error()
	case errors.Is(err, context.DeadlineExceeded):
		f.Kind, f.Heard = KindTimeout, fmt.Sprintf("the scenario took longer than %s", c.scenario.Timeout)
	case errors.Is(err, context.Canceled):
		f.Kind, f.Heard = KindInterrupted, "it was interrupted"
	}
	return f
}

// sleep waits while the call lives.
func (c *caller) sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-c.call.Ended():
		return errOver
	case <-ctx.Done():
		return ctx.Err()
	}
}

// speak says or presses what a step has, and remembers when.
func (c *caller) speak(ctx context.Context, s Step) (err error) {
	from := c.now()
	if s.Keys != "" {
		err = c.call.SendDigits(ctx, s.Keys)
		c.quiet = max(from, c.now()-lastKey)
		c.cursor = c.quiet // what answers the keys before it is past as well
	} else {
		err = c.call.Play(ctx, phone.Recording(c.props.sounds[spoken(s, &c.scenario.Settings)], false))
		c.quiet = c.now()
	}
	c.said = append(c.said, saying{Span: Span{from, c.quiet}, step: c.step, keys: s.Keys != "", aside: s.Aside})
	return err
}

// ended reports whether the call is over.
func (c *caller) ended() bool {
	select {
	case <-c.call.Ended():
		return true
	default:
		return false
	}
}

// pass makes what was heard up to now the past: the caller speaks.
func (c *caller) pass(now time.Duration, s Step) {
	c.cursor, c.keyed, c.rest = now, s.Keys != "", nil
}

// hold puts the other side on hold for d.
func (c *caller) hold(ctx context.Context, d time.Duration) error {
	if err := c.call.Hold(ctx, true); err != nil {
		return fmt.Errorf("hold: %w", err)
	}
	if err := c.sleep(ctx, d); err != nil {
		return err
	}
	if err := c.call.Hold(ctx, false); err != nil {
		return fmt.Errorf("resume: %w", err)
	}
	c.cursor = c.now()
	return nil
}

// bargeIn waits until they speak, lets them speak for a while, and interrupts.
func (c *caller) bargeIn(ctx context.Context, s Step) *Failure {
	within := s.Expect.Within
	if within == 0 {
		within = c.scenario.Within
	}
	var began time.Duration
	err := c.watch(ctx, within, func() bool {
		if !c.ear.talking() {
			return false
		}
		spans := c.ear.spans()
		began = max(c.cursor, spans[len(spans)-1].From)
		return true
	})
	if err != nil {
		return c.missing(err, s, "them to speak, to interrupt them")
	}
	if f := c.fail(c.sleep(ctx, began+s.Least-c.now()), s); f != nil {
		return f
	}
	// Between two sentences they are still speaking.
	if err := c.watch(ctx, c.scenario.Pause, c.ear.talking); err != nil {
		f := c.missing(err, s, fmt.Sprintf("them to speak for %s", s.Least))
		if f.Kind == KindExpectation {
			f.Heard = "they had stopped before that"
		}
		return f
	}
	from := c.now()
	c.pass(from, s)
	if f := c.fail(c.speak(ctx, s), s); f != nil || s.Yield == 0 {
		return f
	}
	return c.yielded(ctx, s, from)
}

// yielded waits until it is known when they stopped.
func (c *caller) yielded(ctx context.Context, s Step, from time.Duration) *Failure {
	var took time.Duration
	err := c.watch(ctx, max(0, s.Yield-(c.now()-from))+gapFrames*frame, func() bool {
		talk := c.talk()
		list := talk.reactions()
		r := list[len(list)-1]
		took = r.Yield
		return r.Yield > s.Yield || !c.ear.talking()
	})
	if err != nil && !errors.Is(err, errNever) && !errors.Is(err, errOver) {
		return c.fail(err, s)
	}
	if took > s.Yield {
		return &Failure{Kind: KindLimit, Step: c.step, Line: s.Line, Doing: s.String(), At: c.now(),
			Expected: fmt.Sprintf("them to be silent %d ms after the caller began", s.Yield.Milliseconds()),
			Heard:    fmt.Sprintf("they spoke on for %d ms or more", took.Milliseconds())}
	}
	return nil
}

// assert looks at the figures so far.
func (c *caller) assert(s Step) *Failure {
	c.ear.follow()
	f := measure(c.talk(), c.call.Report())
	return brokenLimits(s.Limits, &f, c.step, s.Line, s.String(), c.now())
}

// brokenLimits is the failure of limits that figures do not keep, nil if they do.
func brokenLimits(limits []Limit, f *Figures, step, line int, doing string, at time.Duration) *Failure {
	if expected, got := breaks(limits, f); expected != "" {
		return &Failure{Kind: KindLimit, Step: step, Line: line, Doing: doing, Expected: expected, Heard: got, At: at}
	}
	return nil
}
