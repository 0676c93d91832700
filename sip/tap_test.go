package sip

import (
	"fmt"
	"sync"
	"testing"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/sip/trace"
)

// tape is a Config.Trace that remembers.
type tape struct {
	mu   sync.Mutex
	list []string
}

func (p *tape) record(m trace.Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	direction := "from"
	if m.Sent {
		direction = "to"
	}
	p.list = append(p.list, fmt.Sprintf("%s %s %s at %s: %s", m.Transport, direction, m.Remote, m.Local, m.Start()))
}

// holds says whether a message was seen.
func (p *tape) holds(format string, args ...any) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.list {
		if s == fmt.Sprintf(format, args...) {
			return true
		}
	}
	return false
}

func TestTraceIsShownWhatIsOnTheWire(t *testing.T) {
	var p tape
	b := startAgent(t, func(c *Config) { c.Trace = p.record })
	w := newWire(t, b.Addr())
	line, d, ok := w.call(b)
	w.send("\r\n\r\n")
	bad := w.invite()
	bad.cseq = -1
	w.sendDraft(bad)
	w.response(400, "INVITE")
	w.sendDraft(d.within("BYE", ok))
	w.response(200, "BYE")
	expectEnd(t, line, bridge.CauseNormal)
	for _, want := range []string{
		"udp from %s at %s: INVITE " + d.uri + " SIP/2.0",
		"udp to %s at %s: SIP/2.0 100 Trying",
		"udp to %s at %s: SIP/2.0 200 OK",
		"udp to %s at %s: SIP/2.0 400 the CSeq number is not below 2147483648",
		"udp from %s at %s: BYE " + d.within("BYE", ok).uri + " SIP/2.0",
	} {
		if !p.holds(want, w.addr(), b.Addr()) {
			t.Errorf("not seen: "+want+"; but %q", w.addr(), b.Addr(), p.list)
		}
	}
	if p.holds("udp from %s at %s: ", w.addr(), b.Addr()) {
		t.Error("a keep-alive was shown")
	}
	peer := dialPeer(t, b.Addr())
	fmt.Fprint(peer.conn, peer.options(0))
	if s := peer.status(); s != "SIP/2.0 200 OK" {
		t.Fatal(s)
	}
	if from := peer.conn.LocalAddr(); !p.holds("tcp from %s at %s: OPTIONS sip:127.0.0.1 SIP/2.0", from, b.Addr()) ||
		!p.holds("tcp to %s at %s: SIP/2.0 200 OK", from, b.Addr()) {
		t.Errorf("over TCP: %q", p.list)
	}
}
