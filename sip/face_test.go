package sip

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
)

func TestParseAddress(t *testing.T) {
	ip := netip.MustParseAddr
	for text, want := range map[string]Address{
		"10.0.0.5:5060": {Listen: mustAddrPort("10.0.0.5:5060")},
		"10.0.0.5:5060/public=203.0.113.7/media=10.0.0.6":               {Listen: mustAddrPort("10.0.0.5:5060"), Public: ip("203.0.113.7"), Media: ip("10.0.0.6")},
		"[2001:db8::1]:5060/media=2001:db8::2/media-public=2001:db8::3": {Listen: mustAddrPort("[2001:db8::1]:5060"), Media: ip("2001:db8::2"), MediaPublic: ip("2001:db8::3")},
		"192.168.1.5:5060/public=none":                                  {Listen: mustAddrPort("192.168.1.5:5060"), NoPublic: true},
	} {
		if got, err := ParseAddress(text); err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for text, words := range map[string]string{
		"5060":                           "expected IP:PORT",
		"host:5060":                      "expected IP:PORT",
		"10.0.0.5:5060/":                 `"" is not known`,
		"10.0.0.5:5060/publik=1.2.3.4":   "expected public=IP",
		"10.0.0.5:5060/public":           "expected an IP address behind public=",
		"10.0.0.5:5060/media=::1":        "not of the same family",
		"10.0.0.5:5060;public=192.0.2.1": "expected IP:PORT",
	} {
		if _, err := ParseAddress(text); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v, want %q", text, err, words)
		}
	}
}

// Two addresses, as for a carrier and a LAN: each call says and uses what
// belongs to the one that it came in on.
func TestEachAddressHasAFaceOfItsOwn(t *testing.T) {
	b := startAgent(t, func(c *Config) {
		c.Addrs = []string{"127.0.0.1:0", "127.0.0.2:0/public=192.0.2.7/media=127.0.0.3/media-public=192.0.2.8", "127.0.0.4:0/media=127.0.0.5"}
	})
	for i, want := range []struct{ contact, shown, bound string }{
		{b.faces[0].addr.String(), "127.0.0.1", "127.0.0.1"},
		{netip.AddrPortFrom(mustAddr("192.0.2.7"), b.faces[1].addr.Port()).String(), "192.0.2.8", "127.0.0.3"},
		{b.faces[2].addr.String(), "127.0.0.5", "127.0.0.5"},
	} {
		w := newWire(t, b.faces[i].addr)
		line, d, ok := w.call(b)
		if c := ok.value("contact"); !strings.Contains(c, "@"+want.contact+">") {
			t.Errorf("face %d: Contact %s", i, c)
		}
		if !strings.Contains(string(ok.Body), "c=IN IP4 "+want.shown+"\r\n") {
			t.Errorf("face %d: SDP %q", i, ok.Body)
		}
		if got := line.Media().LocalAddr().Addr(); got != mustAddr(want.bound) {
			t.Errorf("face %d: RTP is at %s", i, got)
		}
		line.End(bridge.CauseNormal, "")
		bye := w.request("BYE")
		if from := bye.from.String(); from != b.faces[i].addr.String() {
			t.Errorf("face %d: BYE came from %s", i, from)
		}
		w.reply(bye, 200, "OK", "", "", "")
		expectEnd(t, line, bridge.CauseNormal)
		_ = d
	}
}

// One peer speaks to two addresses in turns: each answers for itself.
func TestAnswersLeaveFromWhereTheyWereAskedFor(t *testing.T) {
	b := startAgent(t, func(c *Config) { c.Addrs = []string{"127.0.0.1:0", "127.0.0.2:0", "127.0.0.3:0"} })
	w := newWire(t, b.Addr())
	for turn := range 12 {
		f := b.faces[turn*7%3]
		w.to = net.UDPAddrFromAddrPort(f.addr)
		d := w.invite()
		d.method, d.body = "OPTIONS", ""
		w.sendDraft(d)
		ok := w.response(200, "OPTIONS")
		if ok.from.String() != f.addr.String() {
			t.Fatalf("asked %s, answered by %s", f.addr, ok.from)
		}
		if _, port, _ := strings.Cut(w.addr(), ":"); !strings.Contains(ok.value("via"), "rport="+port) {
			t.Errorf("Via: %s", ok.value("via"))
		}
	}
}

func TestCallLeavesFromTheAddressThatItsTrunkNames(t *testing.T) {
	a := startAgent(t, func(c *Config) { c.Addrs = []string{"127.0.0.1:0", "127.0.0.2:0", "127.0.0.3:0/media=127.0.0.4"} })
	w := newWire(t, a.Addr())
	trunk := func(listen string) dialplan.Trunk {
		return dialplan.Trunk{Name: "pbx", Listen: listen, Outbound: &dialplan.Outbound{Servers: []string{w.addr()}}}
	}
	for listen, f := range map[string]*face{"": a.faces[0], "127.0.0.2": a.faces[1], a.faces[2].addr.String(): a.faces[2]} {
		out := a.dial(bridge.DialSpec{To: "+15551234", Trunk: trunk(listen)})
		inv := w.request("INVITE")
		if inv.from.String() != f.addr.String() || !strings.Contains(inv.value("contact"), f.addr.String()) {
			t.Errorf("listen %q: from %s, Contact %s", listen, inv.from, inv.value("contact"))
		}
		w.reply(inv, 486, "Busy Here", "x", "", "")
		w.request("ACK")
		expectEnd(t, out, bridge.CauseBusy)
	}
	if _, err := a.Dial(bridge.DialSpec{To: "+15551234", Trunk: trunk("192.0.2.1")}); err == nil || !strings.Contains(err.Error(), "not listened on") {
		t.Errorf("an address that is not ours: %v", err)
	}
	w.silence(50*time.Millisecond, func(m message) bool { return m.Method == "INVITE" })
}

// A call to a name leaves by the route to where the name was found before.
func TestCallToANameLeavesByTheRouteToItsAddress(t *testing.T) {
	a := startAgent(t, func(c *Config) { c.Addrs = []string{"127.0.0.2:0", "127.0.0.1:0"}; c.Resolver = loopbackNames{} })
	w := newWire(t, a.Addr())
	_, port, _ := net.SplitHostPort(w.addr())
	trunk := dialplan.Trunk{Name: "pbx", Outbound: &dialplan.Outbound{Servers: []string{"pbx.example.com:" + port}}}
	var from string
	for range 2 {
		out := a.dial(bridge.DialSpec{To: "+15551234", Trunk: trunk})
		inv := w.request("INVITE")
		from = inv.from.String()
		w.reply(inv, 486, "Busy Here", "x", "", "")
		w.request("ACK")
		expectEnd(t, out, bridge.CauseBusy)
	}
	if from != a.faces[1].addr.String() {
		t.Errorf("left from %s", from)
	}
}
