package sip

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"
	"go.uber.org/goleak"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/sip/grammar"
)

// TestMain runs SIP's clock five times as fast, and looks for goroutines left behind.
func TestMain(m *testing.M) {
	sipmsg.SetTimers(100*time.Millisecond, 800*time.Millisecond, time.Second)
	goleak.VerifyTestMain(m)
}

// patience bounds every wait in these tests.
const patience = 8 * time.Second

// call is an inbound Line with what its INVITE asked.
type call struct {
	bridge.Invite
	bridge.Line
}

// agent is a UA under test with what came out of it.
type agent struct {
	*UA
	t        *testing.T
	stop     func() // ends it early, and waits
	calls    chan call
	refusals chan bridge.Refusal
}

func startAgent(t *testing.T, change func(*Config)) *agent {
	t.Helper()
	a := &agent{t: t, calls: make(chan call, 512), refusals: make(chan bridge.Refusal, 4096)}
	c := Config{
		Addrs:    []string{"127.0.0.1:0"},
		Incoming: func(i bridge.Invite, l bridge.Line) { a.calls <- call{i, l} },
		Refused:  func(r bridge.Refusal) { a.refusals <- r },
	}
	if change != nil {
		change(&c)
	}
	var err error
	if a.UA, err = New(c); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	var failed error
	wg.Go(func() { failed = a.Run(ctx) })
	a.stop = func() { cancel(); wg.Wait() }
	t.Cleanup(func() {
		begin := time.Now()
		a.stop()
		if d := time.Since(begin); d > time.Second {
			t.Logf("stopping took %v", d)
		}
		if failed != nil {
			t.Errorf("Run: %v", failed)
		}
	})
	select {
	case <-a.Ready():
	case <-time.After(patience):
		t.Fatal("the UA is not ready")
	}
	return a
}

func (a *agent) uri(user string) string { return "sip:" + user + "@" + a.Addr().String() }

// incoming waits for the next inbound Line.
func (a *agent) incoming() call {
	a.t.Helper()
	select {
	case c := <-a.calls:
		return c
	case <-time.After(patience):
		for len(a.refusals) > 0 {
			a.t.Log(<-a.refusals)
		}
		a.t.Fatal("no call came in")
		return call{}
	}
}

func (a *agent) dial(spec bridge.DialSpec) bridge.Line {
	a.t.Helper()
	l, err := a.Dial(spec)
	if err != nil {
		a.t.Fatal(err)
	}
	return l
}

// expect waits for an event of one kind; another one fails the test.
func expect(t *testing.T, l bridge.Line, kind bridge.LineEventKind) bridge.LineEvent {
	t.Helper()
	select {
	case e, open := <-l.Events():
		if !open {
			t.Fatalf("events ended, want kind %d", kind)
		}
		if e.Kind != kind {
			t.Fatalf("got event %+v, want kind %d", e, kind)
		}
		return e
	case <-time.After(patience):
		t.Fatalf("no event, want kind %d", kind)
		return bridge.LineEvent{}
	}
}

// expectEnd waits for LineEnded with a cause and the end of events.
func expectEnd(t *testing.T, l bridge.Line, cause bridge.Cause) bridge.LineEvent {
	t.Helper()
	e := expect(t, l, bridge.LineEnded)
	if e.Cause != cause {
		t.Fatalf("ended with %q (%d %s), want %q", e.Cause, e.SIPCode, e.Reason, cause)
	}
	if _, open := <-l.Events(); open {
		t.Fatal("an event came after LineEnded")
	}
	return e
}

// talk connects two agents.
func talk(t *testing.T, from, to *agent) (out, in bridge.Line) {
	t.Helper()
	out = from.dial(bridge.DialSpec{To: to.uri("lobby"), From: "alice"})
	c := to.incoming()
	if err := c.Answer(); err != nil {
		t.Fatal(err)
	}
	expect(t, out, bridge.LineAnswered)
	expect(t, c.Line, bridge.LineAnswered)
	return out, c.Line
}

// wire is a SIP peer made of bytes: it does what the test says and nothing else.
type wire struct {
	t    *testing.T
	conn net.PacketConn
	to   net.Addr // where send goes
	seen []message
}

// message is what arrived.
type message struct {
	*grammar.Head
	start  string
	code   int
	phrase string
	from   net.Addr
}

func newWire(t *testing.T, to netip.AddrPort) *wire {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &wire{t: t, conn: conn, to: net.UDPAddrFromAddrPort(to)}
}

func (w *wire) addr() string { return w.conn.LocalAddr().String() }

func (w *wire) send(text string) {
	w.t.Helper()
	if _, err := w.conn.WriteTo([]byte(text), w.to); err != nil {
		w.t.Fatal(err)
	}
}

// receive returns the next message, or false after d.
func (w *wire) receive(d time.Duration) (message, bool) {
	w.t.Helper()
	buf := make([]byte, 65535)
	w.conn.SetReadDeadline(time.Now().Add(d))
	n, from, err := w.conn.ReadFrom(buf)
	if err != nil {
		return message{}, false
	}
	m := parseMessage(buf[:n])
	m.from = from
	w.seen = append(w.seen, m)
	return m, true
}

func parseMessage(raw []byte) message {
	m := message{Head: grammar.Read(raw)}
	m.start, _, _ = strings.Cut(string(raw), "\r\n")
	if m.Response {
		parts := strings.SplitN(m.start, " ", 3)
		m.code, _ = strconv.Atoi(parts[1])
		if len(parts) > 2 {
			m.phrase = parts[2]
		}
	}
	return m
}

// response waits for a response with a code to a method, past everything else.
func (w *wire) response(code int, method string) message {
	w.t.Helper()
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		m, ok := w.receive(time.Until(deadline))
		if ok && m.code == code && strings.HasSuffix(m.value("cseq"), " "+method) {
			return m
		}
	}
	w.t.Fatalf("no %d to %s; seen: %s", code, method, w.history())
	return message{}
}

// request waits for a request, past everything else.
func (w *wire) request(method string) message {
	w.t.Helper()
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		m, ok := w.receive(time.Until(deadline))
		if ok && m.Method == method {
			return m
		}
	}
	w.t.Fatalf("no %s; seen: %s", method, w.history())
	return message{}
}

// silence fails the test if anything arrives that matches within d.
func (w *wire) silence(d time.Duration, match func(message) bool) {
	w.t.Helper()
	deadline := time.Now().Add(d)
	for time.Now().Before(deadline) {
		if m, ok := w.receive(time.Until(deadline)); ok && match(m) {
			w.t.Fatalf("unexpected %q", m.start)
		}
	}
}

func (w *wire) history() string {
	var list []string
	for _, m := range w.seen {
		list = append(list, m.start)
	}
	return strings.Join(list, " | ")
}

func (m message) value(name string) string {
	v, _ := m.Get(name)
	return v
}

// draft is a request to be sent by a wire.
type draft struct {
	method, uri    string
	branch, callID string
	fromTag, toTag string
	cseq           int
	extra          string // further header lines, each ended by CRLF
	body           string
}

// sampleSDP is an offer with its media at an address.
func sampleSDP(ip string, port int, rest string) string {
	if rest == "" {
		rest = fmt.Sprintf("m=audio %d RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n", port)
	}
	kind := "IP4"
	if strings.Contains(ip, ":") {
		kind = "IP6"
	}
	return fmt.Sprintf("v=0\r\no=- 1 1 IN %s %s\r\ns=-\r\nc=IN %s %s\r\nt=0 0\r\n%s", kind, ip, kind, ip, rest)
}

var counter struct {
	sync.Mutex
	n int
}

func unique(prefix string) string {
	counter.Lock()
	defer counter.Unlock()
	counter.n++
	return prefix + strconv.Itoa(counter.n) + "x" + strconv.Itoa(os.Getpid())
}

// invite is a sound INVITE to be changed.
func (w *wire) invite() draft {
	return draft{method: "INVITE", uri: "sip:lobby@" + w.to.String(), branch: "z9hG4bK" + unique("b"), callID: unique("call"),
		fromTag: unique("f"), cseq: 1, body: sampleSDP("127.0.0.1", 40000, "")}
}

// within is a request of the same dialog; ok is the 200 or 180 that made it.
func (d draft) within(method string, ok message) draft {
	d.method, d.toTag, d.body, d.extra = method, grammar.TagOf(ok.value("to")), "", ""
	d.branch = "z9hG4bK" + unique("b")
	if method != "ACK" {
		d.cseq++
	}
	if uri, _, _ := grammar.SplitAddress(ok.value("contact")); uri != "" {
		d.uri = uri
	}
	return d
}

func (w *wire) text(d draft) string {
	to := "<sip:lobby@example.com>"
	if d.toTag != "" {
		to += ";tag=" + d.toTag
	}
	content := ""
	if d.body != "" && !strings.Contains(d.extra, "Content-Type") {
		content = "Content-Type: application/sdp\r\n"
	}
	return fmt.Sprintf("%s %s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=%s;rport\r\nFrom: \"Bob\" <sip:bob@example.com>;tag=%s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %d %s\r\nMax-Forwards: 70\r\nContact: <sip:bob@%s>\r\n%s%sContent-Length: %d\r\n\r\n%s",
		d.method, d.uri, w.addr(), d.branch, d.fromTag, to, d.callID, d.cseq, d.method, w.addr(), d.extra, content, len(d.body), d.body)
}

func (w *wire) sendDraft(d draft) { w.t.Helper(); w.send(w.text(d)) }

// reply answers a request that arrived; extra are whole header lines.
func (w *wire) reply(m message, code int, phrase, toTag, extra, body string) {
	w.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "SIP/2.0 %d %s\r\n", code, phrase)
	for _, f := range m.Fields {
		switch f.Name {
		case "via", "from", "call-id", "cseq", "record-route":
			fmt.Fprintf(&b, "%s: %s\r\n", f.Name, f.Value)
		case "to":
			v := f.Value
			if toTag != "" && !strings.Contains(v, "tag=") {
				v += ";tag=" + toTag
			}
			fmt.Fprintf(&b, "To: %s\r\n", v)
		}
	}
	if !strings.Contains(extra, "Contact:") {
		fmt.Fprintf(&b, "Contact: <sip:phone@%s>\r\n", w.addr())
	}
	b.WriteString(extra)
	if body != "" {
		b.WriteString("Content-Type: application/sdp\r\n")
	}
	fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(body), body)
	if _, err := w.conn.WriteTo([]byte(b.String()), m.from); err != nil {
		w.t.Fatal(err)
	}
}

// call connects a wire to an agent.
func (w *wire) call(a *agent) (bridge.Line, draft, message) {
	w.t.Helper()
	d := w.invite()
	w.sendDraft(d)
	c := a.incoming()
	if err := c.Answer(); err != nil {
		w.t.Fatal(err)
	}
	ok := w.response(200, "INVITE")
	w.sendDraft(d.within("ACK", ok))
	expect(w.t, c.Line, bridge.LineAnswered)
	return c.Line, d, ok
}

func mustAddr(s string) netip.Addr { return netip.MustParseAddr(s) }

func mustAddrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func netAddr(a netip.AddrPort) net.Addr { return net.UDPAddrFromAddrPort(a) }
