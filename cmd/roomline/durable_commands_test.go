package main

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/phone"
	"github.com/roomline/roomline/store/pgtest"
)

// commandLine runs a command of ours as a shell would, and returns what it
// wrote to both outputs and its exit status.
func commandLine(t *testing.T, args ...string) (output string, status int) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, stderr := os.Stdout, os.Stderr
	os.Stdout, os.Stderr = w, w
	read := make(chan string)
	go func() {
		text, _ := io.ReadAll(r)
		read <- string(text)
	}()
	defer func() {
		os.Stdout, os.Stderr = stdout, stderr
		w.Close()
		output = <-read
		r.Close()
	}()
	return "", run(args)
}

// commandLine runs a client command against the house.
func (h *house) commandLine(args ...string) (string, int) {
	h.t.Helper()
	h.t.Setenv("ROOMLINE_URL", h.url())
	h.t.Setenv("ROOMLINE_KEY", h.adminKey)
	return commandLine(h.t, args...)
}

// planFile writes a file for apply.
func planFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dialplan.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// says checks a command's output and exit status.
func says(t *testing.T, output string, status, want int, parts ...string) {
	t.Helper()
	if status != want {
		t.Errorf("exit status %d, want %d: %s", status, want, output)
	}
	for _, p := range parts {
		if !strings.Contains(output, p) {
			t.Errorf("%q is not in: %s", p, output)
		}
	}
}

func TestApplyLoadsAPlanOrNothing(t *testing.T) {
	h := startHouse(t, "")
	count := func() (int, int) { p := h.plans.inForce(); return len(p.Trunks), len(p.Routes) }
	good := planFile(t, `
trunks:
  - {name: carrier, addresses: [203.0.113.0/24], outbound: {servers: [sip.carrier.example], username: u, password: "${TEST_APPLY_PASSWORD}"}}
routes:
  - {name: lobby, trunk: carrier, room: lobby}
`)
	t.Setenv("TEST_APPLY_PASSWORD", "pass-4711")
	out, status := h.commandLine("apply", "-f", good, "--dry-run")
	says(t, out, status, 0, "carrier", "lobby", "dry run: nothing was changed")
	if trunks, routes := count(); trunks+routes != 0 {
		t.Errorf("a dry run left %d trunks and %d routes", trunks, routes)
	}
	out, status = h.commandLine("apply", "-f", good)
	says(t, out, status, 0, "carrier", "lobby")
	if trunks, routes := count(); trunks != 1 || routes != 1 {
		t.Errorf("%d trunks, %d routes", trunks, routes)
	}
	out, status = h.commandLine("apply", "-f", good)
	says(t, out, status, 0, "nothing changes")

	for name, c := range map[string]struct {
		text  string
		words []string
	}{
		"unknown key":       {"routes:\n  - {name: a, romo: lobby}\n", []string{"line 2", "romo"}},
		"wrong address":     {"trunks:\n  - {name: b}\n  - name: a\n    addresses: [300.1.2.3]\n", []string{"line 4", "addresses", "expected an IP address"}},
		"no such trunk":     {"routes:\n  - {name: a, from_room: true, to: \"+*\", trunk: nobody}\n", []string{"line 2", "nobody"}},
		"not available yet": {"routes:\n  - {name: a, voicemail: desk}\n", []string{"not available yet"}},
		"no YAML":           {"trunks: [\n", []string{"line"}},
		"variable is not set": {"trunks:\n  - {name: a, outbound: {servers: [x.example], username: u, password: \"${TEST_APPLY_NOT_SET}\"}}\n",
			[]string{"line 2", "TEST_APPLY_NOT_SET"}},
	} {
		t.Run(name, func(t *testing.T) {
			out, status := h.commandLine("apply", "-f", planFile(t, c.text), "--prune")
			says(t, out, status, 1, append(c.words, "dialplan.yaml")...)
			if trunks, routes := count(); trunks != 1 || routes != 1 {
				t.Errorf("a bad file left %d trunks and %d routes", trunks, routes)
			}
		})
	}
	out, status = h.commandLine("apply", "-f", planFile(t, "routes:\n  - {name: other, to: other, room: lobby}\n"), "--prune")
	says(t, out, status, 0, "carrier", "other")
	if p := h.plans.inForce(); len(p.Trunks) != 0 || len(p.Routes) != 1 || p.Routes[0].Name != "other" {
		t.Errorf("after pruning: %+v", p)
	}
	out, status = commandLine(t, "apply", "-f", good, "--url", "http://"+closedPort(t), "--key", "x")
	says(t, out, status, 1, "roomline: ")
	out, status = commandLine(t, "apply", "-f", good, "--url", h.url(), "--key", "wrong")
	says(t, out, status, 1, "key")
	h.silentAbout("pass-4711", h.adminKey)
}

func TestRouteExplainsWithAndWithoutAGateway(t *testing.T) {
	text := `
trunks:
  - {name: carrier, addresses: [203.0.113.0/24]}
routes:
  - {name: sales, trunk: carrier, to: "+15551230000", hours: "Mo-Fr 09:00-17:00 America/New_York", room: sales, else: {room: front-desk}}
`
	h := startHouse(t, text)
	for name, base := range map[string][]string{"gateway": nil, "file": {"-f", planFile(t, text)}} {
		t.Run(name, func(t *testing.T) {
			ask := func(args ...string) (string, int) {
				return h.commandLine(append(append([]string{"route"}, base...), args...)...)
			}
			out, status := ask("--to", "+15551230000", "--from", "+15550100", "--trunk", "carrier", "--at", "2026-03-10T16:00:00Z")
			says(t, out, status, 0, "sales")
			out, status = ask("--to", "+15551230000", "--trunk", "carrier", "--at", "2026-03-10T23:00:00Z")
			says(t, out, status, 0, "front-desk")
			out, status = ask("--to", "+15551234567", "--from-room")
			says(t, out, status, 0, "from_room")
			out, status = ask("--to", "+15551230000", "--trunk", "carrier", "--json")
			var e struct{ Steps []any }
			if err := json.Unmarshal([]byte(out), &e); err != nil || len(e.Steps) == 0 || status != 0 {
				t.Errorf("JSON: %v, exit %d, %s", err, status, out)
			}
			out, status = ask("--to", "+15551230000", "--at", "tomorrow")
			if status == 0 || !strings.Contains(out, "2026") {
				t.Errorf("a time that is none: exit %d, %s", status, out)
			}
		})
	}
}

func TestCallCommandFollowsTheCall(t *testing.T) {
	answering := softphone(t, phone.Config{})
	go func() {
		for {
			c, err := answering.Next(t.Context())
			if err != nil {
				return
			}
			if c.Answer(t.Context()) == nil {
				c.Hangup()
			}
		}
	}()
	var plan exits
	plan.add("+15550005000", answering.Addr().String(), "", "")
	plan.add("+15550005001", refusing(t, 486, bridge.CauseBusy), "", "")
	h := startHouse(t, plan.String())
	out, status := h.commandLine("call", "+15550005000", "--room", "lobby")
	says(t, out, status, 0, "+15550005000", "room lobby", "ended: normal")
	out, status = h.commandLine("call", "+15550005001", "--room", "lobby")
	says(t, out, status, 1, "ended: busy", "486")
	out, status = h.commandLine("call", "+15550005001", "--room", "lobby", "--no-wait")
	says(t, out, status, 0, "call_")
	out, status = h.commandLine("call", "+15550009999", "--room", "lobby")
	says(t, out, status, 1, "roomline: ", "from_room")
	t.Setenv("ROOMLINE_KEY", "")
	out, status = commandLine(t, "call", "+15550005000", "--data", t.TempDir())
	says(t, out, status, 1, "no API key", "--data")
	h.cdrs(3)
}

func TestMigrateCommand(t *testing.T) {
	databases(t, func(t *testing.T, url string) {
		args := []string{"--data", t.TempDir()}
		if url != "" {
			args = []string{"--database-url", url}
		}
		out, status := commandLine(t, append([]string{"migrate", "status"}, args...)...)
		says(t, out, status, 0, "pending")
		for range 2 {
			out, status = commandLine(t, append([]string{"migrate", "up"}, args...)...)
			says(t, out, status, 0, "applied")
			if strings.Contains(out, "pending") {
				t.Errorf("after up: %s", out)
			}
		}
	})
	server := pgtest.Start(t)
	url := server.Database(t)
	server.Down(t)
	out, status := commandLine(t, "migrate", "up", "--database-url", strings.Replace(url, "user=postgres", "user=postgres&password=pass-4712", 1))
	says(t, out, status, 1, "roomline: ")
	if strings.Contains(out, "pass-4712") {
		t.Errorf("the password is told: %s", out)
	}
	if lines := strings.Count(strings.TrimSpace(out), "\n"); lines > 0 {
		t.Errorf("not one sentence: %s", out)
	}
}
