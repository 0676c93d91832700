//go:build linux && (amd64 || arm64 || riscv64)

package webrtc

import (
	"context"
	"testing"

	"github.com/roomline/roomline/media"
)

// Peers behind one port are read by several goroutines; one whose callback takes
// long holds up its own socket's alone.
func TestPeersAreSpreadOverReaders(t *testing.T) {
	server := engine(t, Config{ICELite: true, Readers: 4})
	if server.spread == nil || len(server.spread.others) != 3 {
		t.Fatal("the port has not 4 sockets")
	}
	if _, err := NewEngine(context.Background(), Config{UDPAddr: server.Addr().String(), ICELite: true, Readers: 4}); err == nil {
		t.Error("the port could be opened twice")
	}
	slow, others := make(chan string, 1000), make(chan string, 1000) // what was heard
	hold := make(chan struct{})
	var outs []*OutTrack
	for i := range 12 {
		heard := others
		if i == 0 {
			heard = slow
		}
		hs, cs := listen(func(_ *InTrack, p *media.Packet) {
			if string(p.Payload) == "wait" {
				<-hold
			}
			heard <- string(p.Payload)
		})
		s, c := peer(t, server, cs), peer(t, engine(t, Config{}), PeerConfig{})
		if err := s.Receive(Audio); err != nil {
			t.Fatal(err)
		}
		out, err := c.AddTrack(Audio, media.Opus, "a", "b")
		if err != nil {
			t.Fatal(err)
		}
		negotiate(t, s, c, false)
		waitState(t, hs, Connected)
		stop := pump(out, media.Opus, []byte("x"))
		for wait(t, "the track", hs.tracks); received(s) < 5; {
			wait(t, "a packet", heard)
		}
		stop()
		outs = append(outs, out)
	}
	send := func(out *OutTrack, payload string) {
		out.Splice()
		_ = out.WritePacket(&media.Packet{Codec: media.Opus, Payload: []byte(payload)})
	}
	send(outs[0], "wait")
	for _, out := range outs[1:] {
		send(out, "through")
	}
	for wait(t, "a peer of another socket", others) != "through" {
	}
	close(hold)
	for wait(t, "the slow packet", slow) != "wait" {
	}
}
