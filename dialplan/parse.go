package dialplan

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxFile bounds a dial plan file, in bytes.
const maxFile = 4 << 20

// Parse reads a dial plan file. ${VAR} inside values is replaced by env(VAR); an
// unset variable is an error. Unknown keys are refused, and so is what is not
// built yet. The error is a [Problems] that lists everything that is wrong, with
// line, field and what was expected; the values of variables are not in it.
func Parse(yamlBytes []byte, env func(string) string) (*Plan, error) {
	p, err := ParseAmong(yamlBytes, nil, env)
	if err == nil && len(p.Trunks)+len(p.Numbers)+len(p.Routes)+len(p.Agents)+len(p.Queues) == 0 {
		return nil, Problems{{Line: 1, Message: "the file holds no trunks, numbers, routes, agents or queues"}}
	}
	return p, err
}

// ParseAmong is [Parse] for a file that also holds the top-level keys in others,
// which it ignores, and that may hold no plan at all.
func ParseAmong(yamlBytes []byte, others []string, env func(string) string) (*Plan, error) {
	root, err := parseTree(yamlBytes)
	if err != nil {
		return nil, err
	}
	r := &reader{env: env, lines: map[string]int{}, asIs: map[string]string{}}
	p := &Plan{}
	if root != nil {
		r.plan(root, p, others)
	}
	r.add(p.Check())
	if len(r.problems) > 0 {
		return nil, r.problems.sorted()
	}
	return p, nil
}

// parseTree returns nil for a file with nothing in it.
func parseTree(yamlBytes []byte) (*yaml.Node, error) {
	if len(yamlBytes) > maxFile {
		return nil, Problems{{Message: fmt.Sprintf("the file is larger than %d MiB", maxFile>>20)}}
	}
	decoder := yaml.NewDecoder(bytes.NewReader(yamlBytes))
	var document, second yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, syntaxProblem(err)
	}
	if err := decoder.Decode(&second); err == nil {
		return nil, Problems{{Line: second.Line, Message: "expected one YAML document, found a second one"}}
	} else if !errors.Is(err, io.EOF) {
		return nil, syntaxProblem(err)
	}
	if len(document.Content) == 0 || document.Content[0].Tag == "!!null" {
		return nil, nil
	}
	return document.Content[0], nil
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

func syntaxProblem(err error) error {
	line := 0
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		line, _ = strconv.Atoi(m[1])
	}
	return Problems{{Line: line, Message: "not YAML: " + yamlLine.ReplaceAllString(err.Error(), "")}}
}

// add gives problems of the whole plan their lines, and hides what came out of variables.
func (r *reader) add(found []Problem) {
	unreadable := slices.Clone(r.problems)
	for _, p := range found {
		if slices.ContainsFunc(unreadable, func(u Problem) bool { return related(u.Field, p.Field) }) {
			continue // it only follows from what could not be read
		}
		p.Got, p.Message = r.hide(p.Got), r.hide(p.Message)
		p.Line = r.lineOf(p.Field)
		r.problems = append(r.problems, p)
	}
}

// related reports whether one of two fields holds the other.
func related(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	rest, ok := strings.CutPrefix(b, a)
	return ok && a != "" && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// hide puts the text of the file back where the value of a variable would be shown.
func (r *reader) hide(s string) string {
	for value, text := range r.asIs {
		if s == value {
			return text
		}
		if len(value) > 3 {
			s = strings.ReplaceAll(s, value, text)
		}
	}
	return s
}

// lineOf finds the line of a field, or of the nearest object around it.
func (r *reader) lineOf(path string) int {
	for path != "" {
		if line, ok := r.lines[path]; ok {
			return line
		}
		cut := len(path) - 1
		for cut > 0 && path[cut] != '.' && path[cut] != '[' {
			cut--
		}
		path = path[:cut]
	}
	return 0
}
