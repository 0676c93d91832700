package dialplan

import "time"

// Query is one call, as far as the plan wants to know it.
type Query struct {
	FromRoom bool   // it leaves a room or the API; else it comes in
	Stranger bool   // it comes in from a source that is not trusted
	Trunk    string // the trunk it came from, or that was asked for; may be empty
	To, From string // user parts, E.164 or URI; From may be empty
	At       time.Time
}

// Decision is where a call goes.
type Decision struct {
	Route    string  // name of the rule; empty for the default of no rule
	Target   Target  // Room may be a template: see [Expand]
	Else     *Target // where to go when Target cannot take the call
	Trunk    string  // for calls from a room: the trunk to leave by
	Priority string  // "emergency" or empty
	Refused  bool
	Cause    string // no_route, forbidden, busy, rejected, unknown_number
	Reason   string // in words
}

// Decide finds where a call goes. It is safe for concurrent use.
func (p *Plan) Decide(q Query) Decision {
	return Decision{Refused: true, Cause: "no_route", Reason: errNotBuilt.Error()}
}

// Step is one rule that was looked at.
type Step struct {
	Route   string `json:"route"`
	Matched bool   `json:"matched"`
	Why     string `json:"why"`
}

// Explanation is a [Decision] with the way that led there.
type Explanation struct {
	Query    Query    `json:"-"`
	Steps    []Step   `json:"steps"`
	Decision Decision `json:"-"`
}

// String prints the explanation, one line per step.
func (e Explanation) String() string { return "" }

// Explain is [Plan.Decide] with its reasons.
func (p *Plan) Explain(q Query) Explanation { return Explanation{Query: q, Decision: p.Decide(q)} }
