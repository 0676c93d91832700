package dialplan

import (
	"strings"
	"time"
)

// Exit is the way out that a plan allows for one outbound call.
type Exit struct {
	Trunk     Trunk
	To        string // +E.164, an emergency number, or sip:name@server with a server of the trunk
	Route     string
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

// Exit is [Plan.Outbound] with caller id and time; q.FromRoom is implied.
func (p *Plan) Exit(q Query) (Exit, error) {
	q.FromRoom = true
	d := p.Decide(q)
	if d.Refused {
		return Exit{}, &Denied{Cause: d.Cause, Reason: d.Reason}
	}
	t, _ := p.TrunkNamed(d.Trunk)
	return Exit{Trunk: t, To: d.To, Route: d.Route, Emergency: Emergency(d.To)}, nil
}

// leave decides on a call that leaves.
func (p *Plan) leave(q Query, see func(int, verdict)) Decision {
	a, err := parseAddress(q.To)
	if err != nil {
		return refuse(q, "unknown_number", err.Error())
	}
	q.To, q.host, q.port = a.called(), a.host, a.port
	i, _ := p.first(q, see)
	if i < 0 {
		return refuse(q, "no_route", p.whyNone(q))
	}
	r := &p.Routes[i]
	t, ok := p.TrunkNamed(r.Trunk)
	if !ok || t.Outbound == nil || len(t.Outbound.Servers) == 0 {
		return refuse(q, "no_route", "route "+r.Name+" leaves by trunk "+orNone(r.Trunk)+", which has no outbound servers")
	}
	if reason := policy(a, r, t); reason != "" {
		return refuse(q, "forbidden", reason)
	}
	d := Decision{Route: r.Name, Trunk: t.Name, To: q.To, Priority: r.Priority, Reason: "route " + r.Name}
	if a.name != "" {
		server, _ := t.serverAt(a.host, a.port)
		d.To = "sip:" + a.name + "@" + bracketed(server)
	}
	if Emergency(d.To) {
		d.Priority = "emergency"
	}
	return d
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

// policy says why an address may not be dialled by the route's trunk; empty when it may.
func policy(a address, r *Route, t Trunk) string {
	switch {
	case Emergency(a.number):
		if !r.namesEmergency(a.number) {
			return "emergency numbers leave only by a from_room route that names them"
		}
	case a.number != "":
		return t.allows(a.number)
	case a.extension() && !r.namesExtension(a.called()):
		return "a user part of digits is dialled only by a from_room route that names it, like sip:" + a.name + "@" + a.host
	}
	return ""
}

// allows says why the limits of the trunk forbid an E.164 number; empty when they do not.
func (t Trunk) allows(number string) string {
	if t.Limits == nil || len(t.Limits.Prefixes) == 0 {
		return "trunk " + t.Name + ` allows no number to be dialled: set its limits.prefixes, for example ["+1"]`
	}
	for _, prefix := range t.Limits.Prefixes {
		if prefixForm.MatchString(prefix) && strings.HasPrefix(number, prefix) {
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
