package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/roomline/roomline/bridge"
)

// The tests of this folder run the whole gateway in their own process, so that
// the race detector sees it, and speak to it with real clients.

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main() // a test runs this binary as roomline, somewhere else
	}
	if settings := os.Getenv(asAgent); settings != "" {
		beAgent(settings)
	}
	goleak.VerifyTestMain(m,
		goleak.IgnoreTopFunction("net/http.(*persistConn).writeLoop"), goleak.IgnoreTopFunction("net/http.(*persistConn).readLoop"),
		goleak.IgnoreTopFunction("internal/poll.runtime_pollWait"))
}

// asCommand is the environment variable that makes the test binary be roomline.
const asCommand = "ROOMLINE_TEST_AS_COMMAND"

// house is a gateway under test.
type house struct {
	*gateway
	t    *testing.T
	log  *logTail
	stop func() // ends it as a signal would, and waits
}

// startHouse runs a gateway on free loopback ports with a data folder of its own
// until the test ends. plan is YAML, empty for none; tweaks change settings.
func startHouse(t *testing.T, plan string, tweaks ...func(*settings)) *house {
	t.Helper()
	s, err := demoSettings(t.TempDir(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Metrics = "127.0.0.1:0"
	if plan != "" {
		s.Config = t.TempDir() + "/roomline.yaml"
		if err := os.WriteFile(s.Config, []byte(plan), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tweak := range tweaks {
		tweak(&s)
	}
	tail := &logTail{}
	log := slog.New(slog.NewTextHandler(tail, &slog.HandlerOptions{Level: slog.LevelDebug}))
	ctx, cancel := context.WithCancel(context.Background())
	g, err := newGateway(ctx, s, log)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	ready, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		if err := g.run(ctx, ready); err != nil {
			t.Errorf("the gateway failed: %v", err)
		}
	}()
	h := &house{gateway: g, t: t, log: tail}
	var once sync.Once
	h.stop = func() { once.Do(func() { cancel(); <-done }) }
	t.Cleanup(func() {
		h.stop()
		http.DefaultClient.CloseIdleConnections()
		if t.Failed() {
			t.Logf("end of the gateway's log:\n%s", tail.last(60))
		}
	})
	select {
	case <-ready:
	case <-time.After(15 * time.Second):
		t.Fatal("the gateway does not get ready")
	}
	return h
}

// logTail keeps the gateway's log.
type logTail struct {
	mu    sync.Mutex
	lines bytes.Buffer
}

// Write implements io.Writer.
func (l *logTail) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.Write(b)
}

// all returns the whole log.
func (l *logTail) all() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.String()
}

func (l *logTail) last(n int) string {
	lines := strings.Split(l.all(), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// ask sends an API request with the admin key and decodes the answer into out, if
// that is not nil. It returns the status.
func (h *house) ask(method, path string, body, out any, headers ...string) int {
	h.t.Helper()
	var in io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		in = strings.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			h.t.Fatal(err)
		}
		in = bytes.NewReader(text)
	}
	req, err := http.NewRequest(method, h.url()+path, in)
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+h.adminKey)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	if out != nil {
		if err := json.Unmarshal(text, out); err != nil {
			h.t.Fatalf("%s %s: %s: %v in %.300s", method, path, res.Status, err, text)
		}
	}
	return res.StatusCode
}

// token makes a room token by the API and returns it with the link to the page.
func (h *house) token(room, identity string, role bridge.Role) (token, link string) {
	h.t.Helper()
	var answer struct{ Token, URL string }
	status := h.ask("POST", "/v1/rooms/"+room+"/tokens", map[string]any{"identity": identity, "name": identity, "role": role}, &answer)
	if status != http.StatusCreated {
		h.t.Fatalf("token: status %d", status)
	}
	return answer.Token, answer.URL
}

// until waits for a condition.
func (h *house) until(what string, holds func() bool) {
	h.t.Helper()
	eventually(h.t, what, 15*time.Second, holds)
}

func eventually(t *testing.T, what string, patience time.Duration, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never came true that %s", what)
		}
	}
}

// cdrs waits until n CDRs are in the database and returns them, newest first.
func (h *house) cdrs(n int) []bridge.CDR {
	h.t.Helper()
	var page struct{ Items []bridge.CDR }
	h.until(fmt.Sprintf("%d CDRs are written", n), func() bool {
		h.ask("GET", "/v1/cdrs", nil, &page)
		return len(page.Items) >= n
	})
	if len(page.Items) != n {
		h.t.Errorf("%d CDRs, want %d", len(page.Items), n)
	}
	return page.Items
}

// tool finds a program that a test cannot do without: missing, it fails the test
// under CI and skips it elsewhere.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	switch {
	case err == nil:
		return path
	case os.Getenv("CI") != "":
		t.Fatalf("%s is missing; scripts/tools installs it", name)
	}
	t.Skipf("%s is missing; scripts/tools installs it", name)
	return ""
}

// program starts a program for the length of the test and ends it by its process.
type program struct {
	cmd  *exec.Cmd
	out  *logTail
	done chan struct{}
	err  error
}

func startProgram(t *testing.T, dir, name string, args ...string) *program {
	t.Helper()
	c := exec.Command(tool(t, name), args...)
	c.Dir = dir
	return startCommand(t, c)
}

func startCommand(t *testing.T, c *exec.Cmd) *program {
	t.Helper()
	p := &program{cmd: c, out: &logTail{}, done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { defer close(p.done); p.err = p.cmd.Wait() }()
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		<-p.done
		if t.Failed() {
			t.Logf("%s said:\n%s", c.Path, p.out.last(30))
		}
	})
	return p
}

// wait waits for the program's end and fails the test when it did not end well.
func (p *program) wait(t *testing.T, patience time.Duration) {
	t.Helper()
	select {
	case <-p.done:
		if p.err != nil {
			t.Fatalf("%s: %v", p.cmd.Path, p.err)
		}
	case <-time.After(patience):
		t.Fatalf("%s does not end", p.cmd.Path)
	}
}
