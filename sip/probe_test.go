package sip

import (
	"context"
	"crypto/tls"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/transcode"
)

// testTrunk runs a test of a trunk and returns its steps by name.
func (a *agent) testTrunk(t *testing.T, trunk dialplan.Trunk, test bridge.TrunkTest) map[string]bridge.TrunkStep {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	steps := map[string]bridge.TrunkStep{}
	var order []string
	a.TestTrunk(ctx, trunk, test, func(s bridge.TrunkStep) {
		steps[s.Name] = s
		order = append(order, s.Name)
		t.Logf("%-8s %-7s %s | %s (%.1f ms)", s.Name, s.Result, s.Words, s.Hint, s.MS)
	})
	if got := strings.Join(order, " "); got != "dns connect tls options register call audio" {
		t.Errorf("steps %s", got)
	}
	return steps
}

func (s stepWant) check(t *testing.T, steps map[string]bridge.TrunkStep) {
	t.Helper()
	got := steps[s.name]
	if got.Result != s.result || !strings.Contains(got.Words+" | "+got.Hint, s.part) {
		t.Errorf("step %s: %s: %s | %s; want %s with %q", s.name, got.Result, got.Words, got.Hint, s.result, s.part)
	}
}

type stepWant struct{ name, result, part string }

// carrierOf answers OPTIONS, REGISTER and INVITE as told, until the test ends.
func (w *wire) carrier(answers map[string]func(message)) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 65535)
		for {
			n, from, err := w.conn.ReadFrom(buf)
			if err != nil {
				return
			}
			m := parseMessage(append([]byte(nil), buf[:n]...))
			m.from = from
			if f := answers[m.Method]; f != nil {
				f(m)
			}
		}
	}()
	w.t.Cleanup(func() {
		w.conn.SetReadDeadline(time.Now()) // newWire closes it, when no answer is under way
		<-done
	})
}

func TestATrunkTestsItself(t *testing.T) {
	a, b := startAgent(t, nil), startAgent(t, nil)
	trunk := dialplan.Trunk{Name: "carrier", Outbound: &dialplan.Outbound{Servers: []string{b.Addr().String()}}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c := b.incoming()
		c.Answer()
		sing(c.Line)
	}()
	steps := a.testTrunk(t, trunk, bridge.TrunkTest{To: "+15551234", Listen: time.Second})
	<-done
	for _, want := range []stepWant{
		{"dns", "ok", "needs no look-up"}, {"connect", "skipped", "UDP"}, {"tls", "skipped", "udp"}, {"options", "ok", "200 OK"},
		{"register", "skipped", ""}, {"call", "ok", "PCMU"}, {"audio", "ok", "loudest at -2"},
	} {
		want.check(t, steps)
	}
}

// sing sends a tone until the call ends.
func sing(l bridge.Line) {
	tone := media.Sine(440, 8000, -20)
	enc, _ := transcode.NewEncoder(media.PCMU, 8000, transcode.OpusSettings{})
	defer enc.Close()
	pcm, out := make([]int16, 160), make([]byte, 200)
	p := media.Packet{Codec: media.PCMU}
	beat := time.NewTicker(20 * time.Millisecond)
	defer beat.Stop()
	for {
		select {
		case <-beat.C:
			tone.Fill(pcm)
			n, _ := enc.Encode(pcm, out)
			p.Payload = out[:n]
			l.Media().WritePacket(&p)
			p.SequenceNumber++
			p.Timestamp += 160
		case e, open := <-l.Events():
			if !open || e.Kind == bridge.LineEnded {
				return
			}
		}
	}
}

func TestATrunkTestSaysWhatIsWrong(t *testing.T) {
	dead := newWire(t, netip.MustParseAddrPort("127.0.0.1:9"))
	deadAddr := dead.addr()
	dead.conn.Close()
	dns := startNameServer(t)
	dns.addA("nothing.example.", "192.0.2.1")
	a := startAgent(t, func(c *Config) { c.Resolver = dns.resolver() })
	for _, c := range []struct {
		name    string
		trunk   dialplan.Trunk
		answers map[string]func(*wire, message)
		to      string
		want    []stepWant
	}{
		{name: "no such name", trunk: dialplan.Trunk{Name: "c", Outbound: &dialplan.Outbound{Servers: []string{"gone.example"}}},
			want: []stepWant{{"dns", "failed", "does not exist"}, {"options", "skipped", ""}, {"call", "skipped", ""}}},
		{name: "no servers", trunk: dialplan.Trunk{Name: "c"}, want: nil},
		{name: "closed port", trunk: dialplan.Trunk{Name: "c", Outbound: &dialplan.Outbound{Servers: []string{deadAddr}}},
			want: []stepWant{{"options", "failed", "nothing listens there"}}},
		{name: "closed TCP port", trunk: dialplan.Trunk{Name: "c", Outbound: &dialplan.Outbound{Servers: []string{deadAddr}, Transport: "tcp"}},
			want: []stepWant{{"connect", "failed", "nothing listens there"}, {"options", "skipped", ""}}},
		{name: "no TLS", trunk: dialplan.Trunk{Name: "c", Outbound: &dialplan.Outbound{Servers: []string{a.Addr().String()}, Transport: "tls"}},
			want: []stepWant{{"connect", "ok", ""}, {"tls", "failed", ""}, {"options", "skipped", ""}}},
		{name: "address not allowed", to: "+15551234", trunk: registering(),
			answers: map[string]func(*wire, message){"OPTIONS": say(200, "OK", ""), "REGISTER": say(403, "Forbidden", ""), "INVITE": say(403, "Forbidden", "")},
			want:    []stepWant{{"options", "ok", "200"}, {"register", "failed", "is allowed there"}, {"call", "failed", "127.0.0.1 (where we come from)"}, {"audio", "skipped", ""}}},
		{name: "wrong password", trunk: registering(),
			answers: map[string]func(*wire, message){"OPTIONS": say(200, "OK", ""), "REGISTER": say(401, "Unauthorized", "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n")},
			want:    []stepWant{{"register", "failed", "password is wrong"}}},
		{name: "unknown number", to: "+15551234", trunk: registering(),
			answers: map[string]func(*wire, message){"OPTIONS": say(200, "OK", ""), "REGISTER": say(200, "OK", ""), "INVITE": say(484, "Address Incomplete", "")},
			want:    []stepWant{{"register", "ok", "without asking"}, {"call", "failed", "check its form"}}},
		{name: "no codec", to: "+15551234", trunk: registering(),
			answers: map[string]func(*wire, message){"OPTIONS": say(405, "Method Not Allowed", ""), "REGISTER": say(200, "OK", ""), "INVITE": say(488, "Not Acceptable Here", "Warning: 304 carrier \"only G729\"\r\n")},
			want:    []stepWant{{"options", "ok", "405"}, {"call", "failed", "only G729"}}},
		{name: "out of order", to: "+15551234", trunk: registering(),
			answers: map[string]func(*wire, message){"OPTIONS": say(503, "Maintenance", ""), "REGISTER": say(503, "Maintenance", ""), "INVITE": say(503, "Maintenance", "")},
			want:    []stepWant{{"options", "failed", "out of order"}, {"call", "failed", "out of order"}}},
		{name: "one-way audio", to: "+15551234", trunk: dialplan.Trunk{Name: "c", Outbound: &dialplan.Outbound{}},
			answers: map[string]func(*wire, message){"OPTIONS": say(200, "OK", ""), "BYE": say(200, "OK", ""), "INVITE": func(w *wire, m message) {
				w.reply(m, 200, "OK", "t", "", sampleSDP("127.0.0.1", 40000, ""))
			}},
			want: []stepWant{{"call", "ok", "PCMU"}, {"audio", "failed", "we do not hear them"}, {"audio", "failed", "--rtp-ports"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.answers != nil {
				w := newWire(t, a.Addr())
				answers := map[string]func(message){}
				for method, f := range c.answers {
					answers[method] = func(m message) { f(w, m) }
				}
				w.carrier(answers)
				c.trunk.Outbound.Servers = []string{w.addr()}
			}
			steps := map[string]bridge.TrunkStep{}
			if c.trunk.Outbound == nil {
				a.TestTrunk(t.Context(), c.trunk, bridge.TrunkTest{}, func(s bridge.TrunkStep) { steps[s.Name] = s })
				if len(steps) != 1 || steps["dns"].Result != "skipped" {
					t.Errorf("steps %+v", steps)
				}
				return
			}
			steps = a.testTrunk(t, c.trunk, bridge.TrunkTest{To: c.to, Listen: 300 * time.Millisecond})
			for _, want := range c.want {
				want.check(t, steps)
			}
		})
	}
}

// say answers every request alike.
func say(code int, phrase, extra string) func(*wire, message) {
	return func(w *wire, m message) { w.reply(m, code, phrase, "x", extra, "") }
}

// The test of a registration must not disturb the one that stands.
func TestATrunkTestChangesNoBinding(t *testing.T) {
	a, w, _ := startTrunks(t, 1, func(w []*wire) dialplan.Trunk { return registering(w...) }, nil)
	w[0].grant(w[0].request("REGISTER"), 600)
	until(t, "it is registered", func() bool { return a.state("carrier").Registration == "registered" })
	trunk := a.config.Plan().Trunks[0]
	seen := make(chan message, 8)
	w[0].carrier(map[string]func(message){
		"OPTIONS":  func(m message) { w[0].reply(m, 200, "OK", "x", "", "") },
		"REGISTER": func(m message) { seen <- m; w[0].reply(m, 200, "OK", "x", "", "") },
	})
	steps := a.testTrunk(t, trunk, bridge.TrunkTest{})
	stepWant{"register", "ok", "line1@carrier.example"}.check(t, steps)
	m := <-seen
	if _, n := m.Get("contact"); n != 0 || m.value("expires") != "" {
		t.Errorf("the test registers: %v", m.Fields)
	}
}

func TestATrunkTestSaysWhatIsWrongWithTLS(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	soon := time.Now().Add(time.Hour)
	for name, c := range map[string]struct {
		cert         tls.Certificate
		result, part string
	}{
		"sound":             {ca.issue(soon, "127.0.0.1"), "ok", "the certificate is for 127.0.0.1"},
		"unknown authority": {other.issue(soon, "127.0.0.1"), "failed", "--sip-tls-ca"},
		"wrong name":        {ca.issue(soon, "sip.example.com"), "failed", "a name that is in the certificate"},
		"expired":           {ca.issue(time.Now().Add(-time.Minute), "127.0.0.1"), "failed", "must renew it"},
		"not valid yet":     {ca.issue(time.Now().Add(48*time.Hour), "127.0.0.1"), "failed", "the clock of this machine"},
	} {
		t.Run(name, func(t *testing.T) {
			b := startAgent(t, ca.shows(hold(c.cert)))
			a := startAgent(t, func(cfg *Config) { cfg.TLS.Roots = ca.pool })
			steps := a.testTrunk(t, tlsTrunk(b), bridge.TrunkTest{})
			stepWant{"connect", "ok", ""}.check(t, steps)
			stepWant{"tls", c.result, c.part}.check(t, steps)
			if c.result == "ok" {
				stepWant{"options", "ok", "200 OK"}.check(t, steps)
			} else {
				stepWant{"options", "skipped", ""}.check(t, steps)
			}
		})
	}
}
