package dialplan

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Change is one difference between two plans, in words, secrets masked.
type Change struct {
	Kind    string   `json:"kind" yaml:"kind"`     // added | changed | removed
	Object  string   `json:"object" yaml:"object"` // trunk | number | route | holidays | agent | queue
	Name    string   `json:"name" yaml:"name"`
	Details []string `json:"details,omitempty" yaml:"details,omitempty"` // field: old → new
}

// String is one line, and one more for each detail.
func (c Change) String() string {
	mark := map[string]string{"added": "+", "changed": "~", "removed": "-"}[c.Kind]
	s := mark + " " + c.Object + " " + c.Name
	for _, d := range c.Details {
		s += "\n    " + d
	}
	return s
}

// Diff lists what turns old into new. Either may be nil, which means empty. A
// secret that is [Mask] on one side counts as unchanged, for nobody can tell.
func Diff(old, new *Plan) []Change {
	if old == nil {
		old = &Plan{}
	}
	if new == nil {
		new = &Plan{}
	}
	changes := diff("trunk", old.Trunks, new.Trunks, func(t Trunk) string { return t.Name })
	changes = append(changes, diff("number", old.Numbers, new.Numbers, func(n Number) string { return n.Number })...)
	routes := diff("route", old.Routes, new.Routes, func(r Route) string { return r.Name })
	changes = append(changes, withMoves(routes, moved(old.Routes, new.Routes))...)
	changes = append(changes, diff("holidays", old.Holidays, new.Holidays, func(h Holiday) string { return h.Name })...)
	changes = append(changes, diff("agent", old.Agents, new.Agents, func(a Agent) string { return a.Name })...)
	return append(changes, diff("queue", old.Queues, new.Queues, func(q Queue) string { return q.Name })...)
}

func diff[T any](object string, old, new []T, name func(T) string) []Change {
	before, after := map[string]T{}, map[string]bool{}
	for _, o := range old {
		before[name(o)] = o
	}
	var changes []Change
	for _, n := range new {
		after[name(n)] = true
		o, ok := before[name(n)]
		if !ok {
			changes = append(changes, Change{Kind: "added", Object: object, Name: name(n), Details: details(map[string]string{}, flatten(n))})
		} else if d := details(flatten(o), flatten(n)); len(d) > 0 {
			changes = append(changes, Change{Kind: "changed", Object: object, Name: name(n), Details: d})
		}
	}
	for _, o := range old {
		if !after[name(o)] {
			changes = append(changes, Change{Kind: "removed", Object: object, Name: name(o)})
		}
	}
	return changes
}

// isSecret reports whether a field, by its path, is one that is never shown.
func isSecret(field string) bool {
	switch field {
	case "outbound.password", "inbound.password", "pin", "key", "fallback.pin":
		return true
	}
	return strings.HasSuffix(field, "else.pin")
}

// details compares two objects field by field.
func details(old, new map[string]string) []string {
	all := maps.Clone(old)
	maps.Copy(all, new)
	var lines []string
	for _, field := range slices.Sorted(maps.Keys(all)) {
		o, n := old[field], new[field]
		secret := isSecret(field)
		switch {
		case o == n || field == "name" || secret && (o == `"`+Mask+`"` || n == `"`+Mask+`"`):
		case secret:
			lines = append(lines, field+": changes (not shown)")
		case o == "":
			lines = append(lines, fmt.Sprintf("%s: %s", field, n))
		case n == "":
			lines = append(lines, fmt.Sprintf("%s: %s → nothing", field, o))
		default:
			lines = append(lines, fmt.Sprintf("%s: %s → %s", field, o, n))
		}
	}
	return lines
}

// flatten gives every field that is set, in JSON, by its path.
func flatten(v any) map[string]string {
	b, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	fields := map[string]string{}
	flattenInto(fields, "", b)
	return fields
}

func flattenInto(fields map[string]string, path string, b json.RawMessage) {
	var object map[string]json.RawMessage
	if json.Unmarshal(b, &object) != nil || object == nil {
		fields[path] = string(b)
		return
	}
	for key, value := range object {
		flattenInto(fields, strings.TrimPrefix(path+"."+key, "."), value)
	}
}

// moved names the routes that change their place among those that stay: the
// fewest that explain the new order.
func moved(old, new []Route) []string {
	place := map[string]int{}
	for i, r := range old {
		place[r.Name] = i
	}
	var stay []Route
	for _, r := range new {
		if _, ok := place[r.Name]; ok {
			stay = append(stay, r)
		}
	}
	length, previous, last := make([]int, len(stay)), make([]int, len(stay)), -1
	for i := range stay { // the longest run in the old order keeps its place
		previous[i] = -1
		for j := range i {
			if place[stay[j].Name] < place[stay[i].Name] && length[j] >= length[i] {
				length[i], previous[i] = length[j]+1, j
			}
		}
		if last < 0 || length[i] > length[last] {
			last = i
		}
	}
	kept := map[int]bool{}
	for ; last >= 0; last = previous[last] {
		kept[last] = true
	}
	var names []string
	for i, r := range stay {
		if !kept[i] {
			names = append(names, r.Name)
		}
	}
	return names
}

func withMoves(changes []Change, names []string) []Change {
	for _, name := range names {
		const words = "order: it is tried at another place"
		i := slices.IndexFunc(changes, func(c Change) bool { return c.Kind == "changed" && c.Name == name })
		if i < 0 {
			changes = append(changes, Change{Kind: "changed", Object: "route", Name: name, Details: []string{words}})
		} else {
			changes[i].Details = append(changes[i].Details, words)
		}
	}
	return changes
}
