package dialplan

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Step is one rule that was looked at.
type Step struct {
	Route   string `json:"route"`
	Matched bool   `json:"matched"`
	Why     string `json:"why"`
}

// ExitStep is one trunk that was looked at for a number that is to be dialled.
type ExitStep struct {
	Number  string `json:"number,omitempty"` // of a target; empty for a call that leaves
	Trunk   string `json:"trunk"`
	Allowed bool   `json:"allowed"`
	Why     string `json:"why"`
}

// Explanation is a [Decision] with the way that led there.
type Explanation struct {
	Query    Query      `json:"-"`
	Notes    []string   `json:"notes,omitempty"`  // how numbers were read
	Steps    []Step     `json:"steps"`            // in the order in which they were tried
	Exits    []ExitStep `json:"exits,omitempty"`  // trunks for the numbers to be dialled, in the order to try them
	Ladder   []Rung     `json:"ladder,omitempty"` // where the call goes as long as nobody takes it; absent where no agent and no queue is among it
	Decision Decision   `json:"decision"`

	number string // of the target that is explained now
}

// Explain is [Plan.Decide] with its reasons; both walk the same matcher. For
// targets with a number it says by which trunks they would be dialled.
func (p *Plan) Explain(q Query) Explanation {
	e := Explanation{Query: q, Steps: []Step{}}
	e.Decision, _ = p.walk(q, &e)
	if !q.FromRoom && !e.Decision.Refused {
		rungs := p.Ladder(e.Decision.Target)
		p.explainNumbers(&e, rungs)
		if climbs(rungs) {
			e.Ladder = rungs
		}
	}
	return e
}

func (p *Plan) explainNumbers(e *Explanation, rungs []Rung) {
	d, q := e.Decision, e.Query
	q.To, q.From = d.To, d.From
	if t, ok := p.TrunkNamed(q.Trunk); ok {
		q.Headers = t.Headers.with(q.Headers)
	}
	vars := map[string]string{"call.id": "id", "call.to": d.To, "call.from": d.From}
	for name, value := range q.Headers {
		vars[attributes+name] = value
	}
	steps := e.Steps
	for _, r := range rungs {
		if r.Target.Number != "" {
			e.explainNumber(r.Target.Number, func() Decision { out, _ := p.target(r.Target, q, vars, e); return out })
		}
		queue, _ := p.QueueNamed(r.Target.Queue)
		for _, m := range queue.Members {
			out := Query{FromRoom: true, Trunk: m.Trunk, To: m.Number, From: q.From, At: q.At}
			e.explainNumber(m.Number, func() Decision { d, _ := p.walk(out, e); return d })
		}
	}
	e.number, e.Steps = "", steps
}

// explainNumber keeps by which trunks a number is dialled, or why by none.
func (e *Explanation) explainNumber(number string, dial func() Decision) {
	e.number = number
	before := len(e.Exits)
	if out := dial(); out.Refused && len(e.Exits) == before {
		e.Exits = append(e.Exits, ExitStep{Number: number, Why: out.Reason})
	}
}

func (e *Explanation) noteTrunk(name string) {
	if e != nil && name != "" {
		e.Notes = append(e.Notes, "no trunk is named "+name)
	}
}

func (e *Explanation) noteNumber(who, raw, normal, country string) {
	if e == nil || country == "" || raw == normal {
		return
	}
	note := fmt.Sprintf("%s %s normalised to %s, as in %s", who, raw, normal, country)
	if !slices.Contains(e.Notes, note) {
		e.Notes = append(e.Notes, note)
	}
}

func (e *Explanation) noteRoute(r *Route, c *call, v verdict) {
	if e != nil {
		e.Steps = append(e.Steps, Step{Route: r.Name, Matched: v.matched, Why: v.words(r, c)})
	}
}

func (e *Explanation) noteExit(trunk, to string, no *Denied) {
	if e == nil {
		return
	}
	step := ExitStep{Number: e.number, Trunk: trunk, Allowed: no == nil, Why: "may dial " + to}
	if no != nil {
		step.Why = no.Reason
	}
	e.Exits = append(e.Exits, step)
}

// String prints the explanation, one line per step.
func (e Explanation) String() string {
	var s strings.Builder
	fmt.Fprintln(&s, e.Query)
	for _, note := range e.Notes {
		fmt.Fprintln(&s, "  "+note)
	}
	width := 0
	for _, step := range e.Steps {
		width = max(width, len(step.Route))
	}
	for _, step := range e.Steps {
		fmt.Fprintf(&s, "%s %-*s  %s\n", mark(step.Matched), width, step.Route, step.Why)
	}
	if len(e.Steps) == 0 {
		fmt.Fprintln(&s, "  no route was tried")
	}
	for _, exit := range e.Exits {
		fmt.Fprintln(&s, exit)
	}
	for i, r := range e.Ladder {
		fmt.Fprintf(&s, "%d. %s\n", i+1, r)
	}
	fmt.Fprintln(&s, "= "+e.Decision.String())
	return s.String()
}

// String is one line: number +15551234567 by trunk carrier: may dial +15551234567.
func (x ExitStep) String() string {
	var s strings.Builder
	s.WriteString(mark(x.Allowed))
	if x.Number != "" {
		s.WriteString(" number " + x.Number)
	}
	if x.Number != "" && x.Trunk != "" {
		s.WriteString(" by")
	}
	if x.Trunk != "" {
		s.WriteString(" trunk " + x.Trunk)
	}
	return s.String() + ": " + x.Why
}

func mark(yes bool) string {
	if yes {
		return "→"
	}
	return " "
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
	for _, name := range slices.Sorted(maps.Keys(q.Headers)) {
		s.WriteString(", " + name + ": " + q.Headers[name])
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
		return fmt.Sprintf("dials %s by trunk %s (%s)", d.To, strings.Join(d.Trunks, ", then "), d.Reason)
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
		if t.Room != "" {
			return "queue " + t.Queue + ", in room " + t.Room
		}
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
