package dialplan

// Problem is one thing that is wrong in a plan.
type Problem struct {
	Line    int    `json:"line,omitempty"` // in the file, from 1; 0 when the plan did not come from a file
	Field   string `json:"field"`          // routes[2].to[0]
	Got     string `json:"got,omitempty"`  // the value found, never a secret; may be empty
	Message string `json:"message"`        // what was expected, in words
}

// Error says the problem in one line.
func (p Problem) Error() string { return p.Field + ": " + p.Message }

// Problems is a list of them as an error.
type Problems []Problem

// Error has one line per problem.
func (ps Problems) Error() string {
	s := ""
	for _, p := range ps {
		s += p.Error() + "\n"
	}
	return s
}

// Check reports everything that is wrong in the plan, nil when nothing is.
func (p *Plan) Check() []Problem { return nil }
