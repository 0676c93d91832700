package phone

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
)

// sipp starts SIPp as an answering machine that sends RTP back, and returns
// where it listens.
func sipp(t *testing.T, args ...string) netip.AddrPort {
	t.Helper()
	path, err := exec.LookPath("sipp")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("SIPp is missing: install the Debian package sip-tester")
		}
		t.Skip("SIPp is missing: install the Debian package sip-tester to run this test")
	}
	at, rtp := freePort(t), freePort(t)
	cmd := exec.Command(path, append(args, "-i", "127.0.0.1", "-p", fmt.Sprint(at.Port()), "-mi", "127.0.0.1",
		"-mp", fmt.Sprint(rtp.Port()), "-rtp_echo", "-nostdin", "-m", "1")...)
	cmd.Dir = t.TempDir()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = io.Discard, io.Discard
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Process.Kill()
		cmd.Wait()
	})
	until(t, "SIPp listens", func() bool {
		c, err := net.ListenPacket("udp4", at.String())
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	return at
}

// freePort is an even port that was free a moment ago.
func freePort(t *testing.T) netip.AddrPort {
	t.Helper()
	for {
		c, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		if a := c.LocalAddr().(*net.UDPAddr).AddrPort(); a.Port()%2 == 0 {
			return a
		}
	}
}

func TestSIPpAnswersAndEchoes(t *testing.T) {
	at := sipp(t, "-sn", "uas")
	p := open(t, Config{})
	ctx := within(t)
	call, err := p.Dial(ctx, fmt.Sprintf("sip:service@%s", at), DialOptions{RingTimeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	call.Speak(Tone(700, -15))
	heardTone(t, call, 700, -15)
	if err := call.SendDigits(ctx, "1"); err == nil || !strings.Contains(err.Error(), "telephone-event") {
		t.Errorf("digits to who has not agreed to them: %v", err)
	}
	call.Hangup()
	if r := call.Report(); r.Exit != ExitTalked || r.Codec != "PCMU" || r.Gaps != 0 || r.PacketsReceived < 20 {
		t.Errorf("report %+v", r)
	}
}

var (
	nonceField    = regexp.MustCompile(`nonce="([^"]*)"`)
	uriField      = regexp.MustCompile(`uri="([^"]*)"`)
	responseField = regexp.MustCompile(`response="([^"]*)"`)
)

// A server that asks for a password gets the right answer; who has none hears so.
func TestDigest(t *testing.T) {
	for name, tt := range map[string]struct {
		password string
		cause    bridge.Cause
	}{
		"right":   {"wonderland", bridge.CauseBusy}, // which is what the server says to whom it knows
		"wrong":   {"looking-glass", bridge.CauseAuthentication},
		"missing": {"", bridge.CauseAuthentication},
	} {
		t.Run(name, func(t *testing.T) {
			server, err := net.ListenPacket("udp4", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			served := make(chan struct{})
			go func() {
				defer close(served)
				challenge(server)
			}()
			defer func() { server.Close(); <-served }()
			p := open(t, Config{})
			o := DialOptions{Username: "alice", Password: tt.password, RingTimeout: 5 * time.Second}
			if tt.password == "" {
				o.Username = ""
			}
			call, err := p.Dial(within(t), fmt.Sprintf("sip:lobby@%s", server.LocalAddr()), o)
			if err == nil || call == nil {
				t.Fatalf("call %v, error %v", call, err)
			}
			if r := call.Report(); r.Cause != tt.cause {
				t.Errorf("cause %s, SIP %d: %s", r.Cause, r.SIPCode, r.Reason)
			}
		})
	}
}

// challenge answers INVITEs with 401 until the digest for alice is right, then with 486.
func challenge(c net.PacketConn) {
	buffer := make([]byte, 65536)
	for {
		n, from, err := c.ReadFrom(buffer)
		if err != nil {
			return
		}
		req := string(buffer[:n])
		if !strings.HasPrefix(req, "INVITE ") {
			continue
		}
		status, more := "401 Unauthorized", "WWW-Authenticate: Digest realm=\"rooms\", nonce=\"n0nce\", algorithm=MD5\r\n"
		if digestFits(req) {
			status, more = "486 Busy Here", ""
		}
		var copied strings.Builder
		for _, line := range strings.Split(req, "\r\n") {
			name, _, _ := strings.Cut(line, ":")
			switch strings.ToLower(name) {
			case "via", "from", "call-id", "cseq":
				copied.WriteString(line + "\r\n")
			case "to":
				copied.WriteString(line + ";tag=server\r\n")
			}
		}
		c.WriteTo([]byte("SIP/2.0 "+status+"\r\n"+copied.String()+more+"Content-Length: 0\r\n\r\n"), from)
	}
}

func digestFits(req string) bool {
	field := func(r *regexp.Regexp) string {
		if m := r.FindStringSubmatch(req); m != nil {
			return m[1]
		}
		return ""
	}
	hash := func(s string) string {
		sum := md5.Sum([]byte(s))
		return hex.EncodeToString(sum[:])
	}
	want := hash(hash("alice:rooms:wonderland") + ":" + field(nonceField) + ":" + hash("INVITE:"+field(uriField)))
	return field(responseField) == want
}
