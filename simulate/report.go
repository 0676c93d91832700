package simulate

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// row is a figure in words.
type row struct{ Name, Value string }

// shown are the figures that reports show, in their order.
var shown = []string{"setup", "greeting", "latency_p50", "latency_p95", "latency_p99", "key_latency", "yield", "unanswered",
	"overlap", "overlap_max", "silence_max", "loss", "jitter", "mos"}

// rows are the figures that were measured, in words.
func (f *Figures) rows() (list []row) {
	for _, name := range shown {
		if value := f.word(name); value != "" {
			list = append(list, row{name, value})
		}
	}
	return list
}

// word is one figure in words, empty when there is nothing to measure.
func (f *Figures) word(name string) string {
	figure := measured[name]
	value, ok := figure.of(f)
	if !ok {
		return ""
	}
	return figure.unit.words(value)
}

// Line tells how it went in one line.
func (o *Outcome) Line() string {
	if o.Passed() {
		return fmt.Sprintf("ok    %s (%.1f s)", o.Name, o.Took.Seconds())
	}
	return fmt.Sprintf("FAIL  %s (%.1f s): %v", o.Name, o.Took.Seconds(), o.Failure)
}

// Story tells what happened on a call, a line per event.
func (o *Outcome) Story() string {
	var s strings.Builder
	for _, n := range o.Notes {
		fmt.Fprintf(&s, "%7.2f s  %-6s %s\n", n.At.Seconds(), n.Who, n.Text)
	}
	return s.String()
}

// columns of the table on the terminal.
var columns = []row{
	{"greeting", "greeting"}, {"latency_p50", "latency p50"}, {"latency_p95", "p95"}, {"yield", "yield"},
	{"unanswered", "unanswered"}, {"overlap_max", "overlap"}, {"silence_max", "silence"}, {"loss", "loss"}, {"mos", "MOS"},
}

// WriteText writes a table for people, and what failed and why.
func (r *Result) WriteText(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "\t")
	for _, c := range columns {
		fmt.Fprint(t, "\t", c.Value)
	}
	fmt.Fprintln(t)
	for _, s := range r.Suites {
		for _, o := range r.Outcomes {
			if o.Suite == s.Suite {
				line(t, verdict(o.Failure), o.Name, &o.Figures)
			}
		}
		line(t, verdict(s.Failure), "all of "+s.Suite.Name, &s.Figures)
	}
	t.Flush()
	passed := 0
	for _, o := range r.Outcomes {
		if o.Passed() {
			passed++
		} else {
			fmt.Fprintf(w, "\nFAIL %s (%s): %v\n", o.Name, o.Failure.Kind, o.Failure)
			if o.Recording != "" {
				fmt.Fprintf(w, "     recording: %s\n", o.Recording)
			}
		}
	}
	for _, s := range r.Suites {
		if s.Failure != nil {
			fmt.Fprintf(w, "\nFAIL suite %s: expected %s; %s\n", s.Suite.Name, s.Failure.Expected, s.Failure.Heard)
		}
	}
	fmt.Fprintf(w, "\n%d of %d scenarios passed in %.1f s\n", passed, len(r.Outcomes), r.Took.Seconds())
	if late := r.latest(); late > lateMS {
		fmt.Fprintf(w, "this machine was too busy: the callers' packets left up to %.0f ms late, and figures are off by as much\n", late)
	}
}

// lateMS is how late a caller's packet may leave before the report says so.
const lateMS = 40

// latest is by how much a caller's packets were late at worst, in ms.
func (r *Result) latest() (ms float64) {
	for _, o := range r.Outcomes {
		ms = max(ms, o.Report.LateMS)
	}
	return ms
}

func line(w io.Writer, verdict, name string, f *Figures) {
	fmt.Fprintf(w, "%s\t%s", verdict, name)
	for _, c := range columns {
		value := f.word(c.Name)
		if value == "" {
			value = "-"
		}
		fmt.Fprint(w, "\t", value)
	}
	fmt.Fprintln(w)
}

func verdict(f *Failure) string {
	if f == nil {
		return "ok"
	}
	return "FAIL"
}
