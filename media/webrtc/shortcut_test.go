package webrtc

import (
	"testing"

	"github.com/roomline/roomline/media"
)

// talk is a server and a client, connected, with sound both ways.
type talk struct {
	s, c         *Peer
	hs, hc       *heard
	up, down     *OutTrack // the client's and the server's
	atS, atC     chan packet
	inS, inC     *InTrack
	server, side *Engine
}

func newTalk(t testing.TB, server, client Config) *talk {
	t.Helper()
	server.ICELite = true
	k := &talk{atS: make(chan packet, 1000), atC: make(chan packet, 1000)}
	k.server, k.side = engine(t, server), engine(t, client)
	hs, cs := listen(collect(k.atS))
	hc, cc := listen(collect(k.atC))
	k.hs, k.hc = hs, hc
	k.s, k.c = peer(t, k.server, cs), peer(t, k.side, cc)
	if err := k.s.Receive(Audio); err != nil {
		t.Fatal(err)
	}
	var err error
	if k.down, err = k.s.AddTrack(Audio, media.Opus, "down", "server"); err != nil {
		t.Fatal(err)
	}
	if k.up, err = k.c.AddTrack(Audio, media.Opus, "up", "client"); err != nil {
		t.Fatal(err)
	}
	negotiate(t, k.s, k.c, false)
	waitState(t, hs, Connected)
	waitState(t, hc, Connected)
	return k
}

// warm sends until both roads know the streams, and returns the numbers in use.
func (k *talk) warm(t testing.TB) {
	t.Helper()
	stops := []func(){pump(k.up, media.Opus, []byte("up")), pump(k.down, media.Opus, []byte("down"))}
	k.inS, k.inC = wait(t, "the track at the server", k.hs.tracks), wait(t, "the track at the client", k.hc.tracks)
	for !k.inS.stream.attached() || !k.inC.stream.attached() {
		wait(t, "a packet at the server", k.atS)
		wait(t, "a packet at the client", k.atC)
	}
	for _, stop := range stops {
		stop()
	}
}

// shorts is how many packets of a stream came by the short road.
func (t *InTrack) shorts() uint64 {
	t.stream.mu.Lock()
	defer t.stream.mu.Unlock()
	return t.stream.short
}

func TestSoundTakesTheShortRoad(t *testing.T) {
	k := newTalk(t, Config{}, Config{})
	k.warm(t)
	stops := []func(){pump(k.up, media.Opus, []byte("up")), pump(k.down, media.Opus, []byte("down"))}
	for range 100 {
		wait(t, "a packet at the server", k.atS)
		wait(t, "a packet at the client", k.atC)
	}
	for _, stop := range stops {
		stop()
	}
	if a, b := k.inS.shorts(), k.inC.shorts(); a < 50 || b < 50 || k.up.short < 50 || k.down.short < 50 {
		t.Errorf("short road: %d and %d received, %d and %d sent", a, b, k.up.short, k.down.short)
	}
}
