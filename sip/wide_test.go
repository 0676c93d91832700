package sip

import (
	"bufio"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
)

// bulky is a call whose INVITE fits no packet.
func bulky(w *wire) bridge.DialSpec {
	return bridge.DialSpec{To: "+15551234", From: "+15550000", Headers: map[string]string{"X-Bulk": strings.Repeat("b", 1200)},
		Trunk: dialplan.Trunk{Name: "carrier", Outbound: &dialplan.Outbound{Servers: []string{w.addr()}}}}
}

// newWireBothWays makes a wire whose port is listened on over TCP too.
func newWireBothWays(t *testing.T, to netip.AddrPort) (*wire, net.Listener) {
	t.Helper()
	for range 20 {
		w := newWire(t, to)
		if l, err := net.Listen("tcp4", w.addr()); err == nil {
			return w, l
		}
	}
	t.Fatal("no port is free on UDP and TCP")
	return nil, nil
}

func TestLargeRequestGoesOverTCPWhereThePeerTakesIt(t *testing.T) {
	a := startAgent(t, nil)
	w, l := newWireBothWays(t, a.Addr())
	defer l.Close()
	out := a.dial(bulky(w))
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	p := &tcpPeer{t, c, bufio.NewReader(c)}
	defer c.Close()
	if s := p.status(); !strings.HasPrefix(s, "INVITE sip:+15551234@") {
		t.Fatalf("over TCP came %q", s)
	}
	w.silence(100*time.Millisecond, func(message) bool { return true })
	small := a.dial(bridge.DialSpec{To: "+15551234", Trunk: bulky(w).Trunk})
	w.request("INVITE") // a small one still goes over UDP
	small.End(bridge.CauseNormal, "")
	out.End(bridge.CauseNormal, "")
	expectEnd(t, out, bridge.CauseNormal)
}

func TestLargeRequestGoesOverUDPWhereThePeerRefusesTCP(t *testing.T) {
	a := startAgent(t, nil)
	w := newWire(t, a.Addr())
	for range 2 { // refused, then remembered
		out := a.dial(bulky(w))
		inv := w.request("INVITE")
		if via := inv.value("via"); !strings.HasPrefix(via, "SIP/2.0/UDP ") {
			t.Errorf("Via: %s", via)
		}
		w.reply(inv, 200, "OK", "tag1", "", sampleSDP("127.0.0.1", 40000, ""))
		w.request("ACK")
		expect(t, out, bridge.LineAnswered)
		if !a.narrow.has(mustAddrPort(w.addr()), time.Now()) {
			t.Error("the peer's lack of TCP is not remembered")
		}
		out.End(bridge.CauseNormal, "")
		w.reply(w.request("BYE"), 200, "OK", "", "", "")
		expectEnd(t, out, bridge.CauseNormal)
	}
}

// A peer whose network swallows TCP costs the call a moment, once.
func TestLargeRequestGoesOverUDPWhenTCPIsSilent(t *testing.T) {
	a := startAgent(t, nil)
	w := newWire(t, a.Addr())
	a.dials[dialKey{to: mustAddrPort(w.addr()), from: a.Addr(), transport: "tcp"}] = &attempt{done: make(chan struct{})} // never ends
	begin := time.Now()
	out := a.dial(bulky(w))
	w.request("INVITE")
	if took := time.Since(begin); took > wideTime+time.Second {
		t.Errorf("took %v", took)
	}
	out.End(bridge.CauseNormal, "")
}

// A server that takes the connection and drops it, and one that refuses it, are
// passed over at once.
func TestBrokenConnectionGoesToTheNextServer(t *testing.T) {
	a := startAgent(t, nil)
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	var dropped sync.WaitGroup
	dropped.Go(func() {
		if c, err := l.Accept(); err == nil {
			p := &tcpPeer{t, c, bufio.NewReader(c)}
			p.status()
			c.Close()
		}
	})
	defer dropped.Wait()
	defer l.Close()
	b := startAgent(t, nil)
	begin := time.Now()
	out := a.dial(bridge.DialSpec{To: "lobby", Trunk: dialplan.Trunk{Name: "pbx", Outbound: &dialplan.Outbound{Transport: "tcp",
		Servers: []string{closed.Addr().String(), l.Addr().String(), b.Addr().String()}}}})
	in := b.incoming()
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("took %v", took)
	}
	in.End(bridge.CauseBusy, "")
	expectEnd(t, out, bridge.CauseBusy)
}
