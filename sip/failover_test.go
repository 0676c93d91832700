package sip

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
)

// trunkTo is a trunk with the wires as its servers, in order.
func trunkTo(wires ...*wire) dialplan.Trunk {
	t := dialplan.Trunk{Name: "carrier", Outbound: &dialplan.Outbound{}}
	for _, w := range wires {
		t.Outbound.Servers = append(t.Outbound.Servers, w.addr())
	}
	return t
}

// take answers the INVITE that came, with audio.
func (w *wire) take(m message) {
	w.t.Helper()
	w.reply(m, 200, "OK", unique("t"), "", sampleSDP("127.0.0.1", 40000, ""))
	w.request("ACK")
}

func TestASilentServerIsLeftForTheNextWithinFourSeconds(t *testing.T) {
	a := startAgent(t, nil)
	silent, good := newWire(t, a.Addr()), newWire(t, a.Addr())
	begin := time.Now()
	l := a.dial(bridge.DialSpec{To: "+15551234", Trunk: trunkTo(silent, good)})
	first := silent.request("INVITE")
	m := good.request("INVITE")
	took := time.Since(begin)
	if took > 4*time.Second {
		t.Errorf("the next server was asked after %v", took)
	}
	t.Logf("the next server was asked after %v", took)
	if want := "sip:+15551234@" + good.addr(); m.URI != want {
		t.Errorf("asked for %s, want %s", m.URI, want)
	}
	good.take(m)
	expect(t, l, bridge.LineAnswered)

	// The silent one wakes up: it must not keep a call of its own.
	silent.reply(first, 180, "Ringing", "late", "", "")
	cancel := silent.request("CANCEL")
	silent.reply(cancel, 200, "OK", "", "", "")
	silent.reply(first, 200, "OK", "late", "", sampleSDP("127.0.0.1", 40002, ""))
	silent.request("ACK")
	bye := silent.request("BYE")
	silent.reply(bye, 200, "OK", "", "", "")
	good.silence(100*time.Millisecond, func(m message) bool { return m.Method == "BYE" })
	l.End(bridge.CauseNormal, "")
	good.reply(good.request("BYE"), 200, "OK", "", "", "")
	expectEnd(t, l, bridge.CauseNormal)

	// The next call asks the good one at once.
	l = a.dial(bridge.DialSpec{To: "+15551234", Trunk: trunkTo(silent, good)})
	good.take(good.request("INVITE"))
	expect(t, l, bridge.LineAnswered)
	l.End(bridge.CauseNormal, "")
	good.reply(good.request("BYE"), 200, "OK", "", "", "")
	expectEnd(t, l, bridge.CauseNormal)
}

func TestAServerThatSays503IsLeftAtOnce(t *testing.T) {
	a := startAgent(t, nil)
	busy, good := newWire(t, a.Addr()), newWire(t, a.Addr())
	l := a.dial(bridge.DialSpec{To: "+15551234", Trunk: trunkTo(busy, good)})
	m := busy.request("INVITE")
	busy.reply(m, 100, "Trying", "", "", "")
	begin := time.Now()
	busy.reply(m, 503, "Service Unavailable", "x", "Retry-After: 30\r\n", "")
	busy.request("ACK")
	good.take(good.request("INVITE"))
	if d := time.Since(begin); d > 500*time.Millisecond {
		t.Errorf("it took %v", d)
	}
	expect(t, l, bridge.LineAnswered)
	l.End(bridge.CauseNormal, "")
	good.reply(good.request("BYE"), 200, "OK", "", "", "")
	expectEnd(t, l, bridge.CauseNormal)
}

func TestAClosedPortIsLeftAtOnce(t *testing.T) {
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			a := startAgent(t, nil)
			to := startAgent(t, nil)
			closed := newWire(t, a.Addr())
			trunk := trunkTo(closed)
			closed.conn.Close()
			trunk.Outbound.Transport = transport
			trunk.Outbound.Servers = append(trunk.Outbound.Servers, to.Addr().String())
			begin := time.Now()
			l := a.dial(bridge.DialSpec{To: "+15551234", Trunk: trunk})
			c := to.incoming()
			if d := time.Since(begin); d > time.Second {
				t.Errorf("it took %v", d)
			}
			c.End(bridge.CauseBusy, "")
			expectEnd(t, l, bridge.CauseBusy)
		})
	}
}

func TestServersAreFoundByNameAndFailOver(t *testing.T) {
	dns := startNameServer(t)
	a := startAgent(t, func(c *Config) { c.Resolver = dns.resolver() })
	silent, good := newWire(t, a.Addr()), newWire(t, a.Addr())
	dns.addA("one.carrier.example.", "127.0.0.1")
	for i, w := range []*wire{silent, good} {
		_, port, _ := strings.Cut(w.addr(), ":")
		var n uint16
		fmt.Sscan(port, &n)
		dns.addSRV("_sip._udp.carrier.example.", uint16(10*(i+1)), 0, n, "one.carrier.example.")
	}
	trunk := dialplan.Trunk{Name: "carrier", Outbound: &dialplan.Outbound{Servers: []string{"carrier.example"}}}
	begin := time.Now()
	l := a.dial(bridge.DialSpec{To: "+15551234", Trunk: trunk})
	silent.request("INVITE")
	m := good.request("INVITE")
	if took := time.Since(begin); took > 4*time.Second {
		t.Errorf("the next server was asked after %v", took)
	}
	if m.URI != "sip:+15551234@carrier.example" {
		t.Errorf("asked for %s", m.URI)
	}
	good.reply(m, 486, "Busy Here", "x", "", "")
	expectEnd(t, l, bridge.CauseBusy)
}
