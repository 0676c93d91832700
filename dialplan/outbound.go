package dialplan

import (
	"strings"
	"time"
)

// Exit is one way out that a plan allows for an outbound call.
type Exit struct {
	Trunk     Trunk
	To        string // +E.164, an emergency number, or sip:name@server (sips: too) with a server of the trunk
	From      string // the caller, E.164 where the trunk's country says how; see [Plan.CallerID] for what is shown
	Route     string // the from_room route; empty where a target names the trunks
	Emergency bool
}

// Denied says why a call may not be dialled.
type Denied struct {
	Cause  string // unknown_number (nothing that can be dialled), no_route, forbidden
	Reason string // in words: what was wrong and what to do
}

// Error is the reason in words.
func (d *Denied) Error() string { return d.Reason }

// Outbound says by which trunk and to which normalised address a call may leave
// now. Default deny: a from_room route must match, and the trunk's prefixes must
// allow the number. A SIP URI must name a server of the trunk. Emergency numbers
// need no prefix, but a route that names them. trunkName narrows the choice and
// may be empty. The error is a [*Denied].
func (p *Plan) Outbound(to, trunkName string) (Trunk, string, error) {
	e, err := p.Exit(Query{To: to, Trunk: trunkName, At: time.Now()})
	return e.Trunk, e.To, err
}

// Exit is the first of [Plan.Exits].
func (p *Plan) Exit(q Query) (Exit, error) {
	exits, err := p.Exits(q)
	if err != nil {
		return Exit{}, err
	}
	return exits[0], nil
}

// Exits are the ways by which a call may leave, at least one, in the order in
// which to try them: the next when one has failed. They are of one route, its
// trunks in order without those whose policy forbids the call; see [Plan.Outbound]
// for the policy. Whatever is to be dialled goes through here, the targets of
// REFER and of redirections too. q.FromRoom is implied; q.Trunk narrows the choice
// and may be empty. The error is a [*Denied] that says it for every trunk.
func (p *Plan) Exits(q Query) ([]Exit, error) {
	q.FromRoom = true
	d, exits := p.walk(q, nil)
	if d.Refused {
		return nil, &Denied{Cause: d.Cause, Reason: d.Reason}
	}
	return exits, nil
}

// ExitsOf is [Plan.Exits] for a target with a Number, which vars fill as in
// [Expand], and its Trunks; without Trunks the from_room routes choose. q is the
// call on whose behalf it is dialled, with To and From as its [Decision] has them.
// The policy is the same: the trunks' prefixes must allow the number, however it
// came about. Emergency numbers and extensions leave when the target spells them
// out; an emergency call that came in may go on as one.
func (p *Plan) ExitsOf(t Target, q Query, vars map[string]string) ([]Exit, error) {
	d, exits := p.target(t, q, vars, nil)
	if d.Refused {
		return nil, &Denied{Cause: d.Cause, Reason: d.Reason}
	}
	return exits, nil
}

func (p *Plan) target(t Target, q Query, vars map[string]string, e *Explanation) (Decision, []Exit) {
	out := Query{FromRoom: true, To: t.Number, From: q.From, Headers: q.Headers, At: q.At}
	c := &call{Query: out, raw: out, trunks: t.Trunks, ready: p.prepared(), notes: e}
	to, err := expand(t.Number, vars, dialable)
	if err != nil {
		return refuse(c, "unknown_number", "number "+t.Number+" cannot be dialled: "+err.Error()), nil
	}
	c.named = !strings.Contains(t.Number, "{{") || c.ready.urgent(q.To) && c.ready.urgent(to)
	c.To, c.raw.To = to, to
	return p.leave(c)
}

// leave decides on a call that leaves.
func (p *Plan) leave(c *call) (Decision, []Exit) {
	a, err := p.address(c)
	if err != nil {
		return refuse(c, "unknown_number", err.Error()), nil
	}
	c.To, c.host, c.port = a.called(), a.host, a.port
	if len(c.trunks) > 0 {
		return p.exits(c, a, nil, c.trunks)
	}
	i, _ := p.first(c)
	if i < 0 {
		return refuse(c, "no_route", p.whyNone(c.raw)), nil
	}
	return p.exits(c, a, &p.Routes[i], c.ready.routes[i].exits)
}

// address reads what is to be dialled, and the caller, in the country of the
// trunks by which the call may leave.
func (p *Plan) address(c *call) (address, error) {
	country, ambiguous := p.countryOf(c)
	a, err := numbering{country, c.ready.emergencies}.address(c.To)
	if err == nil {
		c.From = normal(c.From, country)
		c.notes.noteNumber("called", c.raw.To, a.called(), country)
		c.notes.noteNumber("caller", c.raw.From, c.From, country)
		return a, nil
	}
	if digits, notDigits := onlyDigits(c.To); ambiguous != nil && notDigits == nil && digits != "" && digits[0] != '+' {
		return a, ambiguous
	}
	return a, err
}

// exits are those of the trunks by which an address may be dialled. r is nil
// when a target names the trunks.
func (p *Plan) exits(c *call, a address, r *Route, trunks []string) (Decision, []Exit) {
	d := Decision{To: c.To, From: c.From, Reason: "the trunks of the target"}
	if r != nil {
		d.Route, d.Priority, d.Reason = r.Name, r.Priority, "route "+r.Name
	}
	if a.urgent {
		d.Priority = "emergency"
	}
	var exits []Exit
	var denied Denied
	for _, name := range trunks {
		if c.Trunk != "" && name != c.Trunk {
			continue
		}
		t, no := p.mayLeave(c, a, r, name)
		to := dialled(a, t)
		c.notes.noteExit(name, to, no)
		if no != nil {
			denied.add(no)
			continue
		}
		exits = append(exits, Exit{Trunk: t, To: to, From: c.From, Route: d.Route, Emergency: a.urgent})
		d.Trunks = append(d.Trunks, name)
	}
	if len(exits) == 0 {
		return refuse(c, denied.Cause, denied.Reason), nil
	}
	d.Trunk, d.To = d.Trunks[0], exits[0].To
	return d, exits
}

// add joins the reasons of several trunks; forbidden outweighs no_route.
func (d *Denied) add(other *Denied) {
	if d.Cause != "forbidden" {
		d.Cause = other.Cause
	}
	d.Reason = strings.TrimPrefix(d.Reason+"; "+other.Reason, "; ")
}

// mayLeave says whether an address may be dialled by a trunk.
func (p *Plan) mayLeave(c *call, a address, r *Route, name string) (Trunk, *Denied) {
	i, ok := c.ready.trunks[name]
	if !ok {
		return Trunk{}, &Denied{Cause: "no_route", Reason: "no trunk is named " + orNone(name)}
	}
	t := p.Trunks[i]
	if t.Outbound == nil || len(t.Outbound.Servers) == 0 {
		return t, &Denied{Cause: "no_route", Reason: "trunk " + name + " has no outbound servers"}
	}
	if _, ok := t.serverAt(a.host, a.port); a.host != "" && !ok {
		return t, &Denied{Cause: "no_route", Reason: "trunk " + name + " has no server " + a.host}
	}
	if a.secure && t.Outbound.Transport != "tls" {
		return t, &Denied{Cause: "forbidden", Reason: "sips: leaves only by trunks with transport: tls; trunk " + name + " has none"}
	}
	if reason := policy(c, a, r, &t); reason != "" {
		return t, &Denied{Cause: "forbidden", Reason: reason}
	}
	return t, nil
}

// dialled is an address as a trunk that can reach it dials it.
func dialled(a address, t Trunk) string {
	if a.name == "" {
		return a.called()
	}
	scheme := "sip:"
	if a.secure {
		scheme = "sips:"
	}
	server, _ := t.serverAt(a.host, a.port)
	return scheme + a.name + "@" + bracketed(server)
}

func (p *Plan) whyNone(q Query) string {
	if _, ok := p.TrunkNamed(q.Trunk); q.Trunk != "" && !ok {
		return "no trunk is named " + q.Trunk
	}
	for i := range p.Routes {
		if p.Routes[i].FromRoom {
			return "no from_room route matches this call; `roomline route` explains why"
		}
	}
	return "nothing may be dialled: the plan has no from_room route"
}

// policy says why an address may not be dialled by a trunk; empty when it may.
func policy(c *call, a address, r *Route, t *Trunk) string {
	switch {
	case a.urgent:
		if !c.named && (r == nil || !r.namesEmergency(a.number)) {
			return "emergency numbers leave only by a from_room route that names them"
		}
	case a.number != "":
		return t.allows(a.number)
	case a.extension() && !c.named && (r == nil || !r.namesExtension(a.called())):
		return "a user part of digits is dialled only by a from_room route that names it, like sip:" + a.name + "@" + a.host
	}
	return ""
}

// allows says why the limits of the trunk forbid an E.164 number; empty when they do not.
func (t *Trunk) allows(number string) string {
	if t.Limits == nil || len(t.Limits.Prefixes) == 0 {
		return "trunk " + t.Name + ` allows no number to be dialled: set its limits.prefixes, for example ["+1"]`
	}
	for _, prefix := range t.Limits.Prefixes {
		if strings.HasPrefix(prefix, "+") && strings.HasPrefix(number, prefix) {
			return ""
		}
	}
	return "the number is outside the prefixes that trunk " + t.Name + " allows: " + strings.Join(t.Limits.Prefixes, ", ")
}

// namesExtension reports whether a pattern spells the extension out, at least its first digit.
func (r *Route) namesExtension(called string) bool {
	for _, p := range r.To {
		if len(p) > 4 && p[4] >= '0' && p[4] <= '9' && matchOne(p, called) {
			return true
		}
	}
	return false
}

// bracketed is a server as it stands in a URI.
func bracketed(server string) string {
	if strings.Count(server, ":") > 1 && !strings.HasPrefix(server, "[") {
		return "[" + server + "]"
	}
	return server
}
