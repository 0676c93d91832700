package bridge

import (
	"time"

	"github.com/roomline/roomline/dialplan"
	"github.com/roomline/roomline/media"
)

// What a caller hears while an agent ought to be heard and is not: there is never
// dead air.

const (
	fillerAfter    = 400 * time.Millisecond // of the answer, so that there is sound within 500 ms
	usualPatience  = 4 * time.Second
	leastForgiving = 10 * time.Second // after the caller's last word, before an agent is given up
)

func patienceOf(a dialplan.Agent) time.Duration {
	switch a.Patience {
	case "":
		return usualPatience
	case "off":
		return 0
	}
	d, _ := time.ParseDuration(a.Patience) // the plan was checked
	return d
}

// alarm is when something must be done about an agent that is not heard. The
// zero value is none.
type alarm struct {
	timer  *time.Timer
	fill   time.Time // when a filler begins; zero: not
	giveUp time.Time // when the agent is replaced; zero: not
}

// set takes both times; zero is never.
func (l *alarm) set(fill, giveUp time.Time) {
	l.fill, l.giveUp = fill, giveUp
	next := fill
	if next.IsZero() || !giveUp.IsZero() && giveUp.Before(next) {
		next = giveUp
	}
	l.stop()
	if !next.IsZero() {
		l.timer = time.NewTimer(time.Until(next))
	}
}

func (l *alarm) stop() {
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
}

// due is nil, on which nothing ever comes, when there is nothing to be done.
func (a *attendance) due() <-chan time.Time {
	if a == nil || a.alarm.timer == nil {
		return nil
	}
	return a.alarm.timer.C
}

// awaitSpeech: the caller listens from now on.
func (c *Call) awaitSpeech() {
	a := c.agent
	c.listenForTurns()
	if a.spoke || a.over != nil {
		return
	}
	a.alarm.set(time.Now().Add(fillerAfter), time.Time{})
	if a.ready {
		c.expectSpeech()
	}
}

// expectSpeech: the agent may begin. If it says nothing at all, it is broken.
func (c *Call) expectSpeech() {
	a := c.agent
	if !a.spoke && a.patience > 0 {
		a.alarm.set(a.alarm.fill, time.Now().Add(a.forgives()))
	}
}

// forgives is how long an agent may be silent after the caller's last word.
func (a *attendance) forgives() time.Duration { return max(3*a.patience, leastForgiving) }

// agentSpoke: the agent is heard.
func (c *Call) agentSpoke() {
	c.agent.spoke = true
	c.agent.alarm.set(time.Time{}, time.Time{})
	c.unfill()
}

// listenForTurns has the call told when its caller begins and ends a turn, for as
// long as an agent serves it.
func (c *Call) listenForTurns() {
	a := c.agent
	if a == nil || a.patience <= 0 || a.deaf != nil || c.seat == nil {
		return
	}
	a.turns = make(chan Turn, 16)
	a.deaf = c.seat.Turns(TurnSpec{}, func(t Turn) {
		select {
		case a.turns <- t:
		default: // the call is busy; the leg watches its own patience, too
		}
	})
}

// heardTurns is nil, on which nothing ever comes, when nobody listens for turns.
func (a *attendance) heardTurns() <-chan Turn {
	if a == nil {
		return nil
	}
	return a.turns
}

// callerTurned: after the caller's turn it is the agent's. One that speaks into
// the end of a turn, or before it has been heard at all, is not waited for.
func (c *Call) callerTurned(t Turn) {
	a := c.agent
	switch {
	case !a.spoke || a.over != nil:
	case t.Began:
		a.alarm.set(time.Time{}, a.alarm.giveUp)
	case !a.isSpeaking():
		giveUp := a.alarm.giveUp // of an earlier turn, which is not answered either
		if giveUp.IsZero() {
			giveUp = t.At.Add(a.forgives())
		}
		a.alarm.set(t.At.Add(a.patience), giveUp)
	}
}

// isSpeaking reports whether the agent is heard now.
func (a *attendance) isSpeaking() bool {
	p := a.leg.Participant()
	return p != nil && p.Record().Speaking
}

// agentSilent: the agent's patience with itself is over.
func (c *Call) agentSilent() {
	a := c.agent
	giveUp := a.alarm.giveUp
	if giveUp.IsZero() {
		giveUp = time.Now().Add(a.forgives() - a.patience)
	}
	a.alarm.set(time.Now(), giveUp)
}

// agentDue does what the alarm was set for, and reports whether the agent is
// given up. Nobody is impatient with an agent that cannot be heard: on hold, or
// while the call is on its way to somebody else.
func (c *Call) agentDue(now time.Time) (givenUp bool) {
	a := c.agent
	l := a.alarm
	switch {
	case c.Record().State == StateHeld || c.isElsewhere():
		l.giveUp = now.Add(a.forgives())
	case !l.giveUp.IsZero() && !now.Before(l.giveUp):
		a.alarm.set(time.Time{}, time.Time{})
		a.leg.End("it was silent for too long")
		a.over = &AgentEvent{Kind: AgentEnded, Fault: FaultSilent, Reason: "it did not speak for " + a.forgives().String()}
		return true
	}
	if !l.fill.IsZero() && !now.Before(l.fill) {
		l.fill = time.Time{}
		c.fill()
	}
	a.alarm.set(l.fill, l.giveUp)
	return false
}

// fill lets the phone hear that somebody is coming, unless it hears something of
// the kind already.
func (c *Call) fill() {
	if c.sink == nil || c.isParked() || c.warm != nil {
		return
	}
	if c.hush == nil {
		c.fillWith(c.filler(c.agent.agent.Filler))
	}
	c.filling = c.hush != nil
}

// refill lets a phone that comes back from hold hear that its agent comes yet.
func (c *Call) refill() {
	if a := c.agent; a != nil && !a.spoke {
		c.fill()
	}
}

// fillWith plays v until the agent is heard.
func (c *Call) fillWith(v Voice) {
	if v == nil || c.sink == nil {
		return
	}
	stop, err := c.sink.Fill(v)
	if err != nil {
		c.log.Warn("the phone hears no filler", "error", err)
		return
	}
	c.hush = stop
}

// filler makes the sound that an agent's settings ask for; nil is silence.
func (c *Call) filler(kind string) Voice {
	switch kind {
	case "silence":
		return nil
	case "music":
		return c.x.holdVoice()
	}
	return media.NewFiller(media.NarrowbandHz)
}

// unfill ends the filler; other waiting sounds go on.
func (c *Call) unfill() {
	if c.filling {
		c.quiet()
	}
}
