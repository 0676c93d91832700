package simulate

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"path/filepath"
	"strings"
	"time"
)

//go:embed report.html
var page string

var pageTemplate = template.Must(template.New("report").Parse(page))

// pageScenario is a scenario on the page.
type pageScenario struct {
	*Outcome
	Drawing template.HTML
	Wave    string // where the recording is, seen from the page
	Rows    []row
}

type pageSuite struct {
	SuiteResult
	Rows      []row
	Scenarios []pageScenario
	Passed    int
}

// WriteHTML writes a page that stands for itself, with a drawing of who spoke when.
// folder is where the page will lie: recordings are named from there.
func (r *Result) WriteHTML(w io.Writer, folder string) error {
	var suites []pageSuite
	for _, s := range r.Suites {
		p := pageSuite{SuiteResult: s, Rows: s.Figures.rows()}
		for _, o := range r.Outcomes {
			if o.Suite != s.Suite {
				continue
			}
			if o.Passed() {
				p.Passed++
			}
			p.Scenarios = append(p.Scenarios, pageScenario{o, template.HTML(o.draw()), fromFolder(folder, o.Recording), o.Figures.rows()})
		}
		suites = append(suites, p)
	}
	return pageTemplate.Execute(w, map[string]any{
		"Passed": r.Passed(), "Began": r.Began.Format("2006-01-02 15:04:05 MST"), "Took": fmt.Sprintf("%.1f s", r.Took.Seconds()),
		"Suites": suites, "Late": r.latest(), "Busy": r.latest() > lateMS,
	})
}

func fromFolder(folder, file string) string {
	if file == "" {
		return ""
	}
	from, err := filepath.Abs(folder)
	to, err2 := filepath.Abs(file)
	if err != nil || err2 != nil {
		return file
	}
	if rel, err := filepath.Rel(from, to); err == nil {
		return filepath.ToSlash(rel)
	}
	return file
}

// Sizes of a drawing.
const (
	perSecond   = 60   // pixels
	drawnMargin = 60   // left, for names
	laneHeight  = 22   // of who speaks
	mostWidth   = 6000 // of long calls
)

// draw is a timeline as SVG: caller above, agent below, steps as marks. All text
// in it is made of numbers or escaped.
func (o *Outcome) draw() string {
	if !o.Answered {
		return ""
	}
	end := o.Talk.Length
	scale := min(perSecond, (mostWidth-drawnMargin)/max(1, end.Seconds()))
	x := func(d time.Duration) float64 { return drawnMargin + max(0, d.Seconds())*scale }
	var s strings.Builder
	width, height := x(end)+20, 3*laneHeight+34
	fmt.Fprintf(&s, `<svg viewBox="0 0 %.0f %d" width="%.0f" height="%d" role="img" aria-label="who spoke when">`, width, height, width, height)
	for sec := 0; float64(sec) <= end.Seconds(); sec += max(1, int(perSecond/scale)) {
		at := x(time.Duration(sec) * time.Second)
		fmt.Fprintf(&s, `<line class="grid" x1="%.1f" x2="%.1f" y1="14" y2="%d"/><text class="second" x="%.1f" y="10">%d s</text>`, at, at, height-16, at, sec)
	}
	lane := func(n int, class, name string, spans []Span) {
		y := 18 + n*laneHeight
		fmt.Fprintf(&s, `<text x="0" y="%d">%s</text>`, y+14, name)
		for _, span := range spans {
			fmt.Fprintf(&s, `<rect class="%s" x="%.1f" width="%.1f" y="%d" height="%d"><title>%s %.2f–%.2f s</title></rect>`,
				class, x(span.From), max(1, x(span.To)-x(span.From)), y, laneHeight-4, name, span.From.Seconds(), span.To.Seconds())
		}
	}
	lane(0, "caller", "caller", o.Talk.Caller)
	lane(1, "agent", "agent", o.Talk.Agent)
	for _, reaction := range o.Talk.reactions() {
		if reaction.Keys {
			fmt.Fprintf(&s, `<rect class="keys" x="%.1f" width="%.1f" y="20" height="%d"><title>keys at %.2f s</title></rect>`,
				x(reaction.From), max(3, x(reaction.To)-x(reaction.From)), laneHeight-8, reaction.From.Seconds())
		}
		if reaction.Answered && !reaction.Blurred {
			fmt.Fprintf(&s, `<line class="latency" x1="%.1f" x2="%.1f" y1="%d" y2="%d"><title>answered after %d ms</title></line>`,
				x(reaction.To), x(reaction.To+reaction.Latency), 18+laneHeight-2, 18+laneHeight-2, reaction.Latency.Milliseconds())
		}
	}
	o.drawSteps(&s, x)
	s.WriteString("</svg>")
	return s.String()
}

// drawSteps marks when each step began, and where the call failed.
func (o *Outcome) drawSteps(s *strings.Builder, x func(time.Duration) float64) {
	y := 18 + 2*laneHeight
	n := 0
	for _, note := range o.Notes {
		if note.Who != "step" {
			continue
		}
		n++
		fmt.Fprintf(s, `<g class="step"><circle cx="%.1f" cy="%d" r="7"/><text x="%.1f" y="%d">%d</text><title>%s</title></g>`,
			x(note.At), y+10, x(note.At), y+13, n, template.HTMLEscapeString(note.Text))
	}
	if o.Failure != nil {
		at := x(o.Failure.At)
		fmt.Fprintf(s, `<line class="failure" x1="%.1f" x2="%.1f" y1="14" y2="%d"><title>failed here</title></line>`, at, at, y+18)
	}
}
