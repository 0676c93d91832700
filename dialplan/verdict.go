package dialplan

import (
	"fmt"
	"slices"
	"strings"
)

// verdict says whether a route matches and what decided. It is made for every
// route of every call, so its words are put together only when asked for.
type verdict struct {
	matched   bool
	closed    bool      // matched outside the hours of a route that has an else
	condition condition // the one that failed
	pattern   string    // the pattern of to that matched
	header    string    // the name of the header field that failed
}

type condition uint8

const (
	holds     condition = iota
	direction           // the route is for calls in the other direction
	onTrunk             // another trunk
	atServer            // none of the trunks has the server of the SIP URI
	calledTo            // no pattern of to
	calledBy            // no pattern of from
	onHeader            // a header field or attribute
	inHours             // outside hours, without else
	onHoliday           // a holiday, without else
)

// try holds every condition of a route against a call.
func (p *Plan) try(i int, c *call) verdict {
	r, ready := &p.Routes[i], &c.ready.routes[i]
	if r.FromRoom != c.FromRoom {
		return verdict{condition: direction}
	}
	if !r.FromRoom && r.Trunk != "" && r.Trunk != c.Trunk || r.FromRoom && c.Trunk != "" && !slices.Contains(ready.exits, c.Trunk) {
		return verdict{condition: onTrunk}
	}
	if c.host != "" && !slices.ContainsFunc(ready.exits, func(name string) bool { return p.reaches(name, c) }) {
		return verdict{condition: atServer}
	}
	pattern, ok := r.To.matchEither(c.To, c.raw.To, r.FromRoom)
	if !ok {
		return verdict{condition: calledTo}
	}
	if _, ok := r.From.matchEither(c.From, c.raw.From, false); !ok {
		return verdict{condition: calledBy}
	}
	for _, name := range ready.headers {
		if !c.carries(name, r.Headers[name]) {
			return verdict{condition: onHeader, header: name}
		}
	}
	if condition := ready.opening(c); condition != holds {
		return verdict{matched: r.Else != nil && !ready.bad, closed: true, condition: condition, pattern: pattern}
	}
	return verdict{matched: true, pattern: pattern}
}

// matchEither matches a number as it was normalised, or as it came; what is to
// be dialled only as it was normalised.
func (ps Patterns) matchEither(normal, raw string, dialled bool) (pattern string, matched bool) {
	if pattern, matched = ps.Match(normal); matched || dialled || raw == normal {
		return pattern, matched
	}
	return ps.Match(raw)
}

// reaches reports whether the call may leave by a trunk that has the server it names.
func (p *Plan) reaches(trunk string, c *call) bool {
	if c.Trunk != "" && trunk != c.Trunk {
		return false
	}
	i, ok := c.ready.trunks[trunk]
	if !ok {
		return false
	}
	_, ok = p.Trunks[i].serverAt(c.host, c.port)
	return ok
}

// carries reports whether a header field or attribute is there and matches.
func (c *call) carries(name string, ps Patterns) bool {
	value := valueOf(c.Headers, name)
	_, ok := ps.Match(value)
	return ok && value != ""
}

// opening is holds when the route is open.
func (ready *preparedRoute) opening(c *call) condition {
	switch {
	case ready.bad || !ready.hours.open(c.At, nil):
		return inHours
	case len(ready.holidays) > 0 && !ready.hours.open(c.At, ready.holidays):
		return onHoliday
	}
	return holds
}

// words explains the verdict on a route for a call.
func (v verdict) words(r *Route, c *call) string {
	switch v.condition {
	case direction:
		if r.FromRoom {
			return "is for calls that leave a room"
		}
		return "is for calls that come in"
	case onTrunk:
		return fmt.Sprintf("trunk is %s, the call has %s", strings.Join(r.trunks(), ", "), orNone(c.Trunk))
	case atServer:
		return fmt.Sprintf("trunk %s has no server %s", strings.Join(r.trunks(), ", "), c.host)
	case calledTo:
		return fmt.Sprintf("to is %s, called is %s%s", r.To, orNone(c.To), plusHint(r.To, c.To))
	case calledBy:
		return fmt.Sprintf("from is %s, the caller is %s%s", r.From, orNone(c.From), plusHint(r.From, c.From))
	case onHeader:
		return fmt.Sprintf("header %s is %s, the call has %s", v.header, r.Headers[v.header], orNone(valueOf(c.Headers, v.header)))
	case inHours:
		return v.closedWords("outside hours " + r.Hours)
	case onHoliday:
		return v.closedWords("it is a holiday of " + r.Holidays)
	}
	return "matches" + v.by()
}

func (v verdict) closedWords(why string) string {
	if v.matched {
		return "matches; " + why + ", so else"
	}
	return why + ", and it has no else"
}

// trunks are the names that a route's trunk condition or its exits hold.
func (r *Route) trunks() []string {
	if r.Trunk != "" {
		return []string{r.Trunk}
	}
	return r.Trunks
}

func (v verdict) by() string {
	if v.pattern == "" {
		return ""
	}
	return ": to is " + v.pattern
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// plusHint names the most frequent reason of a number that almost matches.
func plusHint(ps Patterns, s string) string {
	if _, ok := ps.Match("+" + s); ok && s != "" && !Emergency(s) {
		return " (it came without +: add that form as a pattern, or set the trunk's country)"
	}
	if bare, ok := strings.CutPrefix(s, "+"); ok {
		if _, ok := ps.Match(bare); ok {
			return " (it came with +: add that form as a pattern)"
		}
	}
	return ""
}
