package dialplan

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// Check reports everything that is wrong in the plan, nil when nothing is.
// What the design promises and is not built yet is reported as "not available yet".
func (p *Plan) Check() []Problem {
	c := &checker{plan: p}
	c.trunks()
	c.numbers()
	c.routes()
	for i, a := range p.Agents {
		c.wrong(fmt.Sprintf("agents[%d]", i), a.Name, notYet)
	}
	return c.problems
}

// name checks the form of a name and that it is the first of its kind.
func (c *checker) name(field, name string, seen map[string]bool) {
	switch {
	case name == "":
		c.wrong(field, "", "expected a name")
	case !nameForm.MatchString(name):
		c.wrong(field, name, "expected a name of 1 to 63 letters a-z, digits and -, not starting with -")
	case seen[name]:
		c.wrong(field, name, "this name is taken already; names are unique")
	}
	seen[name] = true
}

func (c *checker) numbers() {
	seen := map[string]bool{}
	for i, n := range c.plan.Numbers {
		at := fmt.Sprintf("numbers[%d]", i)
		switch normal, err := Normalize(n.Number); {
		case err != nil:
			c.wrong(at+".number", n.Number, err.Error())
		case normal != n.Number || Emergency(n.Number):
			c.wrong(at+".number", n.Number, "expected an E.164 number like +15551230000, without spaces")
		case seen[n.Number]:
			c.wrong(at+".number", n.Number, "this number is listed already")
		}
		seen[n.Number] = true
		c.knownTrunk(at+".trunk", n.Trunk)
		c.printable(at+".label", n.Label)
	}
}

// knownTrunk accepts an empty name.
func (c *checker) knownTrunk(field, name string) {
	if name == "" {
		return
	}
	if _, ok := c.plan.TrunkNamed(name); ok {
		return
	}
	names := make([]string, len(c.plan.Trunks))
	for i, t := range c.plan.Trunks {
		names[i] = t.Name
	}
	message := "no trunk has this name; there are none"
	if len(names) > 0 {
		message = "no trunk has this name; expected " + strings.Join(names[:min(len(names), 10)], ", ")
	}
	c.wrong(field, name, message)
}

func (c *checker) printable(field, s string) {
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' }) {
		c.wrong(field, "", "expected text without control characters")
	}
}

func (c *checker) routes() {
	seen := map[string]bool{}
	for i := range c.plan.Routes {
		r, at := &c.plan.Routes[i], fmt.Sprintf("routes[%d]", i)
		c.name(at+".name", r.Name, seen)
		c.knownTrunk(at+".trunk", r.Trunk)
		c.patterns(at+".to", r.To)
		c.patterns(at+".from", r.From)
		if _, err := parseHours(r.Hours); err != nil {
			c.wrong(at+".hours", r.Hours, err.Error())
		}
		c.oneOf(at+".priority", r.Priority, []string{"emergency"}, nil)
		if r.FromRoom {
			c.routeOut(at, r)
			continue
		}
		c.target(at, r.Target)
		if r.Else != nil {
			c.target(at+".else", *r.Else)
		}
	}
}

func (c *checker) patterns(field string, ps Patterns) {
	for i, p := range ps {
		at := field
		if len(ps) > 1 {
			at = fmt.Sprintf("%s[%d]", field, i)
		}
		switch {
		case p == "":
			c.wrong(at, "", "expected a number, a name, or a prefix that ends in *")
		case strings.Contains(strings.TrimSuffix(p, "*"), "*"):
			c.wrong(at, p, "expected * only at the end")
		case strings.ContainsFunc(p, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '\uFFFD' }):
			c.wrong(at, p, "expected a pattern without spaces and control characters")
		}
	}
}

func (c *checker) routeOut(at string, r *Route) {
	t, ok := c.plan.TrunkNamed(r.Trunk)
	if r.Trunk == "" {
		c.wrong(at+".trunk", "", "a from_room route needs the trunk by which calls leave")
	} else if ok && t.Outbound == nil {
		c.wrong(at+".trunk", r.Trunk, "this trunk has no outbound servers, so no call can leave by it")
	}
	if !reflect.ValueOf(r.Target).IsZero() {
		c.wrong(at, r.Name, "a from_room route goes to its trunk: room, agent, queue, reject, answer, record and else have no place in it")
	}
	for i, p := range r.To {
		if !canLeave(p) {
			c.wrong(fmt.Sprintf("%s.to[%d]", at, i), p, "nothing dialled looks like this: expected +15551234567, a prefix like +1*, sip:name@server, an emergency number, or *")
		}
	}
}

// canLeave reports whether a normalised outbound address can match the pattern.
func canLeave(p string) bool {
	return p == "*" || strings.HasPrefix(p, "+") || strings.HasPrefix(p, "sip:") || namesEmergency(p)
}

func (c *checker) target(at string, t Target) {
	set := slices.DeleteFunc([]string{t.Room, t.Agent, t.Queue, t.Reject}, func(s string) bool { return s == "" })
	if len(set) != 1 {
		c.wrong(at, "", fmt.Sprintf("expected exactly one of room, agent, queue and reject, found %d", len(set)))
	}
	if t.Room != "" {
		if err := checkTemplate(t.Room); err != nil {
			c.wrong(at+".room", t.Room, err.Error())
		}
	}
	if t.Agent != "" {
		c.wrong(at+".agent", t.Agent, notYet)
	}
	if t.Queue != "" {
		c.wrong(at+".queue", t.Queue, notYet)
	}
	if t.Record {
		c.wrong(at+".record", "", notYet)
	}
	c.oneOf(at+".reject", t.Reject, []string{"busy", "rejected", "unknown_number"}, nil)
	c.oneOf(at+".answer", t.Answer, []string{"now", "ready"}, nil)
	if t.Reject != "" && t.Answer != "" {
		c.wrong(at+".answer", t.Answer, "a route that rejects answers nothing: leave this out")
	}
}
