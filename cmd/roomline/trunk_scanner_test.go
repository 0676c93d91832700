package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/phone"
)

// stranger is a network namespace: a machine of its own with addresses that
// the gateway does not know. Each process has a network of its own for it.
type stranger struct {
	t    *testing.T
	name string
	wire string // its end of the wire
	ours string // the address of our end, which it can call
}

// startStranger makes one. It needs root.
func startStranger(t *testing.T) *stranger {
	t.Helper()
	tool(t, "ip")
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("network namespaces need root")
		}
		t.Skip("network namespaces need root")
	}
	s := &stranger{t: t, name: fmt.Sprintf("roomscan%d", os.Getpid()%100000)}
	ours, theirs := fmt.Sprintf("rs%da", os.Getpid()%100000), fmt.Sprintf("rs%db", os.Getpid()%100000)
	s.ip("netns", "add", s.name)
	t.Cleanup(func() { exec.Command("ip", "netns", "del", s.name).Run() })
	s.ip("link", "add", ours, "type", "veth", "peer", "name", theirs, "netns", s.name)
	t.Cleanup(func() { exec.Command("ip", "link", "del", ours).Run() })
	s.ours = s.address(1)
	s.ip("addr", "add", s.ours+"/28", "dev", ours)
	s.ip("link", "set", ours, "up")
	s.wire = theirs
	s.ip("-n", s.name, "link", "set", theirs, "up")
	s.ip("-n", s.name, "link", "set", "lo", "up")
	return s
}

// address is the n-th address of the network, 1 to 14.
func (s *stranger) address(n int) string { return fmt.Sprintf("203.0.113.%d", os.Getpid()%16*16+n) }

// moveTo gives it another address; scanners do not bind where they are told to.
func (s *stranger) moveTo(address string) {
	s.t.Helper()
	s.ip("-n", s.name, "addr", "flush", "dev", s.wire, "scope", "global")
	s.ip("-n", s.name, "addr", "add", address+"/28", "dev", s.wire)
}

func (s *stranger) ip(args ...string) {
	s.t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		s.t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// runs starts a number of scanners there at once and returns all that they say.
func (s *stranger) runs(times int, name string, args ...string) string {
	s.t.Helper()
	path := tool(s.t, name)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	outs := make([]string, times)
	var wg sync.WaitGroup
	for i := range times {
		wg.Go(func() {
			cmd := exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", s.name, path}, args...)...)
			cmd.Env = append(os.Environ(), "HOME="+s.t.TempDir())
			out, _ := cmd.CombinedOutput() // it ends with an error where it finds nothing
			outs[i] = string(out)
		})
	}
	wg.Wait()
	return strings.Join(outs, "")
}

// refusalsOf lists what the gateway wrote down about an address.
func (h *house) refusalsOf(address string) (reasons []string) {
	var page struct{ Items []bridge.Refusal }
	h.ask("GET", "/v1/refused?limit=500", nil, &page)
	for _, r := range page.Items {
		if strings.HasPrefix(r.Source, address+":") {
			reasons = append(reasons, r.Reason)
		}
	}
	return reasons
}

const scannedPlan = `
trunks:
  - name: pbx
    inbound: {username: "1007", password: "4007"}
routes:
  - {name: in, to: "*", room: lobby}
`

func TestSipviciousFindsNothingAndIsBanned(t *testing.T) {
	s := startStranger(t)
	h := startHouse(t, scannedPlan, func(c *settings) {
		for port := 5060; port < 5070; port++ { // svmap tries a port once
			c.SIP = append(c.SIP, fmt.Sprintf("%s:%d", s.ours, port))
		}
	})
	p := softphone(t, phone.Config{})
	call := h.calls(p, "lobby", phone.DialOptions{From: "alice"})
	passwords := filepath.Join(t.TempDir(), "passwords")
	var list strings.Builder
	for i := range 60 {
		fmt.Fprintf(&list, "%d\n", 4000+i) // the right one is among them
	}
	if err := os.WriteFile(passwords, []byte(list.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	banned := 0
	for i, scan := range []struct {
		name  string
		args  []string
		found []string // what it would say
		times int      // that it is run at once: some give up before they could be banned
	}{
		{"svmap", []string{"-p", "5060-5069"}, []string{"| 203.0.113."}, 1},
		{"svmap", []string{"-p", "5060-5069", "-m", "REGISTER"}, []string{"| 203.0.113."}, 1},
		{"svwar", []string{"--maximumtime=3", "-e", "1000-1060", "--force"}, []string{"| 10"}, 12},
		{"svwar", []string{"--maximumtime=3", "-e", "1000-1060", "-m", "INVITE", "--force"}, []string{"| 10"}, 8},
		{"svcrack", []string{"--maximumtime=3", "-u", "1007", "-d", passwords}, []string{"| 1007", "4007"}, 12},
		{"svcrack", []string{"--maximumtime=3", "-u", "1007", "-d", passwords, "-m", "INVITE"}, []string{"| 1007", "4007"}, 12},
	} {
		from := s.address(2 + i)
		s.moveTo(from)
		name := strings.Join(append([]string{scan.name}, scan.args...), " ")
		out := s.runs(scan.times, scan.name, append(scan.args, s.ours)...)
		for _, words := range scan.found {
			if strings.Contains(out, words) {
				t.Errorf("%s found something:\n%s", name, out)
			}
		}
		t.Logf("%s from %s: %d refusals, %s", name, from, len(h.refusalsOf(from)), strings.TrimSpace(out[max(0, len(out)-200):]))
		banned++
		h.until(name+" is banned", func() bool { n, _ := h.ua.BanCount(); return n == banned })
		h.until("a row says so", func() bool {
			for _, r := range h.refusalsOf(from) {
				if strings.Contains(r, "banned: 10 failed tries") {
					return true
				}
			}
			return false
		})
		if n := len(h.refusalsOf(from)); n > 11 {
			t.Errorf("%s was answered %d times", name, n)
		}
	}
	n, dropped := h.ua.BanCount()
	t.Logf("%d addresses banned, %d packets dropped", n, dropped)
	res, err := http.Get("http://" + h.metrics.Addr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(res.Body)
	res.Body.Close()
	if want := fmt.Sprintf("roomline_sip_banned %d\n", n); err != nil || !strings.Contains(string(text), want) {
		t.Errorf("the metrics do not say %q (%v)", want, err)
	}
	before := call.Session().Quality().PacketsReceived
	h.until("the call goes on", func() bool { return call.Session().Quality().PacketsReceived > before+50 })
	call.Hangup()
	if c := h.cdrs(1)[0]; c.Cause != bridge.CauseNormal {
		t.Errorf("the call ended with %s: %s", c.Cause, c.Reason)
	}
}
