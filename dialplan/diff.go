package dialplan

// Change is one difference between two plans, in words, secrets masked.
type Change struct {
	Kind    string   `json:"kind" yaml:"kind"`     // added | changed | removed
	Object  string   `json:"object" yaml:"object"` // trunk | number | route | agent
	Name    string   `json:"name" yaml:"name"`
	Details []string `json:"details,omitempty" yaml:"details,omitempty"`
}

// Diff lists what turns old into new. Either may be nil, which means empty.
func Diff(old, new *Plan) []Change { return nil }

// Masked is a copy of the plan with every secret replaced by [Mask].
func (p *Plan) Masked() *Plan { return p }

// Mask stands for a secret that is not shown.
const Mask = "********"
