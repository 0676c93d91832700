package dialplan

import (
	"fmt"
	"slices"
	"strings"
)

// notYet is what a feature of the design that is not built answers.
const notYet = "not available yet"

// Problem is one thing that is wrong in a plan.
type Problem struct {
	Line    int    `json:"line,omitempty"` // in the file, from 1; 0 when the plan did not come from a file
	Field   string `json:"field"`          // routes[2].to[0]; empty for the file as a whole
	Got     string `json:"got,omitempty"`  // the value found, never a secret; may be empty
	Message string `json:"message"`        // what was expected, in words
}

// Error says the problem in one line: line 4: trunks[0].srtp: "on": expected ….
func (p Problem) Error() string {
	var s strings.Builder
	if p.Line > 0 {
		fmt.Fprintf(&s, "line %d: ", p.Line)
	}
	if p.Field != "" {
		s.WriteString(p.Field + ": ")
	}
	if got := p.Got; got != "" {
		if len(got) > 80 {
			got = strings.ToValidUTF8(got[:80], "") + "…"
		}
		fmt.Fprintf(&s, "%q: ", got)
	}
	s.WriteString(p.Message)
	return s.String()
}

// Problems is a list of them as an error.
type Problems []Problem

// Error has one line per problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// sorted puts them in the order of the file.
func (ps Problems) sorted() Problems {
	slices.SortStableFunc(ps, func(a, b Problem) int { return a.Line - b.Line })
	return ps
}

// checker collects the problems of one plan.
type checker struct {
	plan       *Plan
	problems   []Problem
	trunkNames []string // made when first needed
	calendars  []string
	emergencies
}

func (c *checker) wrong(field, got, message string) {
	c.problems = append(c.problems, Problem{Field: field, Got: got, Message: message})
}

// oneOf checks a word against those that are built and those that will be. Empty is fine.
func (c *checker) oneOf(field, got string, built, later []string) {
	switch {
	case got == "" || slices.Contains(built, got):
	case slices.Contains(later, got):
		c.wrong(field, got, notYet+"; expected "+strings.Join(built, " or "))
	default:
		message := "expected " + strings.Join(built, " or ")
		if near := nearest(got, built); near != "" {
			message += ": did you mean " + near + "?"
		}
		c.wrong(field, got, message)
	}
}
