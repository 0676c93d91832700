package sip

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
)

// baresip starts a phone that dials target, with lines of configuration of the
// test's; the returned function gives it commands.
func baresip(t *testing.T, target string, lines ...string) (command func(name, parameters string)) {
	t.Helper()
	program, err := exec.LookPath("baresip")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("baresip is missing: install the Debian package baresip-core")
		}
		t.Skip("baresip is missing: install the Debian package baresip-core to run this test")
	}
	dir, control := t.TempDir(), fmt.Sprintf("127.0.0.1:%d", freePort(t))
	config := fmt.Sprintf("module_path /usr/lib/baresip/modules\nsip_listen 127.0.0.1:0\nnet_interface 127.0.0.1\n"+
		"audio_source aufile,%s\naudio_player aubridge,sink\nmodule g711.so\nmodule aufile.so\nmodule aubridge.so\n"+
		"module_app account.so\nmodule_app menu.so\nmodule ctrl_tcp.so\nctrl_tcp_listen %s\n", filepath.Join(dir, "silence.wav"), control) +
		strings.Join(lines, "\n") + "\n"
	for name, text := range map[string]string{
		"config": config, "accounts": "<sip:phone@127.0.0.1>;regint=0\n", "contacts": "", "silence.wav": silentWAV(8000),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	c := exec.CommandContext(ctx, program, "-4", "-f", dir, "-e", "/dial "+target, "-t", "8")
	out, err := os.Create(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	c.Stdout, c.Stderr = out, out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		c.Wait()
		if t.Failed() {
			text, _ := os.ReadFile(out.Name())
			t.Logf("baresip said:\n%.3000s", text)
		}
	})
	return func(name, parameters string) {
		t.Helper()
		conn, err := net.DialTimeout("tcp", control, patience)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		text := fmt.Sprintf(`{"command":%q,"params":%q}`, name, parameters)
		fmt.Fprintf(conn, "%d:%s,", len(text), text)
		conn.SetReadDeadline(time.Now().Add(time.Second))
		conn.Read(make([]byte, 4096))
	}
}

// silentWAV is one second of 16-bit mono silence.
func silentWAV(rateHz int) string {
	n := 2 * rateHz
	le := func(v, size int) string {
		b := make([]byte, size)
		for i := range b {
			b[i] = byte(v >> (8 * i))
		}
		return string(b)
	}
	return "RIFF" + le(36+n, 4) + "WAVEfmt " + le(16, 4) + le(1, 2) + le(1, 2) + le(rateHz, 4) + le(2*rateHz, 4) + le(2, 2) + le(16, 2) +
		"data" + le(n, 4) + strings.Repeat("\x00", n)
}

func TestBaresipHoldsResumesAndIsHeld(t *testing.T) {
	b := startAgent(t, nil)
	command := baresip(t, b.uri("lobby"))
	c := b.incoming()
	if err := c.Answer(); err != nil {
		t.Fatal(err)
	}
	expect(t, c.Line, bridge.LineAnswered)
	command("hold", "")
	expect(t, c.Line, bridge.LineHeld)
	command("resume", "")
	expect(t, c.Line, bridge.LineResumed)
	if p := c.Media().Params(); !p.Send || !p.Receive {
		t.Errorf("after resume: %+v", p)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := c.Hold(ctx, true); err != nil {
		t.Fatal(err)
	}
	if p := c.Media().Params(); p.Receive || !p.Send {
		t.Errorf("we hold: %+v", p)
	}
	if err := c.Hold(ctx, false); err != nil {
		t.Fatal(err)
	}
	command("hangup", "")
	expectEnd(t, c.Line, bridge.CauseNormal)
}

// All of a call is said over the one connection that the phone opened.
func TestBaresipCallsOverTLS(t *testing.T) {
	ca := newAuthority(t)
	dir := t.TempDir()
	own := filepath.Join(dir, "phone.pem")
	ca.writePEM(own, ca.issue(time.Now().Add(time.Hour), "127.0.0.1"))
	var seen tape
	b := startAgent(t, func(c *Config) {
		ca.shows(hold(ca.issue(time.Now().Add(time.Hour), "127.0.0.1")))(c)
		c.Trace = seen.record
	})
	command := baresip(t, "sip:lobby@"+b.TLSAddr().String()+";transport=tls", "sip_transports tls", "sip_certificate "+own)
	c := b.incoming()
	if c.Transport != "tls" {
		t.Errorf("the call came over %s", c.Transport)
	}
	if err := c.Answer(); err != nil {
		t.Fatal(err)
	}
	expect(t, c.Line, bridge.LineAnswered)
	command("hold", "")
	expect(t, c.Line, bridge.LineHeld)
	command("resume", "")
	expect(t, c.Line, bridge.LineResumed)
	if err := c.Hold(t.Context(), true); err != nil {
		t.Error(err)
	}
	c.End(bridge.CauseNormal, "")
	expectEnd(t, c.Line, bridge.CauseNormal)
	if n := b.streams.Size(); n != 1 {
		t.Errorf("%d connections for one call: %q", n, seen.list)
	}
}
