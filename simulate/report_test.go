package simulate

import (
	"bytes"
	"encoding/xml"
	"strings"
	"testing"
	"time"
)

// results are one scenario that passed and one that failed, with names that no
// format takes as they are.
func results() *Result {
	s := &Suite{File: "clinic.yaml", Name: "clinic", Limits: []Limit{{Figure: "latency_p95", Bound: 500}}}
	talk := Talk{Caller: []Span{{2 * time.Second, 3 * time.Second}}, Agent: []Span{{0, time.Second}, {3700 * ms, 5 * time.Second}},
		Turns: []Turn{turn(2*time.Second, 3*time.Second)}, Length: 6 * time.Second}
	f := Figures{Calls: 1, Latencies: []time.Duration{700 * ms}, Turns: 1, MOS: 4.3}
	r := &Result{Began: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Took: 12 * time.Second, Outcomes: []*Outcome{
		{Suite: s, Scenario: &Scenario{Line: 7}, Name: "good", Answered: true, Talk: talk, Figures: f, Took: 6 * time.Second},
		{Suite: s, Scenario: &Scenario{Line: 12}, Name: `<b>"bad" & | ugly</b>`, Answered: true, Talk: talk, Figures: f, Took: 6 * time.Second,
			Recording: "calls/bad.wav", Notes: []Note{{0, "step", `expect: "<hello>"`}, {time.Second, "agent", "pardon"}},
			Failure: &Failure{Kind: KindExpectation, Step: 0, Line: 14, Doing: `expect: "<hello>"`, Expected: `to hear "<hello>"`, Heard: `heard "pardon" at 1.00 s`, At: 5 * time.Second}},
	}}
	r.sum([]*Suite{s})
	return r
}

func TestJUnitSaysStepExpectedHeardAndWhen(t *testing.T) {
	var b bytes.Buffer
	if err := results().WriteJUnit(&b); err != nil {
		t.Fatal(err)
	}
	var got junitSuites
	if err := xml.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	s := got.Suites[0]
	if got.Tests != 3 || got.Failures != 2 || len(s.Cases) != 3 || s.Cases[0].Failure != nil || s.Cases[2].Failure == nil {
		t.Fatalf("%s", b.String())
	}
	bad := s.Cases[1]
	if bad.Name != `<b>"bad" & | ugly</b>` || bad.Failure.Type != "expectation" || bad.Line != 12 {
		t.Errorf("%+v", bad)
	}
	for _, want := range []string{"step 1 (line 14)", `expected to hear "<hello>"`, `heard "pardon"`, "at 5.00 s", "calls/bad.wav"} {
		if !strings.Contains(bad.Failure.Text, want) {
			t.Errorf("%s: does not say %q", bad.Failure.Text, want)
		}
	}
}

func TestReportsTellTheSame(t *testing.T) {
	r := results()
	for name, tt := range map[string]struct {
		write func(*bytes.Buffer) error
		wants []string
	}{
		"text":     {func(b *bytes.Buffer) error { r.WriteText(b); return nil }, []string{"1 of 2 scenarios passed", "700 ms", "recording: calls/bad.wav", "FAIL suite clinic", "latency_p95 of at most 500 ms"}},
		"markdown": {func(b *bytes.Buffer) error { return r.WriteMarkdown(b) }, []string{"# Failed", `&lt;b>"bad" & \| ugly`, "caller ········█████", "700 ms"}},
		"html": {func(b *bytes.Buffer) error { return r.WriteHTML(b, "calls/..") }, []string{"<svg", `class="latency" x1="240.0" x2="282.0"`, "&lt;b&gt;", `src="calls/bad.wav"`,
			"expect: &#34;&lt;hello&gt;&#34;", "answered after 700 ms"}},
	} {
		var b bytes.Buffer
		if err := tt.write(&b); err != nil {
			t.Fatal(err)
		}
		for _, want := range tt.wants {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%s: lacks %q:\n%s", name, want, b.String())
			}
		}
		if name == "html" && strings.Contains(b.String(), "<b>\"bad") {
			t.Error("html: a name is not escaped")
		}
	}
}
