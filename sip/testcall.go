package sip

import (
	"context"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/sip/text"
)

// call places the test call and listens to it.
func (p *probe) call(ctx context.Context) {
	if p.test.To == "" {
		p.step("call", func() outcome { return skipped("no number was given to call") })
		p.step("audio", func() outcome { return skipped("there was no call") })
		return
	}
	var line *Line
	p.step("call", func() (o outcome) {
		line, o = p.dial(ctx)
		return o
	})
	if line == nil {
		p.step("audio", func() outcome { return skipped("the call was not answered") })
		return
	}
	p.step("audio", func() outcome { return p.listen(ctx, line) })
	line.End(bridge.CauseNormal, "the test is over")
	for range line.Events() {
	}
}

// dial places the call; the Line is nil unless it was answered.
func (p *probe) dial(ctx context.Context) (*Line, outcome) {
	from := p.test.From
	if c := p.trunk.CallerID; from == "" && c != nil {
		from = c.Default
	}
	begin := time.Now()
	made, err := p.ua.Dial(bridge.DialSpec{CallID: "trunk-test", Trunk: p.trunk, To: p.test.To, From: from, RingTimeout: 40 * time.Second})
	if err != nil {
		return nil, failedStep(text.Printable(err.Error(), 200), "")
	}
	line := made.(*Line)
	for {
		select {
		case e, open := <-line.Events():
			switch {
			case !open:
				return nil, failedStep("the call ended", "")
			case e.Kind == bridge.LineAnswered:
				return line, passed("answered after %.1f s with %s", time.Since(begin).Seconds(), line.Media().Params().Codec)
			case e.Kind == bridge.LineEnded:
				return nil, p.unanswered(line, e)
			}
		case <-ctx.Done():
			line.End(bridge.CauseCanceled, "the test was given up")
			for range line.Events() {
			}
			return nil, failedStep("the test was given up before the call was answered", "")
		}
	}
}

func (p *probe) unanswered(line *Line, e bridge.LineEvent) outcome {
	hint := line.hint
	if hint == "" && e.SIPCode == 0 && e.Cause == bridge.CauseUnreachable {
		hint = hintOf(errSilent)
	}
	return failedStep(text.Printable(e.Reason, 300), hint)
}
