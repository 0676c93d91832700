package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
)

// clinic is the example agent, built once for a test.
type clinic struct {
	t       *testing.T
	program string
}

func buildClinic(t *testing.T) clinic {
	t.Helper()
	for _, name := range []string{"espeak-ng", "flite", "sox", "pocketsphinx_batch"} {
		tool(t, name)
	}
	c := clinic{t, filepath.Join(t.TempDir(), "ivr")}
	if out, err := exec.Command("go", "build", "-o", c.program, "../../examples/ivr").CombinedOutput(); err != nil {
		t.Fatalf("build the example agent: %v\n%s", err, out)
	}
	return c
}

var readyOn = regexp.MustCompile(`ready on (ws://\S+)`)

// start starts an agent, broken on purpose if fault is not empty, and returns
// where the gateway finds it.
func (c clinic) start(fault string) func() string {
	p := startCommand(c.t, exec.Command(c.program, "--listen", "127.0.0.1:0", "--break", fault))
	return func() (url string) {
		eventually(c.t, "the example agent is ready", 60*time.Second, func() bool {
			if m := readyOn.FindStringSubmatch(p.out.all()); m != nil {
				url = m[1]
			}
			return url != ""
		})
		return url
	}
}

// junitReport is what CI systems read.
type junitReport struct {
	Tests    int `xml:"tests,attr"`
	Failures int `xml:"failures,attr"`
	Errors   int `xml:"errors,attr"`
	Suites   []struct {
		Cases []struct {
			Name    string `xml:"name,attr"`
			Failure *struct {
				Type string `xml:"type,attr"`
				Text string `xml:",chardata"`
			} `xml:"failure"`
		} `xml:"testcase"`
	} `xml:"testsuite"`
}

// runSimulate runs roomline simulate as people do, and returns its exit status,
// what it printed, and its JUnit report, if it wrote one.
func runSimulate(t *testing.T, args ...string) (status int, out string, report junitReport) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "junit.xml")
	c := exec.Command(os.Args[0], append([]string{"simulate", "--junit", file, "--failures", t.TempDir()}, args...)...)
	c.Env = append(os.Environ(), asCommand+"=1")
	var b bytes.Buffer
	c.Stdout, c.Stderr = &b, &b
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(file); err == nil {
		if err := xml.Unmarshal(text, &report); err != nil {
			t.Fatal(err)
		}
	}
	return c.ProcessState.ExitCode(), b.String(), report
}

const clinicSuite = "../../examples/ivr/suite.yaml"

func TestTheExampleAgentPassesItsSuite(t *testing.T) {
	agent := buildClinic(t).start("")
	h := startHouse(t, fmt.Sprintf("agents:\n  - {name: ivr, url: %q}\nroutes:\n  - {name: clinic, to: clinic, agent: ivr}\n", agent()))
	html := filepath.Join(t.TempDir(), "report.html")
	status, out, report := runSimulate(t, clinicSuite, "--to", fmt.Sprintf("sip:clinic@%s", h.ua.Addr()), "--parallel", "5", "--report", html, "-v")
	if status != 0 || report.Failures+report.Errors != 0 || report.Tests < 11 {
		t.Fatalf("exit status %d, %d of %d failed:\n%s", status, report.Failures, report.Tests, out)
	}
	if page, err := os.ReadFile(html); err != nil || bytes.Count(page, []byte("<svg")) < 10 {
		t.Errorf("the report has %d drawings, %v", bytes.Count(page, []byte("<svg")), err)
	}
	t.Log(out)
}

// broken are the ways in which the agent is spoilt, a scenario that must find it,
// and what it must say.
var broken = []struct{ fault, scenario, kind, words string }{
	{"silent", "the greeting tells what to say", "expectation", "Welcome to the clinic"},
	{"slow", "the greeting tells what to say", "expectation", "Welcome to the clinic"},
	{"deaf", "opening hours by voice", "limit", "they spoke on for"},
	{"deaf", "a key ends the call", "expectation", "Thank you for calling"},
	{"wrong", "opening hours by key", "expectation", `"On which day?`},
	{"no-yield", "opening hours by voice", "limit", "they spoke on for"},
	{"crash", "a key ends the call", "expectation", "Thank you for calling"},
}

func TestABrokenAgentFailsTheSuiteInTheRightPlace(t *testing.T) {
	c := buildClinic(t)
	ready := map[string]func() string{}
	for _, b := range broken {
		if ready[b.fault] == nil {
			ready[b.fault] = c.start(b.fault)
		}
	}
	var plan strings.Builder
	plan.WriteString("agents:\n")
	for fault, url := range ready {
		fmt.Fprintf(&plan, "  - {name: %s, url: %q}\n", fault, url())
	}
	plan.WriteString("routes:\n")
	for fault := range ready {
		fmt.Fprintf(&plan, "  - {name: %s, to: %s, agent: %s}\n", fault, fault, fault)
	}
	h := startHouse(t, plan.String())
	var running sync.WaitGroup
	for _, b := range broken {
		running.Go(func() {
			status, out, report := runSimulate(t, clinicSuite, "--only", b.scenario, "--to", fmt.Sprintf("sip:%s@%s", b.fault, h.ua.Addr()))
			if status != 1 || len(report.Suites) != 1 || report.Suites[0].Cases[0].Failure == nil {
				t.Errorf("%s: exit status %d:\n%s", b.fault, status, out)
				return
			}
			if f := report.Suites[0].Cases[0].Failure; f.Type != b.kind || !strings.Contains(f.Text, b.words) {
				t.Errorf("%s: %q failed as %s, want %s with %q:\n%s", b.fault, b.scenario, f.Type, b.kind, b.words, f.Text)
			} else {
				t.Logf("%s: %s", b.fault, f.Text)
			}
		})
	}
	running.Wait()
}

func TestCtrlCHangsUpAndStillReports(t *testing.T) {
	h := startHouse(t, "")
	dir := t.TempDir()
	suite, junit := filepath.Join(dir, "wait.yaml"), filepath.Join(dir, "junit.xml")
	if err := os.WriteFile(suite, []byte("scenarios: [{name: waits, steps: [wait: 5m], timeout: 10m}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(os.Args[0], "simulate", suite, "--to", fmt.Sprintf("sip:lobby@%s", h.ua.Addr()), "--junit", junit, "--failures", dir)
	c.Env = append(os.Environ(), asCommand+"=1")
	p := startCommand(t, c)
	h.until("the call is up", func() bool { return len(h.exchange.Calls()) == 1 })
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the command ends", 15*time.Second, func() bool {
		select {
		case <-p.done:
			return true
		default:
			return false
		}
	})
	text, err := os.ReadFile(junit)
	if err != nil || c.ProcessState.ExitCode() != 1 || !bytes.Contains(text, []byte(`type="interrupted"`)) {
		t.Errorf("exit status %d, %v:\n%s\n%s", c.ProcessState.ExitCode(), err, text, p.out.all())
	}
	if cdr := h.cdrs(1)[0]; cdr.Cause != bridge.CauseNormal && cdr.Cause != bridge.CauseCanceled {
		t.Errorf("the call ended as %s", cdr.Cause)
	}
}

func TestSimulateRefusesWhatMakesNoSense(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(bad, []byte("scenarios:\n  - steps:\n      - sya: hello\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	sample := filepath.Join(t.TempDir(), "sample.yaml")
	for _, tt := range []struct {
		args   []string
		status int
		words  string
	}{
		{nil, 2, "there is no suite"},
		{[]string{"nowhere.yaml"}, 2, "nowhere.yaml"},
		{[]string{bad}, 2, "line 3: scenarios[0].steps[0].sya: unknown key: did you mean say?"},
		{[]string{"--init", sample}, 0, "written to"},
		{[]string{"--init", sample}, 1, "exists"},
		{[]string{sample, "--report", "x.pdf"}, 2, "ends in .html or .md"},
		{[]string{sample, "--only", "nothing"}, 2, "no scenario has nothing in its name"},
		{[]string{sample, "--parallel", "0"}, 2, "--parallel takes"},
	} {
		if status, out, _ := runSimulate(t, tt.args...); status != tt.status || !strings.Contains(out, tt.words) {
			t.Errorf("%v: exit status %d, want %d with %q:\n%s", tt.args, status, tt.status, tt.words, out)
		}
	}
}
