package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/phone"
)

// linphone is a linphone-daemon that is told what to do on its standard input.
type linphone struct {
	*program
	t  *testing.T
	in io.Writer
}

// more are lines of the section sip of its configuration.
func startLinphone(t *testing.T, more ...string) *linphone {
	t.Helper()
	dir := t.TempDir()
	sip, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	rtp, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	rc := fmt.Sprintf("[sip]\nsip_port=%s\nsip_tcp_port=0\nsip_tls_port=0\nuse_ipv6=0\nguess_hostname=0\n"+
		"contact=sip:secretary@127.0.0.1\n%s\n[rtp]\naudio_rtp_port=%s\n", sip[strings.LastIndex(sip, ":")+1:], strings.Join(more, "\n"), rtp[strings.LastIndex(rtp, ":")+1:])
	file := filepath.Join(dir, "rc")
	if err := os.WriteFile(file, []byte(rc), 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(tool(t, "linphone-daemon"), "--config", file, "--disable-stats-events")
	c.Dir, c.Env = dir, append(os.Environ(), "HOME="+dir)
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	l := &linphone{t: t, in: in, program: startCommand(t, c)}
	l.tell("ipv6 disable")
	l.says("State: disabled", 1)
	return l
}

// tell gives a command.
func (l *linphone) tell(command string) {
	l.t.Helper()
	if _, err := fmt.Fprintln(l.in, command); err != nil {
		l.t.Fatal(err)
	}
}

// says waits until linphone has said something for the nth time.
func (l *linphone) says(words string, nth int) {
	l.t.Helper()
	eventually(l.t, fmt.Sprintf("linphone says %q (%d)", words, nth), 15*time.Second, func() bool {
		return strings.Count(l.out.all(), words) >= nth
	})
}

// answering has a phone take the next call and say a tone.
func answering(t *testing.T, p *phone.Phone, freqHz float64) *phone.Call {
	t.Helper()
	ctx := within(t, 20*time.Second)
	c, err := p.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Answer(ctx); err != nil {
		t.Fatal(err)
	}
	c.Speak(phone.Tone(freqHz, -20))
	return c
}

func TestLinphoneTransfersTwoCallsToEachOther(t *testing.T) {
	east, west := softphone(t, phone.Config{}), softphone(t, phone.Config{})
	port := func(p *phone.Phone) string { _, port, _ := net.SplitHostPort(p.Addr().String()); return port }
	h := startHouse(t, fmt.Sprintf(`
trunks:
  - {name: desk, addresses: [127.0.0.1/32], refer: allow}
  - {name: east, outbound: {servers: ["127.0.0.1:%[1]s"]}}
  - {name: west, outbound: {servers: ["127.0.0.1:%[2]s"]}}
routes:
  - {name: east, trunk: desk, to: "1001", number: "sip:1001@127.0.0.1:%[1]s", trunks: [east]}
  - {name: west, trunk: desk, to: "1002", number: "sip:1002@127.0.0.1:%[2]s", trunks: [west]}
`, port(east), port(west)))
	secretary := startLinphone(t)
	secretary.tell("call sip:1001@" + h.ua.Addr().String())
	one := answering(t, east, 600)
	secretary.says("Event: LinphoneCallStreamsRunning", 1)
	secretary.tell("call-pause 1")
	secretary.says("Event: LinphoneCallPaused\n", 1)
	secretary.tell("call sip:1002@" + h.ua.Addr().String())
	two := answering(t, west, 900)
	secretary.says("Event: LinphoneCallStreamsRunning", 2)
	secretary.tell("call-transfer 2 1")
	secretary.says("Event: LinphoneCallEnd\n", 2)
	hears(t, "the first phone", one.Heard, 900, -20)
	hears(t, "the second phone", two.Heard, 600, -20)
	var live struct{ Items []bridge.CallRecord }
	h.until("linphone's two calls have ended", func() bool {
		h.ask("GET", "/v1/calls?state=active", nil, &live)
		n := 0
		for _, c := range live.Items {
			if c.State != bridge.StateEnded {
				n++
			}
		}
		return n == 2
	})
	one.Hangup()
	for _, c := range h.cdrs(4) {
		if c.Cause != bridge.CauseNormal {
			t.Errorf("%s from %s to %s ended with %s: %s", c.Direction, c.From, c.To, c.Cause, c.Reason)
		}
	}
}

func TestLinphoneTransfersACallToANumber(t *testing.T) {
	east, west := softphone(t, phone.Config{}), softphone(t, phone.Config{})
	port := func(p *phone.Phone) string { _, port, _ := net.SplitHostPort(p.Addr().String()); return port }
	h := startHouse(t, fmt.Sprintf(`
trunks:
  - {name: desk, addresses: [127.0.0.1/32], refer: allow}
  - {name: east, outbound: {servers: ["127.0.0.1:%[1]s"]}}
  - {name: west, outbound: {servers: ["127.0.0.1:%[2]s"]}, limits: {prefixes: ["+1555"]}}
routes:
  - {name: east, trunk: desk, to: "1001", number: "sip:1001@127.0.0.1:%[1]s", trunks: [east]}
  - {name: out, from_room: true, to: "+1555*", trunk: west}
`, port(east), port(west)))
	secretary := startLinphone(t)
	secretary.tell("call sip:1001@" + h.ua.Addr().String())
	one := answering(t, east, 600)
	secretary.says("Event: LinphoneCallStreamsRunning", 1)

	// A number that policy forbids is refused, and the call goes on.
	secretary.tell("call-transfer 1 sip:+19005551234@" + h.ua.Addr().String())
	h.until("the transfer is refused", func() bool { return strings.Contains(h.log.all(), "a transfer by the peer is refused") })

	retry := time.NewTicker(200 * time.Millisecond) // linphone does not say when it has seen the refusal
	defer retry.Stop()
	for range 20 {
		secretary.tell("call-transfer 1 sip:+15551002@" + h.ua.Addr().String())
		if <-retry.C; strings.Count(h.log.all(), "REFER accepted") == 2 {
			break
		}
	}
	two := answering(t, west, 900)
	secretary.says("Event: LinphoneCallEnd\n", 1)
	hears(t, "the first phone", one.Heard, 900, -20)
	hears(t, "the second phone", two.Heard, 600, -20)
	two.Hangup()
	for _, c := range h.cdrs(3) {
		if c.Cause != bridge.CauseNormal {
			t.Errorf("%s from %s to %s ended with %s: %s", c.Direction, c.From, c.To, c.Cause, c.Reason)
		}
	}
}
