package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/roomline/roomline/api/client"
	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/phone"
)

// kamailio is Debian's SIP proxy as a carrier: it registers and routes the
// account line1, and sends other numbers to one phone.
type kamailio struct {
	t    *testing.T
	addr string
	cmd  *exec.Cmd
	out  *logTail
	done chan struct{}
}

// startKamailio runs one; desk is where numbers lead to.
func startKamailio(t *testing.T, algorithm, password, desk string) *kamailio {
	t.Helper()
	addr, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	modules, err := filepath.Glob("/usr/lib/*/kamailio/modules/tm.so")
	if path := tool(t, "kamailio"); err != nil || len(modules) == 0 {
		t.Fatalf("%s has no modules", path)
	}
	text, err := os.ReadFile("testdata/kamailio.cfg")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config := strings.NewReplacer("LISTEN", addr, "PASSWORD", password, "ALGORITHM", algorithm, "DESK", desk,
		"MODULES", filepath.Dir(modules[0])).Replace(string(text))
	if err := os.WriteFile(filepath.Join(dir, "kamailio.cfg"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	k := &kamailio{t: t, addr: addr, out: &logTail{}, done: make(chan struct{})}
	k.cmd = exec.Command("kamailio", "-f", filepath.Join(dir, "kamailio.cfg"), "-DD", "-E", "-m", "32", "-M", "4", "-Y", dir, "-P", filepath.Join(dir, "pid"))
	k.cmd.Stdout, k.cmd.Stderr = k.out, k.out
	k.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // its children end with it
	if err := k.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { defer close(k.done); k.cmd.Wait() }()
	t.Cleanup(func() {
		k.signal(syscall.SIGKILL)
		<-k.done
		if t.Failed() {
			t.Logf("kamailio at %s said:\n%s", addr, k.out.last(40))
		}
	})
	k.awaitAlive()
	return k
}

// signal reaches all of its processes.
func (k *kamailio) signal(s syscall.Signal) { syscall.Kill(-k.cmd.Process.Pid, s) }

// awaitAlive returns when it answers OPTIONS.
func (k *kamailio) awaitAlive() {
	k.t.Helper()
	conn, err := net.Dial("udp", k.addr)
	if err != nil {
		k.t.Fatal(err)
	}
	defer conn.Close()
	buf := make([]byte, 4096)
	for range 100 {
		fmt.Fprintf(conn, "OPTIONS sip:%s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%s;rport\r\nFrom: <sip:a@b.example>;tag=1\r\nTo: <sip:c@b.example>\r\n"+
			"Call-ID: %s\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 9\r\nContent-Length: 0\r\n\r\n", k.addr, conn.LocalAddr(), bridge.NewID("b"), bridge.NewID("c"))
		conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if _, err := conn.Read(buf); err == nil {
			return
		}
		select {
		case <-k.done:
			k.t.Fatalf("kamailio ended:\n%s", k.out.last(20))
		case <-time.After(20 * time.Millisecond):
		}
	}
	k.t.Fatal("kamailio does not answer")
}

// routed is how many requests of a method went through it within dialogs.
func (k *kamailio) routed(method string) int { return strings.Count(k.out.all(), "ROUTED "+method+" ") }

// unregistered says whether a registration was taken back.
func (k *kamailio) unregistered() bool { return strings.Contains(k.out.all(), "expires 0") }

// atCarrier is a plan with a trunk that registers at the proxies and calls through them.
func atCarrier(password string, proxies ...*kamailio) string {
	var servers []string
	for _, k := range proxies {
		servers = append(servers, fmt.Sprintf("%q", k.addr))
	}
	return fmt.Sprintf(`
trunks:
  - name: carrier
    register: true
    keepalive: 5s
    outbound: {servers: [%s], username: line1, password: %q, domain: carrier.example}
    limits: {prefixes: ["+1"]}
routes:
  - {name: in, trunk: carrier, to: "+15557000", room: lobby}
  - {name: out, from_room: true, to: "+1*", trunk: carrier}
`, strings.Join(servers, ", "), password)
}

// trunkState reads how the trunk stands.
func (h *house) trunkState() bridge.TrunkState {
	return h.ua.TrunkStates()[0]
}

func (h *house) registered() {
	h.t.Helper()
	h.until("the trunk is registered", func() bool { return h.trunkState().Registration == "registered" })
}

// desk is a phone that takes every call.
func deskPhone(t *testing.T) (*phone.Phone, chan *phone.Call) {
	t.Helper()
	p := softphone(t, phone.Config{})
	taken := make(chan *phone.Call, 8)
	done := make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer close(done)
		for {
			c, err := p.Next(ctx)
			if err != nil {
				return
			}
			c.Answer(ctx)
			taken <- c
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	return p, taken
}

func TestKamailioRegistersUsAndCarriesCallsBothWays(t *testing.T) {
	for _, c := range []struct{ algorithm, transport string }{{"MD5", "udp"}, {"SHA-256", "udp"}, {"SHA-256", "tcp"}} {
		t.Run(c.algorithm+" "+c.transport, func(t *testing.T) {
			p, taken := deskPhone(t)
			k := startKamailio(t, c.algorithm, "open-sesame", p.Addr().String())
			h := startHouse(t, strings.Replace(atCarrier("open-sesame", k), "username:", "transport: "+c.transport+", username:", 1))
			h.registered()
			if st := h.trunkState(); st.ExpiresAt == nil || time.Until(*st.ExpiresAt) > 2*time.Minute || st.Servers[0].Address != c.transport+":"+k.addr {
				t.Errorf("state %+v", st)
			}
			h.until("the keepalive has an answer", func() bool { return h.trunkState().Servers[0].RTTMS > 0 })

			// In, by the registration; the caller hangs up.
			in, err := p.Dial(within(t, 20*time.Second), "sip:+15557000@"+k.addr, phone.DialOptions{From: "+15550001"})
			if err != nil {
				t.Fatal(err)
			}
			if err := in.Answered(within(t, 10*time.Second)); err != nil {
				t.Fatal(err)
			}
			in.Hangup()
			if c := h.cdrs(1)[0]; c.Trunk != "carrier" || c.Room != "lobby" || c.To != "+15557000" || c.Cause != bridge.CauseNormal {
				t.Errorf("CDR %+v", c)
			}
			if k.routed("BYE") != 1 || k.routed("ACK") < 1 {
				t.Errorf("%d BYE and %d ACK went through the proxy", k.routed("BYE"), k.routed("ACK"))
			}

			// In again; we hang up, and the BYE goes through the proxy too.
			in, err = p.Dial(within(t, 20*time.Second), "sip:+15557000@"+k.addr, phone.DialOptions{From: "+15550001"})
			if err != nil {
				t.Fatal(err)
			}
			if err := in.Answered(within(t, 10*time.Second)); err != nil {
				t.Fatal(err)
			}
			for _, c := range h.exchange.Calls() {
				h.ask("DELETE", "/v1/calls/"+c.ID, nil, nil)
			}
			<-in.Ended()
			if k.routed("BYE") != 2 {
				t.Errorf("our BYE did not go through the proxy")
			}

			// Out, with 407, and hung up by us and then by the desk.
			for i, hangUp := range []func(id string, c *phone.Call){
				func(id string, _ *phone.Call) { h.ask("DELETE", "/v1/calls/"+id, nil, nil) },
				func(_ string, c *phone.Call) { c.Hangup() },
			} {
				rec := h.dial(map[string]any{"to": "+15550004000", "room": "lobby"})
				h.awaitState(rec.ID, bridge.StateActive)
				c := <-taken
				hangUp(rec.ID, c)
				<-c.Ended()
				if cdr := h.cdr(rec.ID); cdr.Cause != bridge.CauseNormal || cdr.AnsweredAt == nil {
					t.Errorf("CDR %+v", cdr)
				}
				if got := k.routed("BYE"); got != 3+i {
					t.Errorf("%d BYE went through the proxy, want %d", got, 3+i)
				}
			}
			if strings.Contains(h.log.all(), "open-sesame") {
				t.Error("the password is in the log")
			}
			h.stop()
			if !k.unregistered() {
				t.Error("the registration was not taken back")
			}
		})
	}
}

func TestCallsFailOverBetweenTwoKamailios(t *testing.T) {
	p, taken := deskPhone(t)
	first, second := startKamailio(t, "MD5", "open-sesame", p.Addr().String()), startKamailio(t, "MD5", "open-sesame", p.Addr().String())
	plan := strings.Replace(atCarrier("open-sesame", first, second), "    keepalive: 5s\n", "", 1)
	h := startHouse(t, plan)
	h.registered()
	call := func() time.Duration {
		t.Helper()
		begin := time.Now()
		rec := h.dial(map[string]any{"to": "+15550004000", "room": "lobby"})
		c := <-taken
		took := time.Since(begin)
		h.awaitState(rec.ID, bridge.StateActive)
		c.Hangup()
		h.cdr(rec.ID)
		return took
	}
	t.Logf("with both alive the desk rings after %v", call())
	first.signal(syscall.SIGSTOP)
	took := call()
	t.Logf("with the first one silent the desk rings after %v", took)
	if took > 4*time.Second {
		t.Errorf("failover took %v", took)
	}
	if took := call(); took > time.Second {
		t.Errorf("the next call still waits: %v", took)
	}
	first.signal(syscall.SIGCONT)
	second.signal(syscall.SIGKILL)
	<-second.done
	took = call()
	t.Logf("with the second one gone the desk rings after %v", took)
	if took > 4*time.Second {
		t.Errorf("failover back took %v", took)
	}
}

func TestAWrongPasswordAtKamailioIsSaidInWords(t *testing.T) {
	p, _ := deskPhone(t)
	k := startKamailio(t, "MD5", "open-sesame", p.Addr().String())
	h := startHouse(t, atCarrier("open-barley", k))
	h.until("the registration failed", func() bool { return h.trunkState().Registration == "failed" })
	if words := h.trunkState().RegisterError; !strings.Contains(words, "password is wrong") {
		t.Errorf("it says %q", words)
	}
	var steps []bridge.TrunkStep
	h.ua.TestTrunk(within(t, 20*time.Second), h.plans.inForce().Trunks[0], bridge.TrunkTest{}, func(s bridge.TrunkStep) { steps = append(steps, s) })
	for _, s := range steps {
		t.Logf("%-8s %-7s %s | %s", s.Name, s.Result, s.Words, s.Hint)
		if s.Name == "register" && (s.Result != "failed" || !strings.Contains(s.Hint, "password is wrong")) {
			t.Errorf("step %+v", s)
		}
	}
}

func TestATrunkTestCallsThroughKamailio(t *testing.T) {
	p, taken := deskPhone(t)
	k := startKamailio(t, "SHA-256", "open-sesame", p.Addr().String())
	h := startHouse(t, atCarrier("open-sesame", k))
	h.registered()
	go func() {
		if c, ok := <-taken; ok {
			c.Speak(phone.Tone(440, -20))
		}
	}()
	t.Cleanup(func() { close(taken) })
	cl, err := client.New(h.url(), h.adminKey)
	if err != nil {
		t.Fatal(err)
	}
	results := map[string]string{}
	err = cl.TestTrunk(within(t, 40*time.Second), "carrier", client.TrunkTest{To: "+15550004000", Listen: 7}, func(s bridge.TrunkStep) {
		t.Logf("%-8s %-7s %s | %s (%.0f ms)", s.Name, s.Result, s.Words, s.Hint, s.MS)
		results[s.Name] = s.Result + ": " + s.Words
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"dns": "ok", "connect": "skipped", "tls": "skipped", "options": "ok", "register": "ok", "call": "ok", "audio": "ok",
	} {
		if !strings.HasPrefix(results[name], want+": ") {
			t.Errorf("step %s: %q, want %s", name, results[name], want)
		}
	}
	if !strings.Contains(results["audio"], "they receive us") || !strings.Contains(results["audio"], "loudest at -2") {
		t.Errorf("audio: %s", results["audio"])
	}
	if h.trunkState().Registration != "registered" {
		t.Error("the test disturbed the registration")
	}
}
