package simulate

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

func noEnv(string) string { return "" }

func TestTheSampleIsGood(t *testing.T) {
	s, err := Parse(Sample(), "sample.yaml", noEnv)
	if err != nil {
		t.Fatal(err)
	}
	if s.Name != "clinic" || len(s.Scenarios) != 4 || len(s.Limits) != 3 {
		t.Errorf("%+v", s)
	}
	ask := s.Scenarios[0]
	if ask.To != "sip:clinic@127.0.0.1:5060" || ask.Within != 5*time.Second || len(ask.Steps[3].Expect.Phrases) != 2 || ask.Steps[3].Expect.Within != 4*time.Second {
		t.Errorf("%+v", ask)
	}
	barge := s.Scenarios[2].Steps[0]
	if barge.Action != BargeIn || barge.Sound.Text != "opening hours" || barge.Yield != 700*ms || barge.Least != time.Second {
		t.Errorf("%+v", barge)
	}
}

func TestEveryStepIsRead(t *testing.T) {
	s, err := Parse([]byte(`
defaults: {within: 3s, headers: {X-Kind: test}}
scenarios:
  - name: all
    to: ${WHO}
    steps:
      - expect: hello
      - expect: {tone: 440, for: 1s}
      - expect: {beep: true, within: 9s}
      - expect: {digits: "12#"}
      - say: {text: bye, voice: flite:rms, aside: true}
      - wav: a.wav
      - tone: {hz: 700, for: 200ms}
      - digits: 12,3
      - wait: {from: 1s, to: 2s}
      - hold: 2s
      - barge_in: {wav: b.wav}
      - assert: {latency_p95: 1500ms, unanswered: 0, mos: 3.9, overlap_max: 0}
      - hangup
  - steps: [{expect: {refused: 486}}]
`), "dir/x.yaml", func(string) string { return "sip:a@b" })
	if err != nil {
		t.Fatal(err)
	}
	c := s.Scenarios[0]
	actions := make([]Action, len(c.Steps))
	for i, step := range c.Steps {
		actions[i] = step.Action
	}
	want := []Action{Await, Await, Await, Await, Say, WAV, Tone, Digits, Wait, Hold, BargeIn, Assert, Hangup}
	if !slices.Equal(actions, want) {
		t.Errorf("actions %v", actions)
	}
	if c.To != "sip:a@b" || c.Steps[5].Sound.File != "dir/a.wav" || c.Steps[7].Keys != "12,3" || !c.Steps[4].Aside || c.Headers["X-Kind"] != "test" {
		t.Errorf("%+v", c)
	}
	if s.Name != "x" || s.Scenarios[1].Name != "scenario 2" || s.Scenarios[1].Steps[0].Expect.Cause != "486" {
		t.Errorf("%+v", s)
	}
	if got := c.Steps[1].String(); got != "expect: {tone: 440, for: 1s}" {
		t.Error(got)
	}
}

func TestWhatMakesNoSenseIsRefusedWithItsLine(t *testing.T) {
	step := func(s string) string { return "scenarios:\n  - steps:\n      - " + s + "\n" }
	for text, want := range map[string]string{
		"":                                                 "no scenarios",
		"scenarios: []":                                    "at least one scenario",
		"scenario: []":                                     "line 1: scenario: unknown key: did you mean scenarios?",
		step("sai: hello"):                                 "line 3: scenarios[0].steps[0].sai: unknown key: did you mean say?",
		step("{say: a, wait: 2s}"):                         "line 3: scenarios[0].steps[0]: expected one thing to do per step",
		step("wait: 5"):                                    "expected a time with its unit",
		step("wait: 5h"):                                   "up to 1h0m0s",
		step("expect: {tone: 9000}"):                       "expected a number from 50 to 3800",
		step("expect: {tone: 440, beep: true}"):            "expected one event",
		step("expect: {silence: 2s, for: 1s}"):             "only a tone lasts",
		step("digits: 12x"):                                `found 'x'`,
		step("digits: *"):                                  "line 3",
		step("barge_in: {after: 1s}"):                      "expected one of say, wav and digits",
		step("barge_in: {say: a, digits: 1}"):              "expected one of say, wav and digits",
		step("assert: {latency: 1s}"):                      "unknown key",
		step("assert: {}"):                                 "expected at least one of",
		step("assert: {mos: 9}"):                           "from 1 to 4.5",
		step("expect: {refused: never}"):                   "expected a SIP code",
		step("hangup") + "      - say: x":                  "line 4: scenarios[0].steps[1]: the call is over",
		step("say: x") + "      - expect: {refused: busy}": "in the first step only",
		step("say: ${NOBODY}"):                             "NOBODY is not set",
		step("say: &a hello"):                              "anchors",
		"scenarios:\n  - {name: a, steps: [hangup]}\n  - {name: a, steps: [hangup]}": `line 3: scenarios[1].name: two scenarios are called "a"`,
		"defaults: {headers: {Subject: a}}\nscenarios: [{steps: [hangup]}]":          "begins with X-",
		"defaults: {within: 0s}\nscenarios: [{steps: [hangup]}]":                     "above 0",
		"scenarios:\n  - {name: a}":                                                  "expected steps",
	} {
		_, err := Parse([]byte(text), "x.yaml", noEnv)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\ngot  %v\nwant %s", text, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(Sample())
	f.Add([]byte("scenarios:\n  - steps:\n      - expect: {any: [a, b], within: 2s}\n      - hangup\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := Parse(text, "x.yaml", noEnv)
		if (s == nil) == (err == nil) {
			t.Fatalf("suite %v, error %v", s, err)
		}
		if err != nil && err.Error() == "" {
			t.Fatal("an error without words")
		}
	})
}

// The format is a contract: what the documentation and the example show is read.
func TestTheDocumentedSuiteAndTheExamplesAreGood(t *testing.T) {
	doc, err := os.ReadFile("../docs/simulate.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(doc), "```yaml\n")
	text, _, _ := strings.Cut(rest, "```")
	if s, err := Parse([]byte(text), "docs", noEnv); err != nil || len(s.Scenarios[0].Steps) != 8 {
		t.Errorf("%+v, %v", s, err)
	}
	for _, name := range FigureNames() {
		if base, _, _ := strings.Cut(name, "_p9"); !strings.Contains(string(doc), "`"+base) && !strings.HasPrefix(name, "latency") {
			t.Errorf("docs/simulate.md does not tell of %s", name)
		}
	}
	example, err := os.ReadFile("../examples/ivr/suite.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if s, err := Parse(example, "suite.yaml", noEnv); err != nil || len(s.Scenarios) < 10 {
		t.Errorf("%v", err)
	}
}
