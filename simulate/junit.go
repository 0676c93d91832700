package simulate

import (
	"encoding/xml"
	"fmt"
	"io"
	"time"
)

// The XML that CI systems read: one testsuite per file, one testcase per scenario.

type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Name     string       `xml:"name,attr"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"`
	Time     string       `xml:"time,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name       string          `xml:"name,attr"`
	Tests      int             `xml:"tests,attr"`
	Failures   int             `xml:"failures,attr"`
	Errors     int             `xml:"errors,attr"`
	Time       string          `xml:"time,attr"`
	Timestamp  string          `xml:"timestamp,attr"`
	Properties []junitProperty `xml:"properties>property,omitempty"`
	Cases      []junitCase     `xml:"testcase"`
}

type junitProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	File    string        `xml:"file,attr,omitempty"`
	Line    int           `xml:"line,attr,omitempty"`
	Time    string        `xml:"time,attr"`
	Failure *junitFailure `xml:"failure,omitempty"`
	Error   *junitFailure `xml:"error,omitempty"` // ours or the machine's, not the agent's
	Out     string        `xml:"system-out,omitempty"`
}

type junitFailure struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",chardata"`
}

// WriteJUnit writes the result as JUnit XML. The limits of a suite are a testcase
// of their own.
func (r *Result) WriteJUnit(w io.Writer) error {
	all := junitSuites{Name: "roomline simulate", Time: seconds(r.Took)}
	for _, s := range r.Suites {
		suite := r.junitSuite(s)
		all.Tests, all.Failures, all.Errors = all.Tests+suite.Tests, all.Failures+suite.Failures, all.Errors+suite.Errors
		all.Suites = append(all.Suites, suite)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func (r *Result) junitSuite(s SuiteResult) junitSuite {
	suite := junitSuite{Name: s.Suite.Name, Timestamp: r.Began.UTC().Format("2006-01-02T15:04:05")}
	for _, row := range s.Figures.rows() {
		suite.Properties = append(suite.Properties, junitProperty(row))
	}
	var took time.Duration
	for _, o := range r.Outcomes {
		if o.Suite == s.Suite {
			took += o.Took
			suite.add(o.junitCase())
		}
	}
	if len(s.Suite.Limits) > 0 {
		c := junitCase{Name: "assert of the suite", Class: s.Suite.Name, File: s.Suite.File, Time: "0.000"}
		c.judge(s.Failure, "")
		suite.add(c)
	}
	suite.Time = seconds(took)
	return suite
}

func (s *junitSuite) add(c junitCase) {
	s.Cases = append(s.Cases, c)
	s.Tests++
	if c.Failure != nil {
		s.Failures++
	}
	if c.Error != nil {
		s.Errors++
	}
}

func (o *Outcome) junitCase() junitCase {
	c := junitCase{Name: o.Name, Class: o.Suite.Name, File: o.Suite.File, Line: o.Scenario.Line, Time: seconds(o.Took), Out: o.Story()}
	c.judge(o.Failure, o.Recording)
	return c
}

func (c *junitCase) judge(f *Failure, recording string) {
	if f == nil {
		return
	}
	text := f.Error()
	if recording != "" {
		text += "\nrecording: " + recording
	}
	failure := &junitFailure{Message: f.Error(), Type: string(f.Kind), Text: text}
	if f.Kind == KindTool || f.Kind == KindInterrupted {
		c.Error = failure
	} else {
		c.Failure = failure
	}
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }
