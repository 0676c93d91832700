package simulate

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// WriteMarkdown writes the report as Markdown, with timelines drawn in letters.
func (r *Result) WriteMarkdown(w io.Writer) error {
	var s strings.Builder
	word := "Passed"
	if !r.Passed() {
		word = "Failed"
	}
	fmt.Fprintf(&s, "# %s\n\n%s, %.1f s\n", word, r.Began.Format("2006-01-02 15:04:05 MST"), r.Took.Seconds())
	if late := r.latest(); late > lateMS {
		fmt.Fprintf(&s, "\nThis machine was too busy: the callers' packets left up to %.0f ms late, and figures are off by as much.\n", late)
	}
	for _, suite := range r.Suites {
		fmt.Fprintf(&s, "\n## %s\n\n", plainCell(suite.Suite.Name))
		if suite.Failure != nil {
			fmt.Fprintf(&s, "**Limits of the suite:** expected %s; %s\n\n", suite.Failure.Expected, suite.Failure.Heard)
		}
		r.markdownTable(&s, suite)
		for _, o := range r.Outcomes {
			if o.Suite == suite.Suite {
				o.markdown(&s)
			}
		}
	}
	_, err := io.WriteString(w, s.String())
	return err
}

func (r *Result) markdownTable(s *strings.Builder, suite SuiteResult) {
	s.WriteString("| | scenario |")
	for _, c := range columns {
		fmt.Fprintf(s, " %s |", c.Value)
	}
	s.WriteString("\n|---|---|" + strings.Repeat("---:|", len(columns)) + "\n")
	line := func(f *Failure, name string, figures *Figures) {
		fmt.Fprintf(s, "| %s | %s |", verdict(f), plainCell(name))
		for _, c := range columns {
			fmt.Fprintf(s, " %s |", figures.word(c.Name))
		}
		s.WriteString("\n")
	}
	for _, o := range r.Outcomes {
		if o.Suite == suite.Suite {
			line(o.Failure, o.Name, &o.Figures)
		}
	}
	line(suite.Failure, "all", &suite.Figures)
}

func (o *Outcome) markdown(s *strings.Builder) {
	fmt.Fprintf(s, "\n### %s: %s\n\n", plainCell(o.Name), verdict(o.Failure))
	if o.Failure != nil {
		fmt.Fprintf(s, "**%s**: %s\n\n", o.Failure.Kind, o.Failure)
	}
	if o.Recording != "" {
		fmt.Fprintf(s, "Recording: `%s`\n\n", o.Recording)
	}
	if o.Answered {
		fmt.Fprintf(s, "```\n%s\n%s```\n", o.letters(), o.Story())
	}
}

// mostLetters bounds the width of a timeline.
const mostLetters = 100

// letters draws who spoke when.
func (o *Outcome) letters() string {
	per := 250 * time.Millisecond
	for o.Talk.Length/per > mostLetters {
		per *= 2
	}
	lane := func(spans []Span) string {
		b := []rune(strings.Repeat("·", int(o.Talk.Length/per)+1))
		for _, s := range spans {
			for i := max(0, int(s.From/per)); i <= int(s.To/per) && i < len(b); i++ {
				b[i] = '█'
			}
		}
		return string(b)
	}
	return fmt.Sprintf("caller %s\nagent  %s   (one sign: %s)\n", lane(o.Talk.Caller), lane(o.Talk.Agent), per)
}

// plainCell keeps a name from being Markdown.
func plainCell(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;", "*", `\*`, "_", `\_`, "`", "'").Replace(s)
}
