package sip

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
)

// tcpPeer is a peer made of bytes on a TCP connection.
type tcpPeer struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
}

func dialPeer(t *testing.T, to netip.AddrPort) *tcpPeer {
	t.Helper()
	c, err := net.Dial("tcp", to.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &tcpPeer{t, c, bufio.NewReader(c)}
}

// options is an OPTIONS with a body of n bytes.
func (p *tcpPeer) options(n int) string {
	return fmt.Sprintf("OPTIONS sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP %s;branch=z9hG4bK%s\r\nFrom: <sip:a@example.com>;tag=1\r\nTo: <sip:b@example.com>\r\nCall-ID: %s\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s",
		p.conn.LocalAddr(), unique("b"), unique("c"), n, strings.Repeat("x", n))
}

// status reads one response; "" when the connection has ended.
func (p *tcpPeer) status() string {
	p.t.Helper()
	p.conn.SetReadDeadline(time.Now().Add(patience))
	start, err := p.r.ReadString('\n')
	if err != nil {
		if ne, ok := err.(net.Error); ok && ne.Timeout() {
			p.t.Fatal("no answer")
		}
		return ""
	}
	length := 0
	for {
		line, err := p.r.ReadString('\n')
		if err != nil {
			p.t.Fatal(err)
		}
		fmt.Sscanf(line, "Content-Length: %d", &length)
		if line == "\r\n" {
			break
		}
	}
	io.CopyN(io.Discard, p.r, int64(length))
	return strings.TrimSpace(start)
}

func TestTCPMessagesArriveInAnyPieces(t *testing.T) {
	b := startAgent(t, nil)
	p := dialPeer(t, b.Addr())
	text := "\r\n" + p.options(3) + p.options(0) + "\r\n" + p.options(7000)
	for i := 0; i < len(text); {
		n := min(1+i%997, len(text)-i)
		if _, err := p.conn.Write([]byte(text[i : i+n])); err != nil {
			t.Fatal(err)
		}
		i += n
	}
	for range 3 {
		if s := p.status(); s != "SIP/2.0 200 OK" {
			t.Fatalf("got %q", s)
		}
	}
}

func TestTCPKeepAliveIsAnswered(t *testing.T) {
	b := startAgent(t, nil)
	p := dialPeer(t, b.Addr())
	fmt.Fprint(p.conn, "\r\n\r\n")
	pong := make([]byte, 2)
	p.conn.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.ReadFull(p.r, pong); err != nil || string(pong) != "\r\n" {
		t.Fatalf("%q, %v", pong, err)
	}
}

func TestTCPBadMessageCostsItselfAlone(t *testing.T) {
	b := startAgent(t, nil)
	p := dialPeer(t, b.Addr())
	fmt.Fprint(p.conn, strings.Replace(p.options(4), "Max-Forwards: 70\r\n", "", 1)+p.options(2))
	if s := p.status(); s != "SIP/2.0 400 Max-Forwards is missing" {
		t.Errorf("got %q", s)
	}
	if s := p.status(); s != "SIP/2.0 200 OK" {
		t.Errorf("the next message got %q", s)
	}
}

func TestTCPStreamThatCannotBeFollowedIsClosed(t *testing.T) {
	b := startAgent(t, nil)
	for want, spoil := range map[string]func(string) string{
		"SIP/2.0 400 Content-Length is missing, TCP needs it": func(s string) string { return strings.Replace(s, "Content-Length", "X-Length", 1) },
		"SIP/2.0 400 Content-Length appears 2 times": func(s string) string {
			return strings.Replace(s, "Content-Length: 0", "Content-Length: 0\r\nContent-Length: 0", 1)
		},
		"SIP/2.0 513 the message is longer than 16384 bytes": func(s string) string {
			return strings.Replace(s, "Content-Length: 0", "Content-Length: 999999", 1)
		},
		"": func(string) string { return strings.Repeat("x", 40000) },
	} {
		p := dialPeer(t, b.Addr())
		fmt.Fprint(p.conn, spoil(p.options(0)))
		if s := p.status(); s != want {
			t.Errorf("got %q, want %q", s, want)
		}
		if want != "" && p.status() != "" {
			t.Errorf("%s: the connection is still open", want)
		}
	}
}

func TestTCPConnectionsAreBounded(t *testing.T) {
	b := startAgent(t, func(c *Config) { c.MaxConns = 4 })
	peers := make([]*tcpPeer, 6)
	for i := range peers {
		peers[i] = dialPeer(t, b.Addr())
		fmt.Fprint(peers[i].conn, peers[i].options(0))
		if s := peers[i].status(); s != "SIP/2.0 200 OK" {
			t.Fatalf("peer %d: %q", i, s)
		}
	}
	for i := range 2 {
		if s := peers[i].status(); s != "" {
			t.Errorf("peer %d is still served: %q", i, s)
		}
	}
	fmt.Fprint(peers[5].conn, peers[5].options(0))
	if s := peers[5].status(); s != "SIP/2.0 200 OK" {
		t.Errorf("the newest peer got %q", s)
	}
}

// Whoever has a call keeps the connection, however many others talk later.
func TestConnectionWithACallIsTheLastToGo(t *testing.T) {
	b := startAgent(t, func(c *Config) { c.MaxConns = 4 })
	caller := dialPeer(t, b.Addr())
	body := sampleSDP("127.0.0.1", 40000, "")
	fmt.Fprintf(caller.conn, "INVITE sip:lobby@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bK%s\r\nFrom: <sip:a@example.com>;tag=1\r\nTo: <sip:b@example.com>\r\nCall-ID: %s\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContact: <sip:a@127.0.0.1;transport=tcp>\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s",
		unique("b"), unique("c"), len(body), body)
	c := b.incoming()
	for range 12 {
		p := dialPeer(t, b.Addr())
		fmt.Fprint(p.conn, p.options(0))
		if s := p.status(); s != "SIP/2.0 200 OK" {
			t.Fatal(s)
		}
	}
	c.End(bridge.CauseBusy, "")
	for s := caller.status(); !strings.HasPrefix(s, "SIP/2.0 486"); s = caller.status() {
		if s == "" {
			t.Fatal("the connection with the call was closed")
		}
	}
	expectEnd(t, c.Line, bridge.CauseBusy)
}

func TestCallOverTCPComesBackOnItsConnection(t *testing.T) {
	b := startAgent(t, nil)
	p := dialPeer(t, b.Addr())
	body := sampleSDP("127.0.0.1", 40000, "")
	id := unique("c")
	send := func(method, toTag, body string, cseq int) {
		content := ""
		if body != "" {
			content = "Content-Type: application/sdp\r\n"
		}
		fmt.Fprintf(p.conn, "%s sip:lobby@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 192.168.9.9:5060;branch=z9hG4bK%s\r\nFrom: <sip:a@example.com>;tag=1\r\nTo: <sip:b@example.com>%s\r\nCall-ID: %s\r\nCSeq: %d %s\r\nMax-Forwards: 70\r\nContact: <sip:a@192.168.9.9;transport=tcp>\r\n%sContent-Length: %d\r\n\r\n%s",
			method, unique("b"), toTag, id, cseq, method, content, len(body), body)
	}
	send("INVITE", "", body, 1)
	c := b.incoming()
	c.Answer()
	for p.status() != "SIP/2.0 200 OK" {
	}
	tag := c.Line.(*Line).key.localTag
	send("ACK", ";tag="+tag, "", 1)
	expect(t, c.Line, bridge.LineAnswered)
	c.End(bridge.CauseNormal, "")
	for {
		if s := p.status(); strings.HasPrefix(s, "BYE sip:a@192.168.9.9") {
			break
		} else if s == "" {
			t.Fatal("the connection was closed")
		}
	}
	expectEnd(t, c.Line, bridge.CauseNormal)
}
