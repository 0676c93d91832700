package sip

import (
	"bufio"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/sip/grammar"
	"github.com/roomline/roomline/sip/socket"
)

// spoiled is one line of testdata/torture.txt.
type spoiled struct {
	method, name, find, put string
	code                    int
}

func loadTorture(t testing.TB) []spoiled {
	t.Helper()
	f, err := os.Open("testdata/torture.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var list []spoiled
	for s := bufio.NewScanner(f); s.Scan(); {
		if s.Text() == "" || s.Text()[0] == '#' {
			continue
		}
		parts := strings.SplitN(s.Text(), " | ", 5)
		if len(parts) == 4 && strings.HasSuffix(s.Text(), " |") {
			parts = append(parts[:3], strings.TrimSuffix(parts[3], " |"), "")
		}
		if len(parts) != 5 {
			t.Fatalf("torture.txt: %q", s.Text())
		}
		code, err := strconv.Atoi(parts[1])
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range parts[0] {
			method := map[rune]string{'I': "INVITE", 'O': "OPTIONS"}[m]
			list = append(list, spoiled{method, parts[2], unescape(t, parts[3]), unescape(t, parts[4]), code})
		}
	}
	return list
}

// unescape understands \r \n \t \\ \" and \xNN.
func unescape(t testing.TB, s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		switch s[i] {
		case 'r':
			b.WriteByte('\r')
		case 'n':
			b.WriteByte('\n')
		case 't':
			b.WriteByte('\t')
		case 'x':
			n, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
			if err != nil {
				t.Fatal(err)
			}
			b.WriteByte(byte(n))
			i += 2
		default:
			b.WriteByte('\\')
			if s[i] != '\\' {
				b.WriteByte(s[i])
			}
		}
	}
	return b.String()
}

// spoil applies the change to a sound request.
func (s spoiled) spoil(t testing.TB, w *wire) (draft, string) {
	t.Helper()
	d := w.invite()
	d.method = s.method
	if s.method == "OPTIONS" {
		d.body = ""
	}
	fill := strings.NewReplacer("{METHOD}", d.method, "{method}", strings.ToLower(d.method), "{URI}", d.uri, "{ADDR}", w.addr(),
		"{BRANCH}", d.branch, "{CALLID}", d.callID, "{FROMTAG}", d.fromTag, "{LENGTH}", strconv.Itoa(len(d.body)))
	text, find := w.text(d), fill.Replace(s.find)
	find, all := strings.CutSuffix(find, "{REST}")
	at := strings.Index(text, find)
	if at < 0 {
		t.Fatalf("%s: %q is not in\n%s", s.name, find, text)
	}
	rest := text[at+len(find):]
	if all {
		rest = ""
	}
	return d, text[:at] + fill.Replace(s.put) + rest
}

func TestMalformedRequestsAreAnsweredPreciselyAndHarmNoCall(t *testing.T) {
	list := loadTorture(t)
	if len(list) < 200 {
		t.Fatalf("only %d malformed messages", len(list))
	}
	b := startAgent(t, nil)
	quiet := newWire(t, b.Addr())
	line, talk, ok := quiet.call(b)
	invites := 0
	for _, s := range list {
		w := newWire(t, b.Addr())
		d, text := s.spoil(t, w)
		w.send(text)
		checkAnswer(t, w, s, d)
		w.conn.Close()
		if s.method == "INVITE" && !strings.HasPrefix(s.name, "tag of") && s.name != "method differs from CSeq" &&
			!strings.HasPrefix(s.name, "method ") && !strings.HasPrefix(s.name, "tab in") {
			invites++
		}
	}
	quiet.reinvite(&talk, ok, sampleSDP("127.0.0.1", 40000, "m=audio 40000 RTP/AVP 0\r\na=sendonly\r\n"), 200)
	expect(t, line, bridge.LineHeld)
	talk.cseq++
	bye := talk.within("BYE", ok)
	quiet.sendDraft(bye)
	quiet.response(200, "BYE")
	expectEnd(t, line, bridge.CauseNormal)
	if len(b.calls) > 0 {
		t.Error("a malformed INVITE became a call")
	}
	if got := len(b.refusals); got != invites {
		t.Errorf("%d refusals reported for %d malformed INVITEs", got, invites)
	}
	garbage(t, b.Addr())
	for len(b.refusals) > 0 {
		if r := <-b.refusals; r.Reason == "" || r.SIPCode < 400 || r.Source == "" {
			t.Errorf("reported without words: %+v", r)
		}
	}
}

// checkAnswer expects one response with the right code and words of its own.
func checkAnswer(t *testing.T, w *wire, s spoiled, d draft) {
	t.Helper()
	wait := patience
	if s.code == 0 {
		wait = 50 * time.Millisecond
	}
	deadline := time.Now().Add(wait)
	for {
		m, ok := w.receive(time.Until(deadline))
		switch {
		case !ok && s.code == 0:
			return
		case !ok:
			t.Errorf("%s %s: no answer", s.method, s.name)
			return
		case m.code == 100:
			continue
		case m.code != s.code:
			t.Errorf("%s %s: answered %q, want %d", s.method, s.name, m.start, s.code)
		case m.code >= 300 && (m.phrase == "" || m.value("warning") == "" || m.value("server") == ""):
			t.Errorf("%s %s: answered without words: %q %q", s.method, s.name, m.start, m.Fields)
		case m.code == 405 || m.Fault != nil:
			t.Errorf("%s %s: our answer is broken: %v", s.method, s.name, m.Fault)
		}
		return
	}
}

// garbage sends what is no SIP at all, and broken responses.
func garbage(t *testing.T, to netip.AddrPort) {
	t.Helper()
	w := newWire(t, to)
	for _, text := range []string{
		"\x00\x00\x00", "\r\n\r\n", "hello", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", strings.Repeat("A", 30000),
		"SIP/2.0 200 OK\r\n\r\n", "SIP/2.0 4294967301 better not\r\n\r\n", "SIP/2.0 200\r\nVia: x\r\nCSeq: x\r\n\r\n",
		"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=2\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n\r\n",
		"\x16\x03\x01\x02\x00\x01", "INVITE", "INVITE sip:x SIP/2.0", "ACK sip:x SIP/2.0\r\nVia: x\r\n\r\n",
	} {
		w.send(text)
	}
	big := w.invite()
	big.extra = "X-Big: " + strings.Repeat("b", 20000) + "\r\n"
	big.method, big.body = "OPTIONS", ""
	w.sendDraft(big)
	w.response(513, "OPTIONS")
}

func TestRefusedInviteIsReportedOnceHoweverOftenItComes(t *testing.T) {
	b := startAgent(t, nil)
	w := newWire(t, b.Addr())
	d := w.invite()
	text := strings.Replace(w.text(d), "Max-Forwards: 70\r\n", "", 1)
	for range 5 {
		w.send(text)
		w.response(400, "INVITE")
	}
	if n := len(b.refusals); n != 1 {
		t.Errorf("reported %d times", n)
	}
}

func FuzzRequestCheck(f *testing.F) {
	sound := "OPTIONS sip:lobby@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK1;rport\r\nFrom: \"B\" <sip:b@example.com>;tag=1\r\nTo: <sip:l@example.com>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
	f.Add([]byte(sound))
	f.Add([]byte(strings.ReplaceAll(sound, "OPTIONS", "INVITE")))
	f.Add([]byte("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1\r\n\r\n"))
	f.Add([]byte(strings.Replace(sound, "Via", "v", 1) + "x"))
	source := netip.MustParseAddrPort("192.0.2.1:5060")
	f.Fuzz(func(t *testing.T, raw []byte) {
		g := socket.NewGuard("test", "INVITE, ACK", func(*grammar.Head, *grammar.Fault, netip.AddrPort, string) {})
		ok, answer := g.Admit(raw, source, "udp")
		if !ok {
			checkFuzzAnswer(t, g, answer)
			return
		}
		m, err := sipmsg.ParseMessage(raw)
		if err != nil {
			t.Fatalf("let through, but: %v", err)
		}
		if req, is := m.(*sipmsg.Request); is {
			inviteOf(req)
			sdpBody(req)
			g.Retag([]byte(sipmsg.NewResponseFromRequest(req, 487, "x", nil).String()))
		}
	})
}

// checkFuzzAnswer: what we answer must pass for a response itself.
func checkFuzzAnswer(t *testing.T, g *socket.Guard, answer []byte) {
	if answer == nil {
		return
	}
	h := grammar.Read(answer)
	if h.Fault != nil || !h.Response {
		t.Errorf("broken answer: %v\n%q", h.Fault, answer)
	}
	socket.ReplyTo(answer, netip.MustParseAddrPort("192.0.2.1:5060"))
}
