package dialplan

import "errors"

var errNotBuilt = errors.New("dialplan: being written")

// Parse reads a dial plan file. ${VAR} inside values is replaced by env(VAR); an
// unset variable is an error. Unknown keys are refused. The error is a [Problems]
// that lists everything that is wrong, with line, field and what was expected.
func Parse(yamlBytes []byte, env func(string) string) (*Plan, error) {
	return ParseAmong(yamlBytes, nil, env)
}

// ParseAmong is [Parse] for a file that also holds other top-level keys, which it ignores.
func ParseAmong(yamlBytes []byte, others []string, env func(string) string) (*Plan, error) {
	return nil, errNotBuilt
}
