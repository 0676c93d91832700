package simulate

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/roomline/roomline/media/speech"
)

// awaitSpeech waits for an utterance that begins in time and is one of the phrases.
func (c *caller) awaitSpeech(ctx context.Context, e Expect, within time.Duration) error {
	deadline := c.now() + within
	if c.among(c.rest, e.Phrases, deadline) {
		return nil
	}
	var before Span // what was heard and not expected, with less than a breath between
	for {
		u, err := c.utterance(ctx, deadline)
		if err != nil {
			return err
		}
		matched, err := c.recognised(ctx, u, e.Phrases, deadline)
		if err != nil || matched {
			return err
		}
		if before.To == 0 || u.From-before.To > breath {
			before = u
			continue
		}
		before.To = u.To
		heard, err := c.understand(ctx, before, true)
		if err != nil {
			return err
		}
		if c.among(heard, e.Phrases, deadline) {
			c.noteHeard(heard)
			c.cursor, c.keyed = u.To, false
			return nil
		}
	}
}

// breath is how long a pause within a phrase may be that ends an utterance.
const breath = 2 * time.Second

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
