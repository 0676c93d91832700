package simulate

import (
	"time"

	"github.com/roomline/roomline/phone"
)

// Outcome is how one scenario went.
type Outcome struct {
	Suite     *Suite
	Scenario  *Scenario
	Name      string // with its number, where scenarios are repeated
	Failure   *Failure
	Began     time.Time
	Took      time.Duration
	Answered  bool
	Figures   Figures
	Talk      Talk
	Notes     []Note
	Report    phone.Report
	Recording string // file, empty for none
}

// Passed reports whether everything was as expected.
func (o *Outcome) Passed() bool { return o.Failure == nil }

// Result is how all suites went.
type Result struct {
	Began    time.Time
	Took     time.Duration
	Outcomes []*Outcome // suite by suite, in the order of the files
	Suites   []SuiteResult
}

// SuiteResult is a suite as a whole.
type SuiteResult struct {
	Suite   *Suite
	Figures Figures
	Failure *Failure // its limits, nil if they are kept
}

// Passed reports whether all scenarios passed and all limits are kept.
func (r *Result) Passed() bool {
	for _, o := range r.Outcomes {
		if !o.Passed() {
			return false
		}
	}
	for _, s := range r.Suites {
		if s.Failure != nil {
			return false
		}
	}
	return true
}

// sum makes the figures of whole suites.
func (r *Result) sum(suites []*Suite) {
	for _, s := range suites {
		sr := SuiteResult{Suite: s}
		for _, o := range r.Outcomes {
			if o.Suite == s {
				sr.Figures.add(o.Figures)
			}
		}
		sr.Failure = brokenLimits(s.Limits, &sr.Figures, -1, 0, "assert of the suite", 0)
		r.Suites = append(r.Suites, sr)
	}
}
