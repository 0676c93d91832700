package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
)

// spoiled is a change that makes a sound request a malformed one. The list is
// sip's, written from the descriptions of RFC 4475; its head explains the form.
type spoiled struct {
	method, name, find, put string
	code                    int // 0: nothing can or may be answered
}

func spoiledRequests(t *testing.T) (list []spoiled) {
	t.Helper()
	f, err := os.Open("../../sip/testdata/torture.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		line := s.Text()
		if line == "" || line[0] == '#' {
			continue
		}
		parts := strings.SplitN(line, " | ", 5)
		if len(parts) == 4 && strings.HasSuffix(line, " |") {
			parts = append(parts[:3], strings.TrimSuffix(parts[3], " |"), "")
		}
		if len(parts) != 5 {
			t.Fatalf("%q", line)
		}
		code, err := strconv.Atoi(parts[1])
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range parts[0] {
			list = append(list, spoiled{map[rune]string{'I': "INVITE", 'O': "OPTIONS"}[m], parts[2], plainText(t, parts[3]), plainText(t, parts[4]), code})
		}
	}
	return list
}

// plainText resolves \r \n \t \\ \" and \xNN.
func plainText(t *testing.T, s string) string {
	t.Helper()
	var b strings.Builder
	for len(s) > 0 {
		if s[0] == '"' {
			b.WriteByte('"')
			s = s[1:]
			continue
		}
		r, multibyte, rest, err := strconv.UnquoteChar(s, '"')
		if err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		if multibyte {
			b.WriteRune(r)
		} else {
			b.WriteByte(byte(r))
		}
		s = rest
	}
	return b.String()
}

// spoil applies the change to a sound request of w.
func (s spoiled) spoil(t *testing.T, w *sipPeer) (draft, string) {
	t.Helper()
	d := w.invite("lobby", 40000)
	if d.method = s.method; s.method == "OPTIONS" {
		d.body = ""
	}
	fill := strings.NewReplacer("{METHOD}", d.method, "{method}", strings.ToLower(d.method), "{URI}", d.uri, "{ADDR}", w.addr(),
		"{BRANCH}", d.branch, "{CALLID}", d.callID, "{FROMTAG}", d.from, "{LENGTH}", strconv.Itoa(len(d.body)), "/UDP", "/"+w.transport(), "UDP ", w.transport()+" ")
	text := w.text(d)
	find, all := strings.CutSuffix(fill.Replace(s.find), "{REST}")
	before, after, found := strings.Cut(text, find)
	if !found {
		t.Fatalf("%s: %q is not in\n%s", s.name, find, text)
	}
	if all {
		after = ""
	}
	return d, before + fill.Replace(s.put) + after
}

func TestMalformedSIPIsAnsweredPreciselyAndHarmsNoCall(t *testing.T) {
	list := spoiledRequests(t)
	if len(list) < 200 {
		t.Fatalf("only %d malformed messages", len(list))
	}
	h := startHouse(t, "")
	call := h.steady()
	for _, s := range list {
		overUDP(h, s)
		overTCP(h, s)
	}
	garbageSIP(h)
	call.unharmed()
	call.grownBack()
	if n := len(h.exchange.Calls()); n != 1 {
		t.Errorf("%d calls live, want the one in progress", n)
	}
	var page struct{ Items []bridge.Refusal }
	h.until("the refused INVITEs are listed", func() bool {
		h.ask("GET", "/v1/refused?limit=500", nil, &page)
		return len(page.Items) > 150
	})
	for _, r := range page.Items {
		if r.Reason == "" || r.SIPCode < 400 || r.Source == "" || r.Cause == bridge.CauseNone {
			t.Errorf("listed without words: %+v", r)
		}
	}
	for _, secret := range []string{"m=audio", "a=rtpmap", "Max-Forwards:"} {
		if strings.Contains(h.log.all(), secret) {
			t.Errorf("the log holds messages' text: %q", secret)
		}
	}
}

// overUDP sends a malformed request and checks its answer.
func overUDP(h *house, s spoiled) {
	h.t.Helper()
	w := h.newPeer()
	defer w.conn.Close()
	d, text := s.spoil(h.t, w)
	w.send(text)
	if s.code == 0 { // what comes next is the answer to something sound
		sound := w.invite("lobby", 40000)
		sound.method, sound.body = "OPTIONS", ""
		w.sendDraft(sound)
		if m := w.final("OPTIONS"); m.value("Call-ID") != sound.callID {
			h.t.Errorf("%s %s: answered %q", s.method, s.name, m.start)
		}
		return
	}
	m, ok := w.receive(15 * time.Second)
	for ok && m.code == 100 {
		m, ok = w.receive(15 * time.Second)
	}
	judgeAnswer(h, "UDP", s, m, ok)
	if s.method == "INVITE" && ok && m.code >= 300 {
		w.ack(d, m)
	}
}

func judgeAnswer(h *house, transport string, s spoiled, m sipMessage, ok bool) {
	h.t.Helper()
	switch {
	case !ok:
		h.t.Errorf("%s %s %s: no answer", transport, s.method, s.name)
	case m.code != s.code:
		h.t.Errorf("%s %s %s: answered %q, want %d", transport, s.method, s.name, m.start, s.code)
	case m.code >= 300 && (len(m.start) < len("SIP/2.0 400 x") || m.value("Warning") == ""):
		h.t.Errorf("%s %s %s: answered without words: %q", transport, s.method, s.name, m.start)
	}
}

// unframed are changes after which a stream cannot be followed: the connection
// ends, with an answer or without.
var unframed = map[string]bool{
	"no empty line": true, "cut inside a header": true, "Content-Length too large": true, "Content-Length enormous": true,
	"no Content-Length over UDP": true,
}

// overTCP sends the same on a connection of its own, whose other direction ends there.
func overTCP(h *house, s spoiled) {
	h.t.Helper()
	w := h.newPeerTCP()
	defer w.conn.Close()
	d, text := s.spoil(h.t, w)
	w.send(text)
	if unframed[s.name] || s.code == 0 {
		w.conn.(*net.TCPConn).CloseWrite()
		w.conn.SetReadDeadline(time.Now().Add(15 * time.Second))
		answer, err := io.ReadAll(w.conn)
		if err != nil && !errors.Is(err, net.ErrClosed) {
			h.t.Errorf("TCP %s %s: the connection stays open: %v", s.method, s.name, err)
		}
		if len(answer) > 0 && !strings.HasPrefix(string(answer), "SIP/2.0 4") && !strings.HasPrefix(string(answer), "SIP/2.0 5") {
			h.t.Errorf("TCP %s %s: answered %q", s.method, s.name, answer)
		}
		return
	}
	m, ok := w.receive(15 * time.Second)
	for ok && m.code == 100 {
		m, ok = w.receive(15 * time.Second)
	}
	judgeAnswer(h, "TCP", s, m, ok)
	if s.method == "INVITE" && ok && m.code >= 300 {
		w.ack(d, m)
	}
}

// garbageSIP is what is no SIP at all.
func garbageSIP(h *house) {
	h.t.Helper()
	w := h.newPeer()
	for _, text := range []string{
		"", "\x00", "\r\n\r\n", "hello", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", strings.Repeat("A", 60000), "\x16\x03\x01\x02\x00\x01",
		"SIP/2.0 200 OK\r\n\r\n", "SIP/2.0 4294967301 better not\r\n\r\n", "SIP/2.0 200\r\nVia: x\r\nCSeq: x\r\n\r\n", "INVITE", "ACK sip:x SIP/2.0\r\n\r\n",
		"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=2\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n\r\n",
	} {
		w.send(text)
		tcp := h.newPeerTCP()
		tcp.send(text)
		tcp.conn.Close()
	}
	sound := w.invite("lobby", 40000)
	sound.method, sound.body = "OPTIONS", ""
	w.sendDraft(sound)
	w.await("answer to something sound", func(m sipMessage) bool { return m.code == 200 && m.value("Call-ID") == sound.callID })
}

func TestBrokenSDPIsRefusedInWords(t *testing.T) {
	h := startHouse(t, "")
	call := h.steady()
	sdp := func(change func(string) string) string { return change(peerSDP("127.0.0.1", 40000, "")) }
	replace := func(old, new string) string {
		return sdp(func(s string) string { return strings.Replace(s, old, new, 1) })
	}
	for _, c := range []struct {
		name, body string
		codes      string // one of these
	}{
		{"garbage", "\x00\x01\x02\x03", "400 488"},
		{"no version", replace("v=0\r\n", ""), "400"},
		{"wrong version", replace("v=0", "v=7"), "400"},
		{"no origin", replace("o=- 1 1 IN IP4 127.0.0.1\r\n", ""), "400"},
		{"no connection", replace("c=IN IP4 127.0.0.1\r\n", ""), "400 488"},
		{"connection of nonsense", replace("c=IN IP4 127.0.0.1", "c=IN IP4 300.1.2.3"), "400 488"},
		{"connection of IPv6 letters", replace("c=IN IP4 127.0.0.1", "c=IN IP6 zz::1"), "400 488"},
		{"multicast", replace("c=IN IP4 127.0.0.1", "c=IN IP4 224.0.0.1/127"), "400 488"},
		{"no media", replace("m=audio", "x=audio"), "400 488"},
		{"media of a negative port", replace("m=audio 40000", "m=audio -1"), "400 488"},
		{"media of port 99999", replace("m=audio 40000", "m=audio 99999"), "400 488"},
		{"media without formats", replace("RTP/AVP 0 8 101", "RTP/AVP"), "400 488"},
		{"format 300", replace("RTP/AVP 0 8 101", "RTP/AVP 300"), "400 488"},
		{"format of letters", replace("RTP/AVP 0 8 101", "RTP/AVP x"), "400 488"},
		{"only video", replace("m=audio", "m=video"), "488"},
		{"only G.722", replace("RTP/AVP 0 8 101", "RTP/AVP 9"), "488"},
		{"SRTP demanded", replace("RTP/AVP", "RTP/SAVP"), "488"},
		{"audio refused by ourselves", replace("m=audio 40000", "m=audio 0"), "488"},
		{"200 media lines", replace("m=audio", strings.Repeat("m=video 1 RTP/AVP 31\r\n", 200)+"m=audio"), "200 400 488"},
		{"a line of 20,000 letters", replace("s=-", "s="+strings.Repeat("x", 20000)), "200 400 488 513"},
	} {
		w := h.newPeer()
		d := w.invite("broken-"+strings.ReplaceAll(c.name, " ", "-"), 40000)
		d.uri = "sip:broken@" + h.ua.Addr().String()
		d.body = c.body
		w.sendDraft(d)
		m := w.final("INVITE")
		if !strings.Contains(c.codes, fmt.Sprint(m.code)) {
			t.Errorf("%s: answered %q, want %s", c.name, m.start, c.codes)
		}
		if m.code == 200 {
			w.sendDraft(d.within("ACK", m))
			w.bye(&d, m)
			continue
		}
		w.ack(d, m)
		if m.value("Warning") == "" {
			t.Errorf("%s: answered without words: %q", c.name, m.start)
		}
		var page struct{ Items []bridge.Refusal }
		h.until("it is listed", func() bool {
			h.ask("GET", "/v1/refused?limit=1", nil, &page)
			return len(page.Items) == 1 && page.Items[0].SIPCallID == d.callID
		})
		if r := page.Items[0]; r.SIPCode != m.code || r.Reason == "" {
			t.Errorf("%s: listed %+v", c.name, r)
		}
	}
	call.unharmed()
}
