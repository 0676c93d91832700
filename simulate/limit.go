package simulate

import (
	"fmt"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// limits reads an object of figures and bounds.
func (r *suiteReader) limits(into *[]Limit) field {
	return func(n *yaml.Node, path string) {
		fields := fields{}
		for name, figure := range measured {
			fields[name] = func(n *yaml.Node, path string) {
				l := Limit{Line: n.Line, Figure: name}
				r.bound(figure.unit, &l.Bound)(n, path)
				*into = append(*into, l)
			}
		}
		if present := r.object(n, path, fields); len(present) == 0 && n.Kind == yaml.MappingNode && len(n.Content) == 0 {
			r.wrong(n, path, "expected at least one of %s", keysOf(fields))
		}
	}
}

func (r *suiteReader) bound(u unit, into *float64) field {
	switch u {
	case aTime:
		return func(n *yaml.Node, path string) {
			var d time.Duration
			if n.Value != "0" {
				r.length(&d)(n, path)
			}
			*into = inMS(d)
		}
	case aPercent:
		return r.number(into, 0, 100)
	case aScore:
		return r.number(into, 1, 4.5)
	}
	return r.number(into, 0, 1e6)
}

// broken says what is wrong with the figures; empty when nothing is. A figure that
// could not be measured keeps every bound but one on the greeting or the MOS, which
// are there whenever anything was heard.
func (l Limit) broken(f *Figures) (expected, got string) {
	figure := measured[l.Figure]
	value, there := figure.of(f)
	expected = fmt.Sprintf("%s of at most %s", l.Figure, figure.unit.words(l.Bound))
	if figure.least {
		expected = fmt.Sprintf("%s of at least %s", l.Figure, figure.unit.words(l.Bound))
	}
	switch {
	case !there && (l.Figure == "greeting" || figure.least):
		return expected, "nothing was heard"
	case !there:
		return "", ""
	case figure.least && value < l.Bound, !figure.least && value > l.Bound:
		return expected, figure.unit.words(value)
	}
	return "", ""
}

// words tells a value with its unit.
func (u unit) words(v float64) string {
	switch u {
	case aTime:
		return fmt.Sprintf("%.0f ms", v)
	case aPercent:
		return fmt.Sprintf("%.2f %%", v)
	case aScore:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

// breaks lists the limits that figures do not keep.
func breaks(limits []Limit, f *Figures) (expected, got string) {
	var wanted, had []string
	for _, l := range limits {
		if e, g := l.broken(f); e != "" {
			wanted, had = append(wanted, e), append(had, l.Figure+" "+g)
		}
	}
	return strings.Join(wanted, ", "), strings.Join(had, ", ")
}
