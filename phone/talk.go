package phone

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/roomline/roomline/bridge"
)

// talk does with a call what the options ask for, from before the answer to the
// end, tells it, and returns the report that it has written. To end with the SIP
// code refusal is as asked.
func (o *Options) talk(ctx context.Context, c *Call, t *teller, record string, refusal int) Report {
	told := make(chan struct{})
	go func() {
		defer close(told)
		t.narrate(c)
	}()
	var unmet []string
	if c.Answered(ctx) == nil {
		t.line("answered")
		unmet = o.act(ctx, c)
	}
	c.Hangup()
	<-told
	r := c.Report()
	if record != "" && r.Answered {
		if err := writeRecording(record, c, o.Both); err != nil {
			unmet = append(unmet, err.Error())
		}
	}
	o.judge(&r, unmet)
	if !r.Answered && refusal != 0 && r.SIPCode == refusal {
		r.Exit = ExitTalked
	}
	t.report(r)
	return r
}

// judge compares with what was asked for.
func (o *Options) judge(r *Report, unmet []string) {
	if r.Exit != ExitTalked {
		return
	}
	switch {
	case len(unmet) > 0:
		r.Expectation, r.Exit = unmet[0], ExitFailed
	case o.ExpectAudio && r.Answered && r.HeardLoudest < audibleLevel:
		r.Expectation, r.Exit = "nothing was heard", ExitSilent
	}
}

// act is the time between answer and end. It returns what could not be done.
func (o *Options) act(ctx context.Context, c *Call) []string {
	source, err := ParseSource(o.Play, o.Once)
	if err != nil {
		return []string{err.Error()}
	}
	var said <-chan struct{} // nil: nobody waits for its end
	if done := c.Speak(source); source != nil && o.Once && o.Duration == 0 {
		said = done
	}
	s := schedule{call: c}
	if o.Digits != "" {
		s.at(ctx, o.DigitsAfter, func() error { return c.SendDigits(ctx, o.Digits) })
	}
	if o.HoldAfter > 0 {
		s.at(ctx, o.HoldAfter, func() error { return hold(ctx, c, true) })
	}
	if o.ResumeAfter > 0 {
		s.at(ctx, o.ResumeAfter, func() error { return hold(ctx, c, false) })
	}
	var over <-chan time.Time
	if o.Duration > 0 {
		timer := time.NewTimer(o.Duration)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-over:
	case <-said:
	case <-ctx.Done():
	case <-c.Ended():
	}
	c.Hangup()
	return s.wait()
}

// holdPatience bounds the wait for the other side's agreement to a hold.
const holdPatience = 10 * time.Second

func hold(ctx context.Context, c *Call, on bool) error {
	ctx, cancel := context.WithTimeout(ctx, holdPatience)
	defer cancel()
	if err := c.Hold(ctx, on); err != nil {
		return fmt.Errorf("hold: %w", err)
	}
	return nil
}

// schedule does things at their times, as long as the call lives.
type schedule struct {
	call  *Call
	works sync.WaitGroup
	mu    sync.Mutex
	unmet []string
}

func (s *schedule) at(ctx context.Context, d time.Duration, act func() error) {
	s.works.Go(func() {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-s.call.Ended():
			s.failed(fmt.Errorf("the call ended before it was %s old", d))
			return
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if err := act(); err != nil && ctx.Err() == nil {
			s.failed(err)
		}
	})
}

func (s *schedule) failed(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unmet = append(s.unmet, err.Error())
}

func (s *schedule) wait() []string {
	s.works.Wait()
	return s.unmet
}

// changeWords is how changes on the line are told.
var changeWords = map[bridge.LineEventKind]string{
	bridge.LineRinging: "ringing", bridge.LineEarly: "early sound",
	bridge.LineHeld: "the other side holds", bridge.LineResumed: "the other side is back",
	bridge.LineRenegotiated: "the other side changed the media",
}
