package sip

import (
	"testing"
	"testing/synctest"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
)

// TestEarlyMediaIsHeardOnBothSides joins two agents: each hears the other before
// the call is answered, and goes on hearing after.
func TestEarlyMediaIsHeardOnBothSides(t *testing.T) {
	bubble(t, nil, func(t *testing.T, n *memNet, a *agent) {
		b := startAgent(t, func(c *Config) { c.Listen, c.ListenTCP = n.Listen, listenDeaf })
		out := a.dial(bridge.DialSpec{To: b.uri("lobby"), From: "alice"})
		in := b.incoming()
		if err := in.Early(); err != nil {
			t.Fatal(err)
		}
		expect(t, out, bridge.LineEarly)
		expect(t, in.Line, bridge.LineEarly)
		var number uint16
		hear := func(from, to bridge.Line) {
			t.Helper()
			number++
			heard := make(chan []byte, 1)
			to.Media().Receive(func(p *media.Packet) { heard <- append([]byte(nil), p.Payload...) }, nil)
			p := &media.Packet{Codec: from.Media().Params().Codec, SequenceNumber: number, Timestamp: 160 * uint32(number), Payload: make([]byte, 160)}
			if err := from.Media().WritePacket(p); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			select {
			case <-heard:
			default:
				t.Error("nothing is heard")
			}
		}
		hear(in.Line, out)
		hear(out, in.Line)
		if err := in.Answer(); err != nil {
			t.Fatal(err)
		}
		expect(t, out, bridge.LineAnswered)
		expect(t, in.Line, bridge.LineAnswered)
		hear(in.Line, out)
		hear(out, in.Line)
		out.End(bridge.CauseNormal, "")
		expectEnd(t, out, bridge.CauseNormal)
		expectEnd(t, in.Line, bridge.CauseNormal)
	})
}
