package sip

import (
	"context"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
)

// short makes session intervals that a test can wait for.
func short(c *Config) { c.SessionExpires, c.MinSE = 4*time.Second, time.Second }

func TestSIPpCalls(t *testing.T) {
	hold := func(t *testing.T, l bridge.Line) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if err := l.Hold(ctx, true); err != nil {
			t.Error(err)
		}
	}
	answer := func(t *testing.T, l bridge.Line) {
		if err := l.Answer(); err != nil {
			t.Error(err)
		}
	}
	early := func(t *testing.T, l bridge.Line) {
		if err := l.Early(); err != nil {
			t.Error(err)
		}
		expect(t, l, bridge.LineEarly)
		answer(t, l)
	}
	for _, c := range []struct {
		scenario string
		more     []string
		first    func(*testing.T, bridge.Line)
		events   []bridge.LineEventKind
		then     func(*testing.T, bridge.Line)
		cause    bridge.Cause
	}{
		{"uac_prack.xml", []string{"-key", "ext", "Supported"}, early, []bridge.LineEventKind{bridge.LineAnswered}, nil, bridge.CauseNormal},
		{"uac_prack.xml", []string{"-key", "ext", "Require"}, early, []bridge.LineEventKind{bridge.LineAnswered}, nil, bridge.CauseNormal},
		{"uac_update.xml", nil, answer, []bridge.LineEventKind{bridge.LineAnswered, bridge.LineHeld, bridge.LineResumed}, nil, bridge.CauseNormal},
		{"uac_timer.xml", nil, answer, []bridge.LineEventKind{bridge.LineAnswered}, nil, bridge.CauseNormal},
		{"uac_timer_invite.xml", nil, answer, []bridge.LineEventKind{bridge.LineAnswered}, nil, bridge.CauseNormal},
		{"uac_expiry.xml", nil, answer, []bridge.LineEventKind{bridge.LineAnswered}, nil, bridge.CauseSignalling},
		{"uac_glare.xml", nil, answer, []bridge.LineEventKind{bridge.LineAnswered}, hold, bridge.CauseNormal},
		{"uac_cancel_late.xml", nil, answer, []bridge.LineEventKind{bridge.LineAnswered}, nil, bridge.CauseNormal},
		{"uac_lost_ack.xml", nil, answer, nil, nil, bridge.CauseSignalling},
		{"uac_bye_early.xml", nil, func(_ *testing.T, l bridge.Line) { l.Ring() }, nil, nil, bridge.CauseCanceled},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			t.Parallel()
			b := startAgent(t, short)
			_, wait := sipp(t, c.scenario, append(c.more, "-s", "lobby", "-m", "1", b.Addr().String())...)
			l := b.incoming().Line
			c.first(t, l)
			for _, kind := range c.events {
				expect(t, l, kind)
			}
			if c.then != nil {
				c.then(t, l)
			}
			expectEnd(t, l, c.cause)
			wait()
		})
	}
}

func TestSIPpIsCalled(t *testing.T) {
	hangUp := func(_ *testing.T, l bridge.Line) { l.End(bridge.CauseNormal, "") }
	holds := func(t *testing.T, l bridge.Line) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		for _, on := range []bool{true, false} {
			if err := l.Hold(ctx, on); err != nil {
				t.Error(err)
			}
		}
		hangUp(t, l)
	}
	for _, c := range []struct {
		scenario string
		events   []bridge.LineEventKind
		then     func(*testing.T, bridge.Line)
		cause    bridge.Cause
	}{
		{"uas_prack.xml", []bridge.LineEventKind{bridge.LineRinging, bridge.LineEarly, bridge.LineAnswered}, hangUp, bridge.CauseNormal},
		{"uas_hold.xml", []bridge.LineEventKind{bridge.LineAnswered}, holds, bridge.CauseNormal},
		{"uas_timer.xml", []bridge.LineEventKind{bridge.LineAnswered}, nil, bridge.CauseSignalling},
		{"uas_again.xml", []bridge.LineEventKind{bridge.LineAnswered}, nil, bridge.CauseNormal},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			t.Parallel()
			a := startAgent(t, short)
			addr, wait := sipp(t, c.scenario, "-m", "1")
			waitForPort(t, addr)
			out := a.dial(bridge.DialSpec{To: "sip:phone@" + addr, From: "alice"})
			for _, kind := range c.events {
				expect(t, out, kind)
			}
			if c.then != nil {
				c.then(t, out)
			}
			expectEnd(t, out, c.cause)
			wait()
		})
	}
}
