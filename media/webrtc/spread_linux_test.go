//go:build linux && (amd64 || arm64 || riscv64)

package webrtc

import (
	"context"
	"testing"
	"time"

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
	type leg struct {
		out   *OutTrack
		heard chan uint16
		hold  chan struct{} // the callback waits for it
	}
	var legs []*leg
	for range 12 {
		l := &leg{heard: make(chan uint16, 1000), hold: make(chan struct{}, 1000)}
		hs, cs := listen(func(_ *InTrack, p *media.Packet) {
			if string(p.Payload) == "wait" {
				<-l.hold
			}
			l.heard <- p.SequenceNumber
		})
		s, c := peer(t, server, cs), peer(t, engine(t, Config{}), PeerConfig{})
		if err := s.Receive(Audio); err != nil {
			t.Fatal(err)
		}
		var err error
		if l.out, err = c.AddTrack(Audio, media.Opus, "a", "b"); err != nil {
			t.Fatal(err)
		}
		negotiate(t, s, c, false)
		waitState(t, hs, Connected)
		stop := pump(l.out, media.Opus, []byte("x"))
		for wait(t, "the track", hs.tracks); received(s) < 5; {
			wait(t, "a packet", l.heard)
		}
		stop()
		legs = append(legs, l)
	}
	send := func(l *leg, payload string) {
		l.out.Splice()
		_ = l.out.WritePacket(&media.Packet{Codec: media.Opus, Payload: []byte(payload)})
	}
	for _, l := range legs {
		drain(t, l.heard)
	}
	send(legs[0], "wait")
	for _, l := range legs[1:] {
		send(l, "x")
	}
	free := 0
	deadline := time.After(10 * time.Second)
	for _, l := range legs[1:] {
		select {
		case <-l.heard:
			free++
		case <-deadline:
		case <-time.After(300 * time.Millisecond): // shares the socket of the slow one
		}
	}
	if free == 0 {
		t.Error("one slow callback held up all the others")
	}
	legs[0].hold <- struct{}{}
	wait(t, "the slow packet", legs[0].heard)
}

// drain empties the channel of what is on its way.
func drain(t testing.TB, ch <-chan uint16) {
	t.Helper()
	for {
		select {
		case <-ch:
		case <-time.After(20 * time.Millisecond):
			return
		}
	}
}
