package dialplan

import (
	"fmt"
	"strings"
)

// verdict says whether a route matches and what decided. It is made for every
// route of every call, so its words are put together only when asked for.
type verdict struct {
	matched   bool
	closed    bool      // matched outside the hours of a route that has an else
	condition condition // the one that failed
	pattern   string    // the pattern of to that matched
}

type condition uint8

const (
	holds     condition = iota
	direction           // the route is for calls in the other direction
	onTrunk             // another trunk
	atServer            // the trunk has not the server of the SIP URI
	calledTo            // no pattern of to
	calledBy            // no pattern of from
	inHours             // outside hours, without else
)

// try holds every condition of a route against a call.
func (p *Plan) try(r *Route, q Query) verdict {
	if r.FromRoom != q.FromRoom {
		return verdict{condition: direction}
	}
	if r.Trunk != q.Trunk && r.Trunk != "" && (q.Trunk != "" || !r.FromRoom) {
		return verdict{condition: onTrunk}
	}
	if q.host != "" && !p.reaches(r.Trunk, q) {
		return verdict{condition: atServer}
	}
	pattern, ok := r.To.Match(q.To)
	if !ok {
		return verdict{condition: calledTo}
	}
	if _, ok := r.From.Match(q.From); !ok {
		return verdict{condition: calledBy}
	}
	h, err := parseHours(r.Hours)
	if open := err == nil && h.open(q.At); !open {
		return verdict{matched: r.Else != nil && err == nil, closed: true, condition: inHours, pattern: pattern}
	}
	return verdict{matched: true, pattern: pattern}
}

func (p *Plan) reaches(trunk string, q Query) bool {
	t, ok := p.TrunkNamed(trunk)
	if !ok {
		return false
	}
	_, ok = t.serverAt(q.host, q.port)
	return ok
}

// words explains the verdict on a route for a call.
func (v verdict) words(r *Route, q Query) string {
	switch v.condition {
	case direction:
		if r.FromRoom {
			return "is for calls that leave a room"
		}
		return "is for calls that come in"
	case onTrunk:
		return fmt.Sprintf("trunk is %s, the call has %s", r.Trunk, orNone(q.Trunk))
	case atServer:
		return fmt.Sprintf("trunk %s has no server %s", r.Trunk, q.host)
	case calledTo:
		return fmt.Sprintf("to is %s, called is %s%s", r.To, orNone(q.To), plusHint(r.To, q.To))
	case calledBy:
		return fmt.Sprintf("from is %s, the caller is %s%s", r.From, orNone(q.From), plusHint(r.From, q.From))
	case inHours:
		if v.closed && v.matched {
			return "matches; outside hours " + r.Hours + ", so else"
		}
		return "outside hours " + r.Hours + ", and it has no else"
	}
	return "matches" + v.by()
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
	if _, ok := ps.Match("+" + s); ok && s != "" {
		return " (it came without +: add that form as a pattern)"
	}
	if bare, ok := strings.CutPrefix(s, "+"); ok {
		if _, ok := ps.Match(bare); ok {
			return " (it came with +: add that form as a pattern)"
		}
	}
	return ""
}
