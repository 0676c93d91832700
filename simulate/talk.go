package simulate

import (
	"slices"
	"time"

	"github.com/roomline/roomline/phone"
)

// saying is what the caller did in one step, by the clock.
type saying struct {
	Span
	step  int
	keys  bool
	aside bool
}

// lastKey is for how long the phone presses the last key and pauses behind it:
// agents may answer as soon as it is down.
const lastKey = 200 * time.Millisecond

// talk is the conversation so far.
func (c *caller) talk() *Talk {
	t := &Talk{Length: c.now(), HungUp: c.hungUp}
	if since := c.call.HeardSince(); !since.IsZero() {
		t.Agent = shifted(c.ear.spans(), beginning(c.call.Arrivals(), since).Sub(since))
	}
	if since := c.call.SaidSince(); !since.IsZero() {
		t.Caller = shifted(Spans(c.call.Said()), beginning(c.call.Sendings(), since).Sub(c.ear.origin))
	}
	t.Turns = turns(c.said, t.Caller, c.scenario.Steps)
	return t
}

// beginning is when a stream began that first was seen at since, by most of its
// packets: the first one may have been late itself.
func beginning(packets []phone.Packet, since time.Time) time.Time {
	if len(packets) == 0 {
		return since
	}
	offs := make([]time.Duration, len(packets))
	for i, p := range packets {
		offs[i] = p.At.Sub(since) - timeOf(p.Position)
	}
	slices.Sort(offs)
	return since.Add(offs[len(offs)/2])
}

// turns makes turns of what was said in steps that follow each other. Where they
// begin and end, the sound says, for keys the clock.
func turns(said []saying, sound []Span, steps []Step) (list []Turn) {
	for _, s := range said {
		span := s.Span
		if !s.keys {
			span = heardIn(span, sound)
		}
		if n := len(list); n > 0 && list[n-1].Step == s.step-1 && !list[n-1].Aside {
			list[n-1].To, list[n-1].Step = max(list[n-1].To, span.To), s.step
			list[n-1].Keys = list[n-1].Keys && s.keys
			continue
		}
		list = append(list, Turn{Span: span, Step: s.step, Aside: s.aside, Keys: s.keys})
	}
	for i := range list {
		next := list[i].Step + 1
		list[i].Awaited = next < len(steps) && steps[next].Action != Hangup
	}
	return list
}

// heardIn is the sound that was made in a span; the span itself if there is none.
func heardIn(s Span, sound []Span) Span {
	const slack = 60 * time.Millisecond // until the next packet is due, and scheduling
	out, found := s, false
	for _, x := range sound {
		from, to := max(x.From, s.From), min(x.To, s.To+slack)
		if from >= to {
			continue
		}
		if !found {
			out.From, found = from, true
		}
		out.To = to
	}
	return out
}

// finish hangs up and measures.
func (c *caller) finish(out *Outcome) {
	c.hungUp = c.ended() && !c.hanging
	length := c.now()
	c.call.Hangup()
	c.ear.over = true
	c.ear.follow()
	t := c.talk()
	t.Length = min(length, t.Length)
	slices.SortStableFunc(c.notes, func(a, b Note) int { return int(a.At - b.At) })
	out.Talk, out.Report, out.Notes = *t, c.call.Report(), c.notes
	out.Figures = measure(t, out.Report)
	if out.Failure == nil {
		out.Failure = brokenLimits(c.scenario.Limits, &out.Figures, -1, c.scenario.Line, "assert", length)
	}
}
