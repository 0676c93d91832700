package dialplan

import (
	"encoding/json"
	"errors"
	"strings"
)

// Match reports whether one of the patterns matches s, and which. Patterns that
// start with "urn:" are compared without regard to letter case (RFC 5031
// section 4.2), all others exactly. An empty list matches everything, by "".
func (ps Patterns) Match(s string) (pattern string, matched bool) {
	if len(ps) == 0 {
		return "", true
	}
	for _, p := range ps {
		if matchOne(p, s) {
			return p, true
		}
	}
	return "", false
}

func matchOne(pattern, s string) bool {
	if len(pattern) >= 4 && strings.EqualFold(pattern[:4], "urn:") {
		pattern, s = strings.ToLower(pattern), strings.ToLower(s)
	}
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(s, prefix)
	}
	return pattern == s
}

// String is the list as it is read aloud in explanations.
func (ps Patterns) String() string { return strings.Join(ps, ", ") }

var errPatterns = errors.New("expected a pattern or a list of patterns")

// MarshalJSON writes a list of one as a single string.
func (ps Patterns) MarshalJSON() ([]byte, error) { return json.Marshal(ps.shape()) }

// MarshalYAML writes a list of one as a single string.
func (ps Patterns) MarshalYAML() (any, error) { return ps.shape(), nil }

func (ps Patterns) shape() any {
	if len(ps) == 1 {
		return ps[0]
	}
	if ps == nil {
		return []string{}
	}
	return []string(ps)
}

// UnmarshalJSON reads a string or a list of strings.
func (ps *Patterns) UnmarshalJSON(b []byte) error {
	return ps.unmarshal(func(v any) error { return json.Unmarshal(b, v) })
}

// UnmarshalYAML reads a string or a list of strings.
func (ps *Patterns) UnmarshalYAML(unmarshal func(any) error) error { return ps.unmarshal(unmarshal) }

func (ps *Patterns) unmarshal(into func(any) error) error {
	var one *string
	if into(&one) == nil {
		if one != nil {
			*ps = Patterns{*one}
		}
		return nil
	}
	var list []string
	if into(&list) != nil {
		return errPatterns
	}
	*ps = list
	return nil
}
