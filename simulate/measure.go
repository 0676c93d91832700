package simulate

import (
	"slices"
	"time"
)

// Turn is what the caller said or pressed at a stretch.
type Turn struct {
	Span
	Step    int  // index of the step that it belongs to; the last one where several follow each other
	Awaited bool // the caller listened afterwards
	Aside   bool // it asks for no answer
	Keys    bool // it is made of keys alone
}

// Reaction is what came of a turn. Who is interrupted by a key may answer at once:
// where one sentence ends and the other begins, the waveform does not tell, and
// there is neither Latency nor Yield of a Blurred one.
type Reaction struct {
	Turn
	Blurred  bool
	Answered bool
	Latency  time.Duration // end of the turn to the first sound of the answer; only if Answered
	Over     bool          // they were speaking when the turn began
	Yield    time.Duration // from the turn's beginning until they were silent; only if Over
}

// Talk is all that a call's waveform and signalling tell.
type Talk struct {
	Caller []Span // what the caller said, as sent
	Agent  []Span // what was heard
	Turns  []Turn
	Length time.Duration // from the answer to the end
	HungUp bool          // by the other side
}

// reactions judges every turn.
func (t *Talk) reactions() []Reaction {
	list := make([]Reaction, len(t.Turns))
	for i, turn := range t.Turns {
		until := t.Length + time.Hour
		if i+1 < len(t.Turns) {
			until = t.Turns[i+1].From
		}
		list[i] = t.react(turn, until)
		if r := &list[i]; r.Keys && r.Over {
			r.Blurred = true
			r.Answered = r.Answered || r.Yield > r.Length()+shortestAnswer
		}
	}
	return list
}

// react looks for the answer that begins before until. Who begins before the
// caller is through, and goes on, has answered without any latency.
func (t *Talk) react(turn Turn, until time.Duration) Reaction {
	r := Reaction{Turn: turn}
	for _, s := range t.Agent {
		switch {
		case s.From >= until:
			return r
		case s.From < turn.From && s.To > turn.From:
			r.Over, r.Yield = true, s.To-turn.From
		case r.Over && s.From < turn.To: // they took a breath, and went on
			r.Yield = s.To - turn.From
		case s.From >= turn.From && s.To > turn.To:
			r.Answered, r.Latency = true, max(0, s.From-turn.To)
			return r
		}
	}
	return r
}

// unanswered reports whether a turn should have had an answer and had none. Who
// hangs up has answered.
func (t *Talk) unanswered(i int, r Reaction) bool {
	goodbye := t.HungUp && i == len(t.Turns)-1
	return !r.Answered && r.Awaited && !r.Aside && !goodbye
}

// overlaps are the stretches in which both speak.
func overlaps(a, b []Span) (list []Span) {
	for _, x := range a {
		for _, y := range b {
			if from, to := max(x.From, y.From), min(x.To, y.To); from < to {
				list = append(list, Span{from, to})
			}
		}
	}
	return list
}

// silences are the stretches up to length in which nobody speaks, from the answer on.
func silences(length time.Duration, all ...Span) (list []Span) {
	slices.SortFunc(all, func(a, b Span) int { return int(a.From - b.From) })
	at := time.Duration(0)
	for _, s := range all {
		if s.From > at {
			list = append(list, Span{at, min(s.From, length)})
		}
		at = max(at, s.To)
	}
	if at < length {
		list = append(list, Span{at, length})
	}
	return list
}

func longestOf(spans []Span) (d time.Duration) {
	for _, s := range spans {
		d = max(d, s.Length())
	}
	return d
}

func totalOf(spans []Span) (d time.Duration) {
	for _, s := range spans {
		d += s.Length()
	}
	return d
}
