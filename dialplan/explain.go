package dialplan

import (
	"fmt"
	"strings"
)

// Step is one rule that was looked at.
type Step struct {
	Route   string `json:"route"`
	Matched bool   `json:"matched"`
	Why     string `json:"why"`
}

// Explanation is a [Decision] with the way that led there.
type Explanation struct {
	Query    Query    `json:"-"`
	Steps    []Step   `json:"steps"` // in the order in which they were tried
	Decision Decision `json:"decision"`
}

// Explain is [Plan.Decide] with its reasons; both walk the same matcher.
func (p *Plan) Explain(q Query) Explanation {
	e := Explanation{Query: q, Steps: []Step{}}
	e.Decision = p.walk(q, func(i int, v verdict) {
		r, seen := &p.Routes[i], q
		if a, err := parseAddress(q.To); q.FromRoom && err == nil {
			seen.To, seen.host = a.called(), a.host
		}
		e.Steps = append(e.Steps, Step{Route: r.Name, Matched: v.matched, Why: v.words(r, seen)})
	})
	return e
}

// String prints the explanation, one line per step.
func (e Explanation) String() string {
	var s strings.Builder
	fmt.Fprintln(&s, e.Query)
	width := 0
	for _, step := range e.Steps {
		width = max(width, len(step.Route))
	}
	for _, step := range e.Steps {
		mark := " "
		if step.Matched {
			mark = "→"
		}
		fmt.Fprintf(&s, "%s %-*s  %s\n", mark, width, step.Route, step.Why)
	}
	if len(e.Steps) == 0 {
		fmt.Fprintln(&s, "  no route was tried")
	}
	fmt.Fprintln(&s, "= "+e.Decision.String())
	return s.String()
}

// String names the call in words.
func (q Query) String() string {
	var s strings.Builder
	s.WriteString("call to " + orNone(q.To))
	if q.From != "" {
		s.WriteString(" from " + q.From)
	}
	if q.Trunk != "" {
		s.WriteString(", trunk " + q.Trunk)
	}
	switch {
	case q.FromRoom:
		s.WriteString(", leaving a room")
	case q.Stranger:
		s.WriteString(", coming in from a stranger")
	default:
		s.WriteString(", coming in")
	}
	if !q.At.IsZero() {
		s.WriteString(", at " + q.At.Format("Mon 2006-01-02 15:04 MST"))
	}
	return s.String()
}

// String says in one line where the call goes.
func (d Decision) String() string {
	switch {
	case d.Refused:
		return "refused (" + d.Cause + "): " + d.Reason
	case d.Trunk != "":
		return fmt.Sprintf("dials %s by trunk %s (%s)", d.To, d.Trunk, d.Reason)
	}
	return fmt.Sprintf("%s (%s)", d.Target, d.Reason)
}

// String names the target in words, and what follows it; never its PIN.
func (t Target) String() string {
	s := t.alone()
	for next, n := t.Else, 1; next != nil && n < maxChain; next, n = next.Else, n+1 {
		s += ", else " + next.alone()
	}
	return s
}

func (t Target) alone() string {
	switch {
	case t.Number != "":
		s := "number " + t.Number
		if len(t.Trunks) > 0 {
			s += " by " + strings.Join(t.Trunks, ", then ")
		}
		if t.RingTimeout != "" {
			s += ", rings for " + t.RingTimeout
		}
		return s
	case t.Agent != "":
		return "agent " + t.Agent
	case t.Queue != "":
		return "queue " + t.Queue
	case t.Reject != "":
		return "reject " + t.Reject
	case t.PIN != "":
		return "room " + t.Room + ", asks for a PIN"
	case t.Answer == "ready":
		return "room " + t.Room + ", rings until somebody listens"
	}
	return "room " + t.Room
}
