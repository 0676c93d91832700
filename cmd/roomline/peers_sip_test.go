package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
)

// sipPeer is a SIP peer made of bytes: it does what the test says and nothing else.
type sipPeer struct {
	t    *testing.T
	conn net.Conn // connected to the gateway: UDP or TCP
	sock net.PacketConn
	seen []string // start lines
	rest []byte   // of TCP
}

// newPeer makes a peer on UDP that sends to the gateway.
func (h *house) newPeer() *sipPeer {
	h.t.Helper()
	return h.newPeerAt("127.0.0.1")
}

// newPeerAt makes one with an address of its own.
func (h *house) newPeerAt(ip string) *sipPeer {
	h.t.Helper()
	sock, err := net.ListenPacket("udp4", ip+":0")
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { sock.Close() })
	return &sipPeer{t: h.t, sock: sock, conn: &fixedPeer{PacketConn: sock, to: net.UDPAddrFromAddrPort(h.ua.Addr())}}
}

// newPeerTCP makes a peer with a TCP connection to the gateway.
func (h *house) newPeerTCP() *sipPeer {
	h.t.Helper()
	conn, err := net.Dial("tcp", h.ua.Addr().String())
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { conn.Close() })
	return &sipPeer{t: h.t, conn: conn}
}

// fixedPeer makes a net.Conn of an unconnected socket, which no ICMP can close.
type fixedPeer struct {
	net.PacketConn
	to net.Addr
}

func (p *fixedPeer) Write(b []byte) (int, error) { return p.WriteTo(b, p.to) }
func (p *fixedPeer) Read(b []byte) (int, error)  { n, _, err := p.ReadFrom(b); return n, err }
func (p *fixedPeer) RemoteAddr() net.Addr        { return p.to }

// sipMessage is a SIP message that arrived.
type sipMessage struct {
	start  string
	method string // of a request
	code   int    // of a response
	header textproto.MIMEHeader
	body   string
}

func (m sipMessage) value(name string) string { return m.header.Get(name) }

// tag returns the tag of a From or To.
func (m sipMessage) tag(name string) string {
	_, after, _ := strings.Cut(m.value(name), ";tag=")
	tag, _, _ := strings.Cut(after, ";")
	return tag
}

func parseSIP(raw string) sipMessage {
	head, body, _ := strings.Cut(raw, "\r\n\r\n")
	lines := strings.Split(head, "\r\n")
	m := sipMessage{start: lines[0], header: textproto.MIMEHeader{}, body: body}
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ":")
		m.header.Add(name, strings.TrimSpace(value))
	}
	first, rest, _ := strings.Cut(m.start, " ")
	if first == "SIP/2.0" {
		m.code, _ = strconv.Atoi(rest[:min(3, len(rest))])
	} else {
		m.method = first
	}
	return m
}

func (w *sipPeer) addr() string { return w.conn.LocalAddr().String() }

func (w *sipPeer) transport() string {
	if w.sock != nil {
		return "UDP"
	}
	return "TCP"
}

func (w *sipPeer) send(text string) {
	w.t.Helper()
	if _, err := io.WriteString(w.conn, text); err != nil && !errors.Is(err, net.ErrClosed) {
		w.t.Fatalf("send: %v; seen: %s", err, strings.Join(w.seen, " | "))
	}
}

// receive returns the next message, or false when none comes in time.
func (w *sipPeer) receive(patience time.Duration) (sipMessage, bool) {
	w.conn.SetReadDeadline(time.Now().Add(patience))
	buf := make([]byte, 65536)
	for w.sock == nil {
		if raw, ok := w.cutTCP(); ok {
			return w.note(raw), true
		}
		n, err := w.conn.Read(buf)
		if err != nil {
			return sipMessage{}, false
		}
		w.rest = append(w.rest, buf[:n]...)
	}
	n, err := w.conn.Read(buf)
	if err != nil {
		return sipMessage{}, false
	}
	return w.note(string(buf[:n])), true
}

// cutTCP takes one whole message off the stream.
func (w *sipPeer) cutTCP() (string, bool) {
	text := strings.TrimLeft(string(w.rest), "\r\n")
	head, _, ok := strings.Cut(text, "\r\n\r\n")
	if !ok {
		return "", false
	}
	length, _ := strconv.Atoi(parseSIP(head).value("Content-Length"))
	whole := len(head) + 4 + length
	if len(text) < whole {
		return "", false
	}
	w.rest = []byte(text[whole:])
	return text[:whole], true
}

func (w *sipPeer) note(raw string) sipMessage {
	m := parseSIP(raw)
	w.seen = append(w.seen, m.start)
	return m
}

// await waits for a message, past everything else.
func (w *sipPeer) await(what string, is func(sipMessage) bool) sipMessage {
	w.t.Helper()
	for deadline := time.Now().Add(15 * time.Second); time.Now().Before(deadline); {
		if m, ok := w.receive(time.Until(deadline)); ok && is(m) {
			return m
		}
	}
	w.t.Fatalf("no %s; seen: %s", what, strings.Join(w.seen, " | "))
	return sipMessage{}
}

func (w *sipPeer) request(method string) sipMessage {
	w.t.Helper()
	return w.await(method, func(m sipMessage) bool { return m.method == method })
}

func (w *sipPeer) response(code int, method string) sipMessage {
	w.t.Helper()
	return w.await(fmt.Sprintf("%d to %s", code, method), func(m sipMessage) bool {
		return m.code == code && strings.HasSuffix(m.value("CSeq"), " "+method)
	})
}

// final waits for a final response, whichever it is.
func (w *sipPeer) final(method string) sipMessage {
	w.t.Helper()
	return w.await("final response to "+method, func(m sipMessage) bool {
		return m.code >= 200 && strings.HasSuffix(m.value("CSeq"), " "+method)
	})
}

// reply answers a request that came; extra are whole header lines.
func (w *sipPeer) reply(m sipMessage, status, toTag, extra, body string) {
	w.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "SIP/2.0 %s\r\n", status)
	for _, name := range []string{"Via", "Record-Route", "From", "To", "Call-Id", "Cseq"} {
		for _, v := range m.header[name] {
			if name == "To" && toTag != "" && !strings.Contains(v, ";tag=") {
				v += ";tag=" + toTag
			}
			fmt.Fprintf(&b, "%s: %s\r\n", name, v)
		}
	}
	if body != "" {
		extra += "Content-Type: application/sdp\r\n"
	}
	fmt.Fprintf(&b, "Contact: <sip:peer@%s>\r\n%sContent-Length: %d\r\n\r\n%s", w.addr(), extra, len(body), body)
	w.send(b.String())
}

// draft is a request of a sipPeer.
type draft struct {
	method, user, uri    string
	branch, callID, from string
	toTag, extra, body   string
	cseq                 int
	gateway              string
}

// invite is a sound INVITE for a room, to be changed.
func (w *sipPeer) invite(room string, rtpPort int) draft {
	gateway := w.conn.RemoteAddr().String()
	return draft{method: "INVITE", user: room, uri: "sip:" + room + "@" + gateway, branch: "z9hG4bK" + bridge.NewID("b"),
		callID: bridge.NewID("wire"), from: bridge.NewID("f"), cseq: 1, gateway: gateway, body: peerSDP("127.0.0.1", rtpPort, "")}
}

// within is a request of the same dialog; ok is the response that made it.
func (d draft) within(method string, ok sipMessage) draft {
	d.method, d.toTag, d.body, d.extra = method, ok.tag("To"), "", ""
	d.branch = "z9hG4bK" + bridge.NewID("b")
	if method != "ACK" {
		d.cseq++
	}
	if uri := strings.Trim(strings.Split(ok.value("Contact"), ";")[0], "<>"); uri != "" {
		d.uri = uri
	}
	return d
}

func (w *sipPeer) text(d draft) string {
	to, content := "<sip:"+d.user+"@example.com>", ""
	if d.toTag != "" {
		to += ";tag=" + d.toTag
	}
	if d.body != "" && !strings.Contains(d.extra, "Content-Type") {
		content = "Content-Type: application/sdp\r\n"
	}
	return fmt.Sprintf("%s %s SIP/2.0\r\nVia: SIP/2.0/%s %s;branch=%s;rport\r\nFrom: \"Bob\" <sip:bob@example.com>;tag=%s\r\n"+
		"To: %s\r\nCall-ID: %s\r\nCSeq: %d %s\r\nMax-Forwards: 70\r\nContact: <sip:bob@%s>\r\n%s%sContent-Length: %d\r\n\r\n%s",
		d.method, d.uri, w.transport(), w.addr(), d.branch, d.from, to, d.callID, d.cseq, d.method, w.addr(), d.extra, content,
		len(d.body), d.body)
}

func (w *sipPeer) sendDraft(d draft) { w.t.Helper(); w.send(w.text(d)) }

// ack acknowledges a refusal of d.
func (w *sipPeer) ack(d draft, m sipMessage) {
	w.t.Helper()
	d.method, d.toTag, d.body, d.extra = "ACK", m.tag("To"), "", ""
	w.sendDraft(d)
}

// call places a call into a room and returns its INVITE and the 200.
func (w *sipPeer) call(room string, rtpPort int) (draft, sipMessage) {
	w.t.Helper()
	d := w.invite(room, rtpPort)
	w.sendDraft(d)
	ok := w.response(200, "INVITE")
	w.sendDraft(d.within("ACK", ok))
	return d, ok
}

// reinvite changes the session of a call and returns the final response.
func (w *sipPeer) reinvite(d *draft, ok sipMessage, body string) sipMessage {
	w.t.Helper()
	d.cseq++
	re := d.within("INVITE", ok)
	re.cseq, re.body = d.cseq, body
	w.sendDraft(re)
	m := w.final("INVITE")
	if m.code == 200 {
		ack := re.within("ACK", m)
		w.sendDraft(ack)
	} else {
		w.ack(re, m)
	}
	return m
}

// bye hangs up.
func (w *sipPeer) bye(d *draft, ok sipMessage) {
	w.t.Helper()
	bye := d.within("BYE", ok)
	d.cseq++
	w.sendDraft(bye)
	w.response(200, "BYE")
}

// peerSDP is a description with its audio at an address; media are the lines from m= on.
func peerSDP(ip string, port int, media string) string {
	if media == "" {
		media = fmt.Sprintf("m=audio %d RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n", port)
	}
	kind := "IP4"
	if strings.Contains(ip, ":") {
		kind = "IP6"
	}
	return fmt.Sprintf("v=0\r\no=- 1 1 IN %s %s\r\ns=-\r\nc=IN %s %s\r\nt=0 0\r\n%s", kind, ip, kind, ip, media)
}

// sdpPort returns the port of the first audio line.
func sdpPort(t *testing.T, sdp string) int {
	t.Helper()
	_, after, ok := strings.Cut(sdp, "m=audio ")
	n, err := strconv.Atoi(strings.Fields(after + " x")[0])
	if !ok || err != nil {
		t.Fatalf("no audio in %q", sdp)
	}
	return n
}
