package dialplan

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// reader walks the tree of a YAML file and collects everything that is wrong,
// so that one run names all of it.
type reader struct {
	env      func(string) string
	problems Problems
	lines    map[string]int    // field to its line
	asIs     map[string]string // text with ${VAR} replaced, to how it stands in the file
}

// field reads one value at a path like routes[2].to.
type field func(n *yaml.Node, path string)

// fields are the keys that an object may have.
type fields map[string]field

// future are keys that people expect and that are not built yet.
var future = []string{
	"voicemail", "flow", "flows", "ivr", "menu", "menus", "schedules", "greeting",
	"prompt", "play", "say", "gather", "forward", "transfer", "escalate", "escalation", "conference",
	"recording", "transcribe", "moh", "hold_music", "registrations", "users", "extensions",
}

func (r *reader) object(n *yaml.Node, path string, known fields) {
	r.lines[path] = n.Line
	if !r.plain(n, path) {
		return
	}
	if n.Kind != yaml.MappingNode {
		r.wrong(n, path, "expected an object with "+keysOf(known))
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		r.member(key, value, join(path, key.Value), known, seen)
	}
}

func (r *reader) member(key, value *yaml.Node, path string, known fields, seen map[string]bool) {
	read, ok := known[key.Value]
	switch {
	case key.Kind != yaml.ScalarNode || key.Tag == "!!merge":
		r.wrong(key, path, "expected a plain key; anchors and merges are not available")
	case slices.Contains(future, key.Value) && !ok:
		r.wrong(key, path, notYet)
	case !ok:
		r.wrong(key, path, "unknown key"+didYouMean(key.Value, known))
	case seen[key.Value]:
		r.wrong(key, path, "this key stands here twice")
	default:
		seen[key.Value] = true
		r.lines[path] = value.Line
		read(value, path)
	}
}

// plain refuses anchors and aliases: a small file could grow without bound through them.
func (r *reader) plain(n *yaml.Node, path string) bool {
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		r.wrong(n, path, "anchors and aliases are not available: write the value out")
		return false
	}
	return true
}

func list[T any](r *reader, into *[]T, one func(n *yaml.Node, path string) T) field {
	return func(n *yaml.Node, path string) {
		if !r.plain(n, path) || n.Tag == "!!null" {
			return
		}
		if n.Kind != yaml.SequenceNode {
			r.wrong(n, path, "expected a list")
			return
		}
		for i, item := range n.Content {
			at := fmt.Sprintf("%s[%d]", path, i)
			r.lines[at] = item.Line
			*into = append(*into, one(item, at))
		}
	}
}

// table reads an object whose keys the file chooses.
func table[T any](r *reader, into *map[string]T, value func(*T) field) field {
	return func(n *yaml.Node, path string) {
		r.lines[path] = n.Line
		if !r.plain(n, path) || n.Tag == "!!null" {
			return
		}
		if n.Kind != yaml.MappingNode {
			r.wrong(n, path, "expected an object of names and values")
			return
		}
		*into = map[string]T{}
		known, seen := fields{}, map[string]bool{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			known[key.Value] = func(n *yaml.Node, path string) {
				var v T
				value(&v)(n, path)
				(*into)[key.Value] = v
			}
			r.member(key, n.Content[i+1], join(path, key.Value), known, seen)
		}
	}
}

func (r *reader) text(into *string) field {
	return func(n *yaml.Node, path string) { *into = r.scalar(n, path, "text", "!!str", "!!int", "!!float") }
}

func (r *reader) texts(into *[]string) field {
	return list(r, into, func(n *yaml.Node, path string) (s string) {
		r.text(&s)(n, path)
		return s
	})
}

func (r *reader) patterns(into *Patterns) field {
	return func(n *yaml.Node, path string) {
		if n.Kind != yaml.ScalarNode {
			r.texts((*[]string)(into))(n, path)
			return
		}
		var one string
		r.text(&one)(n, path)
		*into = Patterns{one}
	}
}

func (r *reader) flag(into *bool) field {
	return func(n *yaml.Node, path string) {
		switch r.scalar(n, path, "true or false", "!!bool", "!!str") {
		case "true", "True", "TRUE":
			*into = true
		case "false", "False", "FALSE", "":
		default:
			r.wrong(n, path, "expected true or false")
		}
	}
}

func (r *reader) whole(into *int) field {
	return func(n *yaml.Node, path string) {
		v, err := strconv.Atoi(r.scalar(n, path, "a whole number", "!!int", "!!str"))
		if err != nil && n.Tag != "!!null" && n.Kind == yaml.ScalarNode {
			r.wrong(n, path, "expected a whole number")
		}
		*into = v
	}
}

func (r *reader) number(into *float64) field {
	return func(n *yaml.Node, path string) {
		v, err := strconv.ParseFloat(r.scalar(n, path, "a number", "!!int", "!!float", "!!str"), 64)
		bad := err != nil || math.IsInf(v, 0) || math.IsNaN(v)
		if bad && n.Tag != "!!null" && n.Kind == yaml.ScalarNode {
			r.wrong(n, path, "expected a number")
			v = 0
		}
		*into = v
	}
}

// scalar returns the text of a value, with variables replaced.
func (r *reader) scalar(n *yaml.Node, path, expected string, tags ...string) string {
	if !r.plain(n, path) {
		return ""
	}
	if n.Kind != yaml.ScalarNode || !slices.Contains(tags, n.Tag) {
		r.wrong(n, path, "expected "+expected+", found "+kindOf(n))
		return ""
	}
	s, err := expandEnv(n.Value, r.env)
	if err != nil {
		r.wrong(n, path, err.Error())
		return ""
	}
	if s != n.Value {
		r.asIs[s] = n.Value
	}
	return s
}

func (r *reader) wrong(n *yaml.Node, path, message string) {
	r.problems = append(r.problems, Problem{Line: n.Line, Field: path, Message: message})
}

func kindOf(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "an object"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Tag == "!!null":
		return "nothing"
	case n.Tag == "!!bool":
		return "true or false (quote it)"
	case n.Tag == "!!int", n.Tag == "!!float":
		return "a number"
	case n.Tag == "!!str":
		return "text"
	}
	return n.Tag
}

func keysOf(known fields) string {
	keys := make([]string, 0, len(known))
	for k := range known {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return strings.Join(keys, ", ")
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
