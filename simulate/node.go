package simulate

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/roomline/roomline/dialplan"
)

// reader walks the tree of a suite file and collects everything that is wrong.
type reader struct {
	env      func(string) string
	problems dialplan.Problems
}

// field reads one value at a path like scenarios[2].steps[0].
type field func(n *yaml.Node, path string)

// fields are the keys that an object may have.
type fields map[string]field

func (r *reader) wrong(n *yaml.Node, path, format string, args ...any) {
	r.problems = append(r.problems, dialplan.Problem{Line: n.Line, Field: path, Message: fmt.Sprintf(format, args...)})
}

// plain refuses anchors and aliases: a small file could grow without bound through them.
func (r *reader) plain(n *yaml.Node, path string) bool {
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		r.wrong(n, path, "anchors and aliases are not available: write the value out (and quote a * that is meant as one)")
		return false
	}
	return true
}

// object reads the known keys of a mapping and returns those that stand there.
func (r *reader) object(n *yaml.Node, path string, known fields) (present []string) {
	if !r.plain(n, path) {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		r.wrong(n, path, "expected an object with %s", keysOf(known))
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		at := strings.TrimPrefix(path+"."+key.Value, ".")
		switch read, ok := known[key.Value]; {
		case !ok:
			r.wrong(key, at, "unknown key%s", hint(key.Value, slices.Sorted(maps.Keys(known))))
		case slices.Contains(present, key.Value):
			r.wrong(key, at, "this key stands here twice")
		default:
			present = append(present, key.Value)
			read(value, at)
		}
	}
	return present
}

// hint ends the message about an unknown word.
func hint(word string, known []string) string {
	if near := dialplan.Nearest(word, known); near != "" {
		return ": did you mean " + near + "?"
	}
	return "; expected " + strings.Join(known, ", ")
}

func keysOf(known fields) string { return strings.Join(slices.Sorted(maps.Keys(known)), ", ") }

// each reads every item of a list.
func (r *reader) each(one field) field {
	return func(n *yaml.Node, path string) {
		if !r.plain(n, path) {
			return
		}
		if n.Kind != yaml.SequenceNode {
			r.wrong(n, path, "expected a list")
			return
		}
		for i, item := range n.Content {
			one(item, fmt.Sprintf("%s[%d]", path, i))
		}
	}
}

// scalar is the text of a value with variables replaced; false when it is none.
func (r *reader) scalar(n *yaml.Node, path, expected string) (string, bool) {
	if !r.plain(n, path) {
		return "", false
	}
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		r.wrong(n, path, "expected %s", expected)
		return "", false
	}
	s, err := dialplan.ExpandEnv(n.Value, r.env)
	if err != nil {
		r.wrong(n, path, "%s", err)
		return "", false
	}
	return s, true
}

func (r *reader) text(into *string) field {
	return func(n *yaml.Node, path string) {
		s, ok := r.scalar(n, path, "text")
		if ok && strings.TrimSpace(s) == "" {
			r.wrong(n, path, "expected text, found nothing")
		}
		*into = s
	}
}

// texts reads a list of texts, or a single one.
func (r *reader) texts(into *[]string) field {
	one := func(n *yaml.Node, path string) {
		var s string
		r.text(&s)(n, path)
		*into = append(*into, s)
	}
	return func(n *yaml.Node, path string) {
		if n.Kind == yaml.ScalarNode {
			one(n, path)
			return
		}
		r.each(one)(n, path)
		if n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
			r.wrong(n, path, "expected at least one")
		}
	}
}

// table reads names and texts.
func (r *reader) table(into *map[string]string) field {
	return func(n *yaml.Node, path string) {
		known := fields{}
		if n.Kind == yaml.MappingNode {
			for i := 0; i+1 < len(n.Content); i += 2 {
				name := n.Content[i].Value
				known[name] = func(v *yaml.Node, path string) {
					var s string
					r.text(&s)(v, path)
					if *into == nil {
						*into = map[string]string{}
					}
					(*into)[name] = s
				}
			}
		}
		r.object(n, path, known)
	}
}

func (r *reader) truth(into *bool) field {
	return func(n *yaml.Node, path string) {
		s, ok := r.scalar(n, path, "true or false")
		if !ok {
			return
		}
		if s != "true" && s != "false" {
			r.wrong(n, path, "expected true or false")
		}
		*into = s == "true"
	}
}

// longest bounds every time in a suite.
const longest = time.Hour

// length reads a time such as 500ms, 2s or 1m30s.
func (r *reader) length(into *time.Duration) field {
	return func(n *yaml.Node, path string) {
		s, ok := r.scalar(n, path, "a time, as in 500ms or 2s")
		if !ok {
			return
		}
		d, err := time.ParseDuration(s)
		switch {
		case err != nil:
			r.wrong(n, path, "expected a time with its unit, as in 500ms or 2s")
		case d <= 0 || d > longest:
			r.wrong(n, path, "expected a time above 0 and up to %s", longest)
		default:
			*into = d
		}
	}
}

func (r *reader) number(into *float64, least, most float64) field {
	return func(n *yaml.Node, path string) {
		s, ok := r.scalar(n, path, "a number")
		if !ok {
			return
		}
		v, err := strconv.ParseFloat(s, 64)
		if err != nil || math.IsNaN(v) || v < least || v > most {
			r.wrong(n, path, "expected a number from %g to %g", least, most)
			return
		}
		*into = v
	}
}
