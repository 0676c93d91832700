package sip

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/sip/grammar"
)

// slowDNS answers nothing until it is given up.
type slowDNS struct{}

func (slowDNS) LookupSRV(ctx context.Context, _, _, _ string) (string, []*net.SRV, error) {
	<-ctx.Done()
	return "", nil, ctx.Err()
}

func (slowDNS) LookupNetIP(ctx context.Context, _, _ string) ([]netip.Addr, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestALineThatLooksUpANameStillHearsItsPeer(t *testing.T) {
	bubble(t, func(c *Config) { c.Resolver = slowDNS{} }, func(t *testing.T, n *memNet, a *agent) {
		w := n.wire(t, a.Addr())
		c, d := w.ring(a, "Record-Route: <sip:proxy.example.com;lr>\r\n", sampleSDP("127.0.0.1", 40000, ""))
		c.Answer()
		ok := w.response(200, "INVITE")
		w.ackOK(d, ok)
		expect(t, c.Line, bridge.LineAnswered)
		held := make(chan error, 1)
		go func() { held <- c.Hold(context.Background(), true) }()
		time.Sleep(100 * time.Millisecond) // the re-INVITE looks the proxy up
		begin := time.Now()
		w.sendDraft(d.within("BYE", ok))
		w.response(200, "BYE")
		expectEnd(t, c.Line, bridge.CauseNormal)
		if err := <-held; err == nil {
			t.Error("held a call that has ended")
		}
		if d := time.Since(begin); d > 100*time.Millisecond {
			t.Errorf("the BYE took %v", d)
		}
	})
}

func TestAByeThatCannotBeSentStillEndsTheLine(t *testing.T) {
	bubble(t, func(c *Config) { c.Resolver = slowDNS{} }, func(t *testing.T, n *memNet, a *agent) {
		w := n.wire(t, a.Addr())
		c, d := w.ring(a, "Record-Route: <sip:proxy.example.com;lr>\r\n", sampleSDP("127.0.0.1", 40000, ""))
		c.Answer()
		w.ackOK(d, w.response(200, "INVITE"))
		expect(t, c.Line, bridge.LineAnswered)
		c.End(bridge.CauseNormal, "")
		expectEnd(t, c.Line, bridge.CauseNormal) // at once: the rest is between us and DNS
		select {
		case <-c.Line.(*Line).done:
		case <-time.After(time.Minute):
			t.Error("the line waits for DNS for ever")
		}
	})
}

func TestByeFromAPhoneThatHasNotAnswered(t *testing.T) {
	bubble(t, nil, func(t *testing.T, n *memNet, a *agent) {
		w := n.wire(t, a.Addr())
		out := a.dial(bridge.DialSpec{To: "sip:x@" + w.addr()})
		inv := w.request("INVITE")
		w.reply(inv, 180, "Ringing", "one", "", "")
		w.reply(inv, 180, "Ringing", "two", "", "")
		expect(t, out, bridge.LineRinging)
		time.Sleep(time.Millisecond)
		for i, tag := range []string{"one", "two"} {
			bye := draft{method: "BYE", uri: "sip:x@" + w.to.String(), callID: inv.value("call-id"), branch: "z9hG4bK" + unique("b"),
				fromTag: tag, toTag: grammar.TagOf(inv.value("from")), cseq: i + 1}
			w.sendDraft(bye)
			w.response(200, "BYE")
		}
		w.reply(w.request("CANCEL"), 200, "OK", "", "", "")
		w.reply(inv, 487, "Request Terminated", "two", "", "")
		expectEnd(t, out, bridge.CauseRejected)
	})
}
