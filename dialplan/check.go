package dialplan

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// Check reports everything that is wrong in the plan, nil when nothing is.
// What the design promises and is not built yet is reported as "not available yet".
func (p *Plan) Check() []Problem {
	c := &checker{plan: p, emergencies: p.emergencies()}
	c.trunks()
	c.numbers()
	c.holidays()
	c.routes()
	c.agents()
	c.queues()
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
	if c.trunkNames == nil {
		for _, t := range c.plan.Trunks {
			c.trunkNames = append(c.trunkNames, t.Name)
		}
	}
	c.known(field, name, "trunk", c.trunkNames)
}

// known checks that a name stands for something; an empty one is fine.
func (c *checker) known(field, name, what string, names []string) {
	if name == "" || slices.Contains(names, name) {
		return
	}
	message := "no " + what + " has this name; "
	switch near := nearest(name, names); {
	case near != "":
		message += "did you mean " + near + "?"
	case len(names) == 0:
		message += "there are none"
	default:
		message += "expected " + strings.Join(names[:min(len(names), 10)], ", ")
	}
	c.wrong(field, name, message)
}

func (c *checker) printable(field, s string) {
	if hasControls(s) {
		c.wrong(field, "", "expected text without control characters")
	}
}

func hasControls(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' })
}

// duration checks a text like 20s; empty is fine.
func (c *checker) duration(field, s string, least, most time.Duration) {
	if s == "" {
		return
	}
	if d, err := time.ParseDuration(s); err != nil || d < least || d > most {
		c.wrong(field, s, fmt.Sprintf("expected a duration from %s to %s, such as 20s or 1m30s", plainDuration(least), plainDuration(most)))
	}
}

// plainDuration is 1h rather than 1h0m0s.
func plainDuration(d time.Duration) string {
	s := d.String()
	for _, nothing := range []string{"0s", "0m"} {
		if whole, ok := strings.CutSuffix(s, nothing); ok && strings.ContainsRune("hm", rune(whole[len(whole)-1])) {
			s = whole
		}
	}
	return s
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
