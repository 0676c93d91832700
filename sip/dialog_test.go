package sip

import (
	"strings"
	"testing"

	sipmsg "github.com/emiago/sipgo/sip"
)

// inviteFrom parses a request written as text.
func requestFrom(t *testing.T, text string) *sipmsg.Request {
	t.Helper()
	m, err := sipmsg.ParseMessage([]byte(strings.ReplaceAll(text, "\n", "\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	return m.(*sipmsg.Request)
}

func TestRouteSetOfBothRoles(t *testing.T) {
	req := requestFrom(t, `INVITE sip:bob@biloxi.example SIP/2.0
Via: SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bK1
Record-Route: <sip:p2.example;lr>, <sip:p1.example;lr>
From: "Alice" <sip:alice@atlanta.example>;tag=a1;x=y
To: <sip:bob@biloxi.example>
Call-ID: c1
CSeq: 7 INVITE
Contact: <sip:alice@192.0.2.9:5070>
Content-Length: 0

`)
	req.SetSource("192.0.2.9:5070")
	req.SetTransport("UDP")
	d := dialogOfInvite(req, "b1")
	d.Contact = "sip:us@192.0.2.1"
	if d.Remote != `"Alice" <sip:alice@atlanta.example>;x=y` {
		t.Errorf("remote %s", d.Remote)
	}
	bye, err := d.request(sipmsg.BYE, 1)
	if err != nil {
		t.Fatal(err)
	}
	text := bye.String()
	for _, want := range []string{
		"BYE sip:alice@192.0.2.9:5070 SIP/2.0\r\n", "Route: <sip:p2.example;lr>\r\nRoute: <sip:p1.example;lr>\r\n",
		"From: <sip:bob@biloxi.example>;tag=b1\r\n", "To: \"Alice\" <sip:alice@atlanta.example>;x=y;tag=a1\r\n", "CSeq: 1 BYE\r\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	if h := d.nextHop(); h.host != "p2.example" {
		t.Errorf("next hop %v", h)
	}

	res := sipmsg.NewResponseFromRequest(req, 200, "OK", nil)
	res.SetSource("192.0.2.20:5060")
	var c Dialog
	c.learn(res)
	if len(c.RouteSet) != 2 || c.RouteSet[0] != "<sip:p1.example;lr>" || c.RouteSet[1] != "<sip:p2.example;lr>" {
		t.Errorf("route set of the caller: %v", c.RouteSet)
	}
}

func TestStrictRouterBecomesTheRequestURI(t *testing.T) {
	d := Dialog{CallID: "c", Local: "<sip:a@x>", Remote: "<sip:b@y>", Target: "sip:bob@192.0.2.4", Contact: "sip:us@192.0.2.1",
		RouteSet: []string{"<sip:strict.example>", "<sip:p1.example;lr>"}, Transport: "udp"}
	req, err := d.request(sipmsg.BYE, 1)
	if err != nil {
		t.Fatal(err)
	}
	if text := req.String(); !strings.HasPrefix(text, "BYE sip:strict.example SIP/2.0\r\n") ||
		!strings.Contains(text, "Route: <sip:p1.example;lr>\r\nRoute: <sip:bob@192.0.2.4>\r\n") {
		t.Errorf("got\n%s", text)
	}
}

func TestReachableByScope(t *testing.T) {
	for _, c := range []struct {
		written, source, local string
		want                   bool
	}{
		{"198.51.100.7", "198.51.100.7", "203.0.113.1", true},
		{"198.51.100.8", "198.51.100.7", "203.0.113.1", true},   // media elsewhere on the Internet
		{"192.168.1.5", "198.51.100.7", "203.0.113.1", false},   // behind a NAT
		{"100.64.3.4", "198.51.100.7", "203.0.113.1", false},    // behind a carrier's NAT
		{"127.0.0.1", "198.51.100.7", "203.0.113.1", false},     // our own loopback
		{"127.0.0.1", "10.0.0.5", "10.0.0.1", false},            // likewise from inside
		{"10.9.9.9", "10.0.0.5", "10.0.0.1", true},              // a routed site
		{"198.51.100.7", "10.0.0.5", "10.0.0.1", true},          // a proxy inside, media outside
		{"192.168.1.5", "127.0.0.1", "127.0.0.1", false},        // a loopback socket reaches loopback only
		{"127.0.0.2", "127.0.0.1", "127.0.0.1", true},           //
		{"0.0.0.0", "198.51.100.7", "203.0.113.1", false},       //
		{"224.0.0.5", "198.51.100.7", "203.0.113.1", false},     //
		{"2001:db8::1", "198.51.100.7", "203.0.113.1", false},   // another family
		{"fd00::1", "2001:db8::1", "2001:db8::2", false},        //
		{"::ffff:10.0.0.5", "10.0.0.5", "10.0.0.1", true},       //
		{"169.254.1.1", "192.168.1.1", "192.168.1.2", false},    //
		{"198.51.100.7", "198.51.100.7", "127.0.0.1", true},     //
		{"198.51.100.255", "192.168.1.1", "192.168.1.2", true},  //
		{"2001:db8::9", "2001:db8:1::1", "2001:db8:2::1", true}, //
	} {
		if got := reachable(mustAddr(c.written), mustAddr(c.source), mustAddr(c.local)); got != c.want {
			t.Errorf("%s from %s at %s: %v", c.written, c.source, c.local, got)
		}
	}
}

func TestRequestsGoWhereTheContactCannot(t *testing.T) {
	for _, c := range []struct{ target, source, want string }{
		{"sip:bob@192.168.1.5:5062", "198.51.100.7:40000", "198.51.100.7:40000"},
		{"sip:bob@198.51.100.7:5062", "198.51.100.7:40000", "198.51.100.7:5062"},
		{"sip:bob@df7jal23ls0d.invalid", "198.51.100.7:40000", "198.51.100.7:40000"},
		{"sip:bob@pbx.example:5080", "198.51.100.7:40000", "pbx.example:5080"},
		{"sip:nothing", "198.51.100.7:40000", "nothing:0"},
	} {
		d := Dialog{Target: c.target, Transport: "udp", Source: mustAddrPort(c.source), Socket: mustAddrPort("203.0.113.1:5060")}
		if got := d.nextHop().String(); got != c.want {
			t.Errorf("%s from %s goes to %s, want %s", c.target, c.source, got, c.want)
		}
	}
}
