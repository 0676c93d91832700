package sip

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
	"github.com/roomline/roomline/media"
)

// sipp runs a scenario in the background; wait fails the test unless it succeeds.
func sipp(t *testing.T, scenario string, arguments ...string) (addr string, wait func()) {
	t.Helper()
	program, err := exec.LookPath("sipp")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("sipp is missing: install the Debian package sip-tester")
		}
		t.Skip("sipp is missing: install the Debian package sip-tester to run this test")
	}
	file, err := filepath.Abs(filepath.Join("testdata", "sipp", scenario))
	if err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	c := exec.CommandContext(ctx, program, append([]string{"-sf", file, "-i", "127.0.0.1", "-p", strconv.Itoa(port), "-nostdin",
		"-timeout", "8s", "-timeout_error", "-trace_err", "-error_file", filepath.Join(t.TempDir(), "errors")}, arguments...)...)
	c.Dir = t.TempDir()
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	c.Stdout, c.Stderr = out, out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- c.Wait() }()
	return "127.0.0.1:" + strconv.Itoa(port), func() {
		t.Helper()
		if err := <-done; err != nil {
			text, _ := os.ReadFile(out.Name())
			t.Fatalf("sipp %s: %v\n%.2000s", scenario, err, text)
		}
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	c, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).Port
}

func TestSIPpHoldsAndResumes(t *testing.T) {
	for _, transport := range []string{"u1", "t1"} {
		t.Run(transport, func(t *testing.T) {
			b := startAgent(t, nil)
			_, wait := sipp(t, "uac_hold.xml", "-t", transport, "-s", "lobby", "-m", "5", "-r", "20", b.Addr().String())
			var lines []bridge.Line
			for range 5 {
				c := b.incoming()
				if err := c.Answer(); err != nil {
					t.Fatal(err)
				}
				lines = append(lines, c.Line)
			}
			for _, l := range lines {
				expect(t, l, bridge.LineAnswered)
				expect(t, l, bridge.LineHeld)
				expect(t, l, bridge.LineResumed)
				expectEnd(t, l, bridge.CauseNormal)
			}
			wait()
		})
	}
}

func TestSIPpCancels(t *testing.T) {
	b := startAgent(t, nil)
	_, wait := sipp(t, "uac_cancel.xml", "-s", "lobby", "-m", "5", "-r", "20", b.Addr().String())
	for range 5 {
		c := b.incoming()
		if err := c.Ring(); err != nil {
			t.Error(err)
		}
		expectEnd(t, c.Line, bridge.CauseCanceled)
	}
	wait()
}

func TestSIPpAnswersAfterAskingForAPassword(t *testing.T) {
	a := startAgent(t, nil)
	addr, wait := sipp(t, "uas.xml", "-m", "2")
	waitForPort(t, addr)
	for _, c := range []struct {
		password string
		cause    bridge.Cause
	}{{"secret", bridge.CauseNormal}, {"wrong", bridge.CauseForbidden}} {
		out := a.dial(bridge.DialSpec{To: "+15551234", From: "+15550000", Trunk: dialplan.Trunk{Name: "sipp",
			Outbound: &dialplan.Outbound{Servers: []string{addr}, Username: "alice", Password: c.password}}})
		if c.cause == bridge.CauseNormal {
			expect(t, out, bridge.LineRinging)
			expect(t, out, bridge.LineAnswered)
			if p := out.Media().Params(); p.Codec != media.PCMA {
				t.Errorf("media %+v", p)
			}
			out.End(bridge.CauseNormal, "")
		}
		expectEnd(t, out, c.cause)
	}
	wait()
}

// waitForPort returns when somebody has bound a UDP address.
func waitForPort(t *testing.T, addr string) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 500 {
		c, err := net.ListenPacket("udp4", addr)
		if err != nil {
			return
		}
		c.Close()
		<-tick.C
	}
	t.Fatal("nobody listens at " + addr)
}
