package sip

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
)

// junk sends what strangers send, from 200 loopback addresses, at a rate per
// second, until it is stopped; it says how many were sent.
func junk(t *testing.T, to netip.AddrPort, rate int) (sent *atomic.Int64) {
	t.Helper()
	var conns []net.PacketConn
	for i := range 200 {
		c, err := net.ListenPacket("udp4", net.IPv4(127, 0, 2, byte(i+1)).String()+":0")
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	sent = new(atomic.Int64)
	wg.Go(func() {
		const beat = 10 * time.Millisecond
		tick := time.NewTicker(beat)
		defer tick.Stop()
		begin := time.Now()
		for {
			for due := int64(time.Since(begin).Seconds() * float64(rate)); sent.Load() < due; sent.Add(1) {
				n := int(sent.Load())
				conns[n%len(conns)].WriteTo([]byte(junkMessage(n)), net.UDPAddrFromAddrPort(to))
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	})
	t.Cleanup(func() {
		stop()
		wg.Wait()
		for _, c := range conns {
			c.Close()
		}
	})
	return sent
}

// junkMessage is one of everything, none like the other.
func junkMessage(n int) string {
	kinds := []string{"junk", "no SIP", "broken", "OPTIONS", "INVITE", "response"}
	text := floods[kinds[n%len(kinds)]]
	id := unique("j")
	text = strings.NewReplacer("branch=z9hG4bK", "branch=z9hG4bK"+id, "Call-ID: ", "Call-ID: "+id, "tag=1", "tag="+id).Replace(text)
	if n%5 == 0 {
		text = strings.ReplaceAll(text, "OPTIONS", "REGISTER")
	}
	return text
}

func TestCallsAreUnharmedByJunk(t *testing.T) {
	const rate = 5000
	caller := mustAddr("127.0.0.1")
	for name, known := range map[string]func(netip.Addr) bool{
		"from strangers":                  func(a netip.Addr) bool { return a == caller },
		"from a network that is believed": nil,
	} {
		t.Run(name, func(t *testing.T) {
			b := startAgent(t, func(c *Config) {
				c.Known = known
				c.Refused = func(bridge.Refusal) {}
				c.Admit = func(i bridge.Invite) *bridge.Refusal {
					if i.Source.Addr() != caller {
						return &bridge.Refusal{Cause: bridge.CauseForbidden, Reason: "not from here"}
					}
					return nil
				}
			})
			a := startAgent(t, nil)
			before := heap()
			lasting, far := talk(t, a, b)
			sent := junk(t, b.Addr(), rate)
			begin, calls := time.Now(), 0
			var worst time.Duration
			pace := time.NewTicker(50 * time.Millisecond)
			defer pace.Stop()
			for ; time.Since(begin) < 3*time.Second; calls++ {
				<-pace.C
				start := time.Now()
				out, in := talk(t, a, b)
				worst = max(worst, time.Since(start))
				out.End(bridge.CauseNormal, "")
				expectEnd(t, in, bridge.CauseNormal)
				expectEnd(t, out, bridge.CauseNormal)
			}
			junked := float64(sent.Load()) / time.Since(begin).Seconds()
			if err := lasting.Hold(t.Context(), true); err != nil {
				t.Errorf("the call that stood: %v", err)
			}
			expect(t, far, bridge.LineHeld)
			used := heap() - before
			t.Logf("%.0f junk messages a second; %d calls, the slowest answered in %v; %d kB of memory more", junked, calls, worst, used>>10)
			if worst > 2*time.Second { // each is set up in some 20 ms when the machine is free
				t.Errorf("a call waited for %v", worst)
			}
			if junked < rate*9/10 {
				t.Errorf("only %.0f junk messages a second were sent", junked)
			}
			if used > 96<<20 {
				t.Errorf("%d MB of memory more", used>>20)
			}
		})
	}
}

// Too many transactions: what is refused is answered without one, again and
// again in the same words, and told of once.
func TestRefusalsNeedNoMemoryUnderPressure(t *testing.T) {
	b := startAgent(t, func(c *Config) {
		c.Admit = func(bridge.Invite) *bridge.Refusal {
			return &bridge.Refusal{Cause: bridge.CauseForbidden, Reason: "not from here"}
		}
	})
	const bound, invites = 20, 200
	b.pressure.bound.Store(bound)
	w := newWire(t, b.Addr())
	for range invites {
		d := w.invite()
		refusal := func() (to string) { // past those of earlier INVITEs that come again
			w.sendDraft(d)
			for m := w.response(403, "INVITE"); ; m = w.response(403, "INVITE") {
				if m.value("call-id") == d.callID {
					return m.value("to")
				}
			}
		}
		if first, again := refusal(), refusal(); again != first {
			t.Fatalf("refused with %q, then with %q", first, again)
		}
		d.method, d.body, d.branch = "OPTIONS", "", "z9hG4bK"+unique("b")
		w.sendDraft(d)
		w.response(200, "OPTIONS")
	}
	if n := b.pressure.alive.Load(); n > bound+2 {
		t.Errorf("%d transactions are alive", n)
	}
	for n := range invites {
		select {
		case <-b.refusals:
		case <-time.After(patience):
			t.Fatalf("%d refusals for %d INVITEs", n, invites)
		}
	}
	if len(b.refusals) > 0 {
		t.Error("a refusal was told of twice")
	}
}
