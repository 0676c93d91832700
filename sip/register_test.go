package sip

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
)

// planOf serves one trunk to a UA, and lets the test change it.
type planOf struct{ current atomic.Pointer[dialplan.Plan] }

func (p *planOf) set(trunks ...dialplan.Trunk) { p.current.Store(&dialplan.Plan{Trunks: trunks}) }

// registering is a trunk that registers at a wire.
func registering(w ...*wire) dialplan.Trunk {
	t := trunkTo(w...)
	t.Register = true
	t.Outbound.Username, t.Outbound.Password, t.Outbound.Domain = "line1", "open-sesame", "carrier.example"
	return t
}

// startTrunks runs a UA whose plan is one that make builds of its wires.
func startTrunks(t *testing.T, wires int, build func(w []*wire) dialplan.Trunk, change func(*Config)) (*agent, []*wire, *planOf) {
	t.Helper()
	var list []*wire
	for range wires {
		list = append(list, newWire(t, netip.MustParseAddrPort("127.0.0.1:9")))
	}
	plan := &planOf{}
	plan.set(build(list))
	a := startAgent(t, func(c *Config) {
		c.Plan = plan.current.Load
		if change != nil {
			change(c)
		}
	})
	for _, w := range list {
		w.to = netAddr(a.Addr())
	}
	return a, list, plan
}

func (a *agent) state(name string) bridge.TrunkState {
	for _, st := range a.TrunkStates() {
		if st.Name == name {
			return st
		}
	}
	a.t.Fatalf("no trunk %s", name)
	return bridge.TrunkState{}
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never came true that %s", what)
		}
	}
}

// ok is a 200 to a REGISTER for some seconds.
func (w *wire) grant(m message, expires int) {
	w.t.Helper()
	w.reply(m, 200, "OK", "reg", fmt.Sprintf("Contact: %s;expires=%d\r\n", m.value("contact"), expires), "")
}

func TestATrunkRegistersWithDigestAndTakesItBack(t *testing.T) {
	for _, algorithm := range []string{"MD5", "SHA-256"} {
		t.Run(algorithm, func(t *testing.T) {
			a, w, _ := startTrunks(t, 1, func(w []*wire) dialplan.Trunk { return registering(w...) }, nil)
			reg := w[0]
			m := reg.request("REGISTER")
			if m.URI != "sip:carrier.example" || uriOf(m.value("to")) != "sip:line1@carrier.example" || m.value("expires") != "3600" {
				t.Errorf("%s, To %s, Expires %s", m.start, m.value("to"), m.value("expires"))
			}
			if got := a.state("carrier").Registration; got != "trying" {
				t.Errorf("the state is %q before the answer", got)
			}
			chal := &digest.Challenge{Realm: "carrier.example", Nonce: "n1", Algorithm: algorithm, QOP: []string{"auth"}}
			reg.reply(m, 401, "Unauthorized", "reg", "WWW-Authenticate: "+chal.String()+"\r\n", "")
			m = reg.request("REGISTER")
			got, err := digest.ParseCredentials(m.value("authorization"))
			if err != nil {
				t.Fatal(err)
			}
			want, _ := digest.Digest(chal, digest.Options{Method: "REGISTER", URI: m.URI, Username: "line1", Password: "open-sesame", Cnonce: got.Cnonce, Count: 1})
			if got.Response != want.Response {
				t.Error("the digest is wrong")
			}
			reg.grant(m, 600)
			until(t, "it is registered", func() bool { return a.state("carrier").Registration == "registered" })
			st := a.state("carrier")
			if d := time.Until(*st.ExpiresAt); d < 590*time.Second || d > 600*time.Second || st.RegisteredAt == nil || st.Servers[0].State != "up" {
				t.Errorf("state %+v", st)
			}
			callID := m.value("call-id")
			go func() {
				m := reg.request("REGISTER")
				if m.value("expires") != "0" || m.value("call-id") != callID {
					t.Errorf("at the end came %s with Expires %s", m.start, m.value("expires"))
				}
				reg.grant(m, 0)
			}()
			a.stop()
		})
	}
}

func TestARegistrationIsRefreshedBeforeItEnds(t *testing.T) {
	a, w, _ := startTrunks(t, 1, func(w []*wire) dialplan.Trunk { return registering(w...) }, nil)
	m := w[0].request("REGISTER")
	w[0].reply(m, 423, "Interval Too Brief", "reg", "Min-Expires: 7200\r\n", "")
	m = w[0].request("REGISTER")
	if m.value("expires") != "7200" {
		t.Errorf("after 423 it asks for %s s", m.value("expires"))
	}
	w[0].grant(m, 2)
	begin := time.Now()
	m = w[0].request("REGISTER")
	if d := time.Since(begin); d < 1600*time.Millisecond || d > 2*time.Second {
		t.Errorf("refreshed after %v of 2 s", d)
	}
	w[0].reply(m, 200, "OK", "reg", "Expires: 900\r\n", "") // a registrar that lists no Contact
	until(t, "the new time counts", func() bool {
		st := a.state("carrier")
		return st.ExpiresAt != nil && time.Until(*st.ExpiresAt) > 890*time.Second
	})
}

func TestRegistrationFailsOverAndSaysWhy(t *testing.T) {
	a, w, plan := startTrunks(t, 2, func(w []*wire) dialplan.Trunk { return registering(w...) }, nil)
	first, second := w[0], w[1]
	first.reply(first.request("REGISTER"), 503, "Service Unavailable", "x", "", "")
	second.grant(second.request("REGISTER"), 600)
	until(t, "it is registered at the second", func() bool { return a.state("carrier").Registration == "registered" })
	if s := a.state("carrier").Servers; s[0].Server != second.addr() {
		t.Errorf("servers %+v", s)
	}
	other := registering(second)
	other.Outbound.Password = "open-barley"
	plan.set(other)
	a.PlanChanged()
	second.grant(second.request("REGISTER"), 0) // taken back
	second.reply(second.request("REGISTER"), 403, "Forbidden", "x", "", "")
	until(t, "it failed", func() bool { return a.state("carrier").Registration == "failed" })
	if words := a.state("carrier").RegisterError; !strings.Contains(words, "403") || !strings.Contains(words, "127.0.0.1") {
		t.Errorf("it says %q", words)
	}
	plan.set()
	a.PlanChanged()
	until(t, "the trunk is gone", func() bool { return len(a.TrunkStates()) == 0 })
}

func TestAWrongPasswordIsNotTriedAgainAndAgain(t *testing.T) {
	a, w, _ := startTrunks(t, 1, func(w []*wire) dialplan.Trunk { return registering(w...) }, nil)
	for i := range 2 {
		m := w[0].request("REGISTER")
		w[0].reply(m, 401, "Unauthorized", "reg", fmt.Sprintf("WWW-Authenticate: Digest realm=\"r\", nonce=\"n%d\"\r\n", i), "")
	}
	until(t, "it failed", func() bool { return a.state("carrier").Registration == "failed" })
	if words := a.state("carrier").RegisterError; !strings.Contains(words, "password is wrong") {
		t.Errorf("it says %q", words)
	}
	w[0].silence(300*time.Millisecond, func(m message) bool { return m.Method == "REGISTER" })
}

func TestRetryAfterAndBackoff(t *testing.T) {
	a, w, _ := startTrunks(t, 1, func(w []*wire) dialplan.Trunk { return registering(w...) }, nil)
	m := w[0].request("REGISTER")
	w[0].reply(m, 500, "Server Internal Error", "reg", "Retry-After: 1\r\n", "")
	begin := time.Now()
	w[0].grant(w[0].request("REGISTER"), 600)
	if d := time.Since(begin); d < 900*time.Millisecond || d > 2*time.Second {
		t.Errorf("it came back after %v", d)
	}
	until(t, "it is registered", func() bool { return a.state("carrier").Registration == "registered" })
	for i, want := range []time.Duration{retryFirst, retryBase, 2 * retryBase, 4 * retryBase} {
		if low, high := backoff(i+1, 0), backoff(i+1, 1); low != want/2 || high != want {
			t.Errorf("failure %d: %v to %v, want %v to %v", i+1, low, high, want/2, want)
		}
	}
	if d := backoff(100, 1); d != retryMost {
		t.Errorf("the longest pause is %v", d)
	}
}

func TestAContactNamesTheOutsideOfANAT(t *testing.T) {
	a, w, _ := startTrunks(t, 1, func(w []*wire) dialplan.Trunk { return registering(w...) }, nil)
	m := w[0].request("REGISTER")
	for i, f := range m.Fields {
		if f.Name == "via" {
			m.Fields[i].Value = strings.Replace(f.Value, ";rport", ";received=203.0.113.9;rport=31000", 1)
		}
	}
	w[0].grant(m, 600)
	m = w[0].request("REGISTER")
	if got := uriOf(m.value("contact")); got != "sip:line1@203.0.113.9:31000" {
		t.Errorf("the Contact is %s", got)
	}
	w[0].grant(m, 600)
	until(t, "it is registered", func() bool { return a.state("carrier").Registration == "registered" })
}

func TestCallsComeThroughTheRegistration(t *testing.T) {
	a, w, plan := startTrunks(t, 1, func(w []*wire) dialplan.Trunk { return registering(w...) }, strangersByPlan)
	before := newWire(t, a.Addr())
	before.sendDraft(before.invite())
	before.response(403, "INVITE") // nobody is registered yet
	m := w[0].request("REGISTER")
	contact := uriOf(m.value("contact"))
	w[0].grant(m, 600)
	until(t, "it is registered", func() bool { return a.state("carrier").Registration == "registered" })

	d := w[0].invite()
	d.uri = contact
	w[0].sendDraft(d)
	c := a.incoming()
	if c.Trunk != "carrier" || c.To != "lobby" {
		t.Errorf("the call is of trunk %q to %q", c.Trunk, c.To)
	}
	c.End(bridge.CauseBusy, "")
	w[0].response(486, "INVITE")

	plan.set()
	a.PlanChanged()
	w[0].grant(w[0].request("REGISTER"), 0)
	until(t, "the service has ended", func() bool {
		a.trunks.mu.Lock()
		defer a.trunks.mu.Unlock()
		return len(a.trunks.services) == 0
	})
	d = w[0].invite()
	w[0].sendDraft(d)
	w[0].response(403, "INVITE")
}

// strangersByPlan refuses whom no trunk vouches for.
func strangersByPlan(c *Config) {
	plan := c.Plan
	strangers(c)
	c.Plan = plan
}

func TestServersAreAskedWhetherTheyLive(t *testing.T) {
	a, w, _ := startTrunks(t, 2, func(w []*wire) dialplan.Trunk {
		t := trunkTo(w...)
		t.Keepalive = "1s"
		return t
	}, nil)
	for _, x := range w {
		m := x.request("OPTIONS")
		if x == w[0] {
			x.reply(m, 503, "Out of Service", "x", "", "")
		} else {
			x.reply(m, 404, "Not Found", "x", "", "")
		}
	}
	until(t, "both states are known", func() bool {
		s := a.state("carrier").Servers
		return s[0].State == "up" && s[1].State == "down"
	})
	s := a.state("carrier").Servers
	if s[0].Server != w[1].addr() || s[0].RTTMS <= 0 || s[0].CheckedAt == nil || !strings.Contains(s[1].Reason, "503") {
		t.Errorf("states %+v", s)
	}
	// A call asks the living one first.
	l := a.dial(bridge.DialSpec{To: "+15551234", Trunk: trunkTo(w...)})
	m := w[1].request("INVITE")
	w[1].reply(m, 486, "Busy Here", "x", "", "")
	expectEnd(t, l, bridge.CauseBusy)
	// And when the other lives again, it is first again.
	w[0].reply(w[0].request("OPTIONS"), 200, "OK", "x", "", "")
	until(t, "it is up", func() bool { return a.state("carrier").Servers[0].Server == w[0].addr() })
}

func TestAServerWhosePortIsClosedIsDownAtOnce(t *testing.T) {
	a, _, _ := startTrunks(t, 1, func(w []*wire) dialplan.Trunk {
		t := trunkTo(w...)
		t.Keepalive, t.Register = "1s", true
		w[0].conn.Close()
		return t
	}, nil)
	begin := time.Now()
	until(t, "it is down", func() bool { s := a.state("carrier").Servers; return s[0].State == "down" })
	if d := time.Since(begin); d > time.Second {
		t.Errorf("it took %v", d)
	}
	until(t, "the registration failed", func() bool { return a.state("carrier").Registration == "failed" })
	if st := a.state("carrier"); !strings.Contains(st.RegisterError, "nothing listens") || !strings.Contains(st.Servers[0].Reason, "nothing listens") {
		t.Errorf("state %+v", st)
	}
}

func TestARegistrationOverTCPIsMadeAnewWhenItsConnectionBreaks(t *testing.T) {
	registrar, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer registrar.Close()
	trunk := trunkTo()
	trunk.Register = true
	trunk.Outbound = &dialplan.Outbound{Servers: []string{registrar.Addr().String()}, Transport: "tcp", Username: "line1", Password: "x"}
	plan := &planOf{}
	plan.set(trunk)
	a := startAgent(t, func(c *Config) { c.Plan = plan.current.Load })
	for i := range 2 {
		conn, err := registrar.Accept()
		if err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 65535)
		conn.SetDeadline(time.Now().Add(2 * patience))
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		m := parseMessage(buf[:n])
		if m.Method != "REGISTER" || !strings.Contains(m.value("contact"), "transport=tcp") {
			t.Errorf("try %d: %s with Contact %s", i, m.start, m.value("contact"))
		}
		fmt.Fprintf(conn, "SIP/2.0 200 OK\r\nVia: %s\r\nFrom: %s\r\nTo: %s;tag=r\r\nCall-ID: %s\r\nCSeq: %s\r\nContact: %s;expires=600\r\nContent-Length: 0\r\n\r\n",
			m.value("via"), m.value("from"), m.value("to"), m.value("call-id"), m.value("cseq"), m.value("contact"))
		until(t, "it is registered", func() bool { return a.state("carrier").Registration == "registered" })
		if i == 0 {
			conn.Close()
		} else {
			defer conn.Close()
		}
	}
}

func FuzzRegistrarAnswers(f *testing.F) {
	f.Add("<sip:line1@192.0.2.1:5060>;expires=60, <sip:x@y>;expires=abc", "120", "30 (busy)", "192.0.2.9", "31000")
	f.Add("*", "-1", "", "[::1]", "99999999999")
	f.Fuzz(func(t *testing.T, contact, expires, retry, received, rport string) {
		res := sipmsg.NewResponse(200, "OK")
		via := &sipmsg.ViaHeader{ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: "UDP", Host: "192.0.2.1", Port: 5060}
		via.Params.Add("received", received)
		via.Params.Add("rport", rport)
		res.AppendHeader(via)
		res.AppendHeader(sipmsg.NewHeader("Contact", contact))
		res.AppendHeader(sipmsg.NewHeader("Expires", expires))
		res.AppendHeader(sipmsg.NewHeader("Retry-After", retry))
		if d := grantedTo(res, "sip:line1@192.0.2.1:5060", registerFor); d < time.Second || d > registerMost {
			t.Errorf("granted %v", d)
		}
		if d := retryAfterOf(res, downTime); d < time.Second || d > 10*time.Minute {
			t.Errorf("retry after %v", d)
		}
		if a, ok := seenFrom(res); ok && (!a.IsValid() || a.Port() == 0) {
			t.Errorf("seen from %v", a)
		}
		hintOfCode(res, "call")
	})
}
