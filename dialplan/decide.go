package dialplan

import "time"

// Query is one call, as far as the plan wants to know it.
type Query struct {
	FromRoom bool      // it leaves a room or the API; else it comes in
	Stranger bool      // it comes in from a source that is not trusted
	Trunk    string    // the trunk it came from, or that was asked for; may be empty
	To, From string    // user part, E.164, or URI; From may be empty
	At       time.Time // when; needed where routes have hours

	host string // of the SIP URI that To was: only trunks with that server can reach it
	port uint16
}

// Decision is where a call goes.
type Decision struct {
	Route    string  `json:"route,omitempty"`    // name of the rule; empty when no rule matched
	Target   Target  `json:"target"`             // of a call coming in; Room may be a template: see [Expand]
	Else     *Target `json:"else,omitempty"`     // where to go when Target cannot take the call
	Trunk    string  `json:"trunk,omitempty"`    // of a call that leaves: the trunk to leave by
	To       string  `json:"to"`                 // the called address; of a call that leaves: as it may be dialled
	Priority string  `json:"priority,omitempty"` // "emergency" or empty
	Refused  bool    `json:"refused,omitempty"`
	Cause    string  `json:"cause,omitempty"` // no_route, forbidden, busy, rejected, unknown_number
	Reason   string  `json:"reason"`          // in words
}

// Decide finds where a call goes. It is safe for concurrent use. Calls that
// leave are held to the same policy as in [Plan.Exit].
func (p *Plan) Decide(q Query) Decision { return p.walk(q, func(int, verdict) {}) }

// walk is the one matcher: it tries routes in their order, emergency routes
// first for emergency calls, and shows every verdict with the route's index.
func (p *Plan) walk(q Query, see func(int, verdict)) Decision {
	switch {
	case q.FromRoom:
		return p.leave(q, see)
	case q.Stranger:
		return refuse(q, "forbidden", "the source is not trusted: it is not among the addresses of a trunk, and not local")
	}
	i, v := p.first(q, see)
	if i < 0 {
		return fallback(q)
	}
	return p.Routes[i].decision(q, v)
}

// first finds the first route that matches, or -1.
func (p *Plan) first(q Query, see func(int, verdict)) (int, verdict) {
	if !Emergency(q.To) {
		return p.firstOf(q, see, func(*Route) bool { return true })
	}
	named := func(r *Route) bool { return r.namesEmergency(q.To) }
	if i, v := p.firstOf(q, see, named); i >= 0 {
		return i, v
	}
	return p.firstOf(q, see, func(r *Route) bool { return !named(r) })
}

func (p *Plan) firstOf(q Query, see func(int, verdict), considered func(*Route) bool) (int, verdict) {
	for i := range p.Routes {
		if r := &p.Routes[i]; considered(r) {
			v := p.try(r, q)
			see(i, v)
			if v.matched {
				return i, v
			}
		}
	}
	return -1, verdict{}
}

func (r *Route) decision(q Query, v verdict) Decision {
	d := Decision{Route: r.Name, Target: r.Target, Else: r.Else, To: q.To, Priority: r.Priority, Reason: "route " + r.Name}
	if v.closed {
		d.Target, d.Else, d.Reason = *r.Else, nil, "route "+r.Name+", outside its hours: else"
	}
	if Emergency(q.To) {
		d.Priority = "emergency"
	}
	if d.Target.Reject != "" {
		d.Refused, d.Cause = true, d.Target.Reject
		d.Reason += ", which rejects with " + d.Target.Reject
	}
	return d
}

// fallback is the rule of no rule: the called user part names a room.
func fallback(q Query) Decision {
	if Emergency(q.To) { // a service URN is no room name, and no reason to lose the call
		return Decision{To: q.To, Target: Target{Room: emergencyRoom(q.To)}, Priority: "emergency",
			Reason: "no route names this emergency number: the room of its own name"}
	}
	room, err := RoomName(q.To)
	if err != nil {
		return refuse(q, "no_route", "no route matches, and "+err.Error())
	}
	return Decision{To: q.To, Target: Target{Room: room}, Reason: "no route matches: the room that the called user part names"}
}

func emergencyRoom(to string) string {
	if room, err := RoomName(to); err == nil {
		return room
	}
	return "sos"
}

func refuse(q Query, cause, reason string) Decision {
	return Decision{To: q.To, Refused: true, Cause: cause, Reason: reason}
}
