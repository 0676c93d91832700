package dialplan

import (
	"slices"
	"time"
)

// Query is one call, as far as the plan wants to know it.
type Query struct {
	FromRoom bool              // it leaves a room or the API; else it comes in
	Stranger bool              // it comes in from a source that is not trusted
	Trunk    string            // the trunk it came from, or that was asked for; may be empty
	To, From string            // user part, number or URI as it came; From may be empty
	Headers  map[string]string // header fields and attributes by name, in any letter case; the trunk's header map is applied to them. May be nil
	At       time.Time         // when; needed where routes have hours
}

// call is a Query with what was worked out about it.
type call struct {
	Query           // To and From normalised
	raw    Query    // as it was asked
	host   string   // of the SIP URI that To was: only trunks with that server can reach it
	port   uint16   // likewise; 0: not said
	trunks []string // of a target, by which it leaves whatever the routes say; else empty
	named  bool     // the target spells To out
	ready  *prepared
	notes  *Explanation // nil: nobody asks why
}

// Decision is where a call goes.
type Decision struct {
	Route    string   `json:"route,omitempty"`    // name of the rule; empty when no rule matched
	Target   Target   `json:"target"`             // of a call coming in, with the chain of those that follow it in Target.Else; Room and Number may be templates: see [Expand] and [Plan.ExitsOf]
	Else     *Target  `json:"else,omitempty"`     // Target.Else: where to go when Target cannot take the call
	Trunk    string   `json:"trunk,omitempty"`    // of a call that leaves: the trunk to leave by, the first of Trunks
	Trunks   []string `json:"trunks,omitempty"`   // of a call that leaves: those that may dial it, in the order to try them
	To       string   `json:"to"`                 // the called address, E.164 where the trunk's country says how; of a call that leaves: as the first trunk dials it
	From     string   `json:"from,omitempty"`     // the caller, E.164 where the trunk's country says how
	Priority string   `json:"priority,omitempty"` // emergency, high, low or empty
	Refused  bool     `json:"refused,omitempty"`
	Cause    string   `json:"cause,omitempty"` // no_route, forbidden, busy, rejected, unknown_number
	Reason   string   `json:"reason"`          // in words
}

// Decide finds where a call goes. It is safe for concurrent use. Calls that
// leave are held to the same policy as in [Plan.Exits].
func (p *Plan) Decide(q Query) Decision {
	d, _ := p.walk(q, nil)
	return d
}

// walk is the one matcher: it tries routes in their order, emergency routes
// first for emergency calls. e takes notes of it and may be nil.
func (p *Plan) walk(q Query, e *Explanation) (Decision, []Exit) {
	c := &call{Query: q, raw: q, ready: p.prepared(), notes: e}
	switch {
	case q.FromRoom:
		return p.leave(c)
	case q.Stranger:
		return refuse(c, "forbidden", "the source is not trusted: it is not among the addresses of a trunk, and not local"), nil
	}
	p.normalize(c)
	i, v := p.first(c)
	if i < 0 {
		return fallback(c), nil
	}
	return p.Routes[i].decision(c, v), nil
}

// normalize reads the numbers of a call that comes in as its trunk's country
// writes them, and its header fields by the trunk's map.
func (p *Plan) normalize(c *call) {
	i, ok := c.ready.trunks[c.Trunk]
	if !ok {
		c.notes.noteTrunk(c.Trunk)
		return
	}
	t := &p.Trunks[i]
	c.Headers = t.Headers.with(c.Headers)
	if t.Country == "" {
		return
	}
	c.To, c.From = normal(c.To, t.Country), normal(c.From, t.Country)
	c.notes.noteNumber("called", c.raw.To, c.To, t.Country)
	c.notes.noteNumber("caller", c.raw.From, c.From, t.Country)
}

// first finds the first route that matches, or -1.
func (p *Plan) first(c *call) (int, verdict) {
	if !c.ready.urgent(c.To) {
		return p.firstOf(c, func(*Route) bool { return true })
	}
	named := func(r *Route) bool { return r.namesEmergency(c.To) }
	if i, v := p.firstOf(c, named); i >= 0 {
		return i, v
	}
	return p.firstOf(c, func(r *Route) bool { return !named(r) })
}

func (p *Plan) firstOf(c *call, considered func(*Route) bool) (int, verdict) {
	for i := range p.Routes {
		if r := &p.Routes[i]; considered(r) {
			v := p.try(i, c)
			c.notes.noteRoute(r, c, v)
			if v.matched {
				return i, v
			}
		}
	}
	return -1, verdict{}
}

func (r *Route) decision(c *call, v verdict) Decision {
	d := Decision{Route: r.Name, Target: r.Target, To: c.To, From: c.From, Priority: r.Priority, Reason: "route " + r.Name}
	if v.closed {
		d.Target, d.Reason = *r.Else, "route "+r.Name+", outside its hours: else"
	}
	if c.ready.urgent(c.To) {
		d.Priority, d.Target = "emergency", d.Target.open()
	}
	d.Else = d.Target.Else
	if d.Target.Reject != "" {
		d.Refused, d.Cause = true, d.Target.Reject
		d.Reason += ", which rejects with " + d.Target.Reject
	}
	return d
}

// open is the target and its chain without PINs: an emergency call is asked for none.
func (t Target) open() Target {
	t.PIN = ""
	if t.Else != nil {
		next := t.Else.open()
		t.Else = &next
	}
	return t
}

// fallback is the rule of no rule: the called user part names a room.
func fallback(c *call) Decision {
	d := Decision{To: c.To, From: c.From}
	if c.ready.urgent(c.To) { // a service URN is no room name, and no reason to lose the call
		d.Target, d.Priority = Target{Room: emergencyRoom(c.To)}, "emergency"
		d.Reason = "no route names this emergency number: the room of its own name"
		return d
	}
	room, err := RoomName(c.raw.To)
	if err != nil {
		return refuse(c, "no_route", "no route matches, and "+err.Error())
	}
	d.Target, d.Reason = Target{Room: room}, "no route matches: the room that the called user part names"
	return d
}

func emergencyRoom(to string) string {
	if room, err := RoomName(to); err == nil {
		return room
	}
	return "sos"
}

func refuse(c *call, cause, reason string) Decision {
	return Decision{To: c.To, From: c.From, Refused: true, Cause: cause, Reason: reason}
}

// Chain lists the targets that follow each other by else, t first; at most 8.
func (t Target) Chain() []Target {
	chain := []Target{t}
	for next := t.Else; next != nil && len(chain) < maxChain; next = next.Else {
		chain = append(chain, *next)
	}
	return slices.Clip(chain)
}
