package webrtc

import (
	"context"
	"net/netip"
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
	seq          uint16
}

// via, if any, rewrites the offer on its way.
func newTalk(t testing.TB, server, client Config, via ...func(string) string) *talk {
	t.Helper()
	server.ICELite = true
	return newTalkWith(t, engine(t, server), client, via...)
}

// newTalkWith is newTalk with a server that others use too.
func newTalkWith(t testing.TB, server *Engine, client Config, via ...func(string) string) *talk {
	t.Helper()
	k := &talk{atS: make(chan packet, 1000), atC: make(chan packet, 1000)}
	k.server, k.side = server, engine(t, client)
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
	k.negotiate(t, false, via...)
	waitState(t, hs, Connected)
	waitState(t, hc, Connected)
	return k
}

func (k *talk) negotiate(t testing.TB, restart bool, via ...func(string) string) {
	t.Helper()
	offer, err := k.s.CreateOffer(restart)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range via {
		offer = f(offer)
	}
	answer, err := k.c.AcceptOffer(context.Background(), offer)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.s.AcceptAnswer(answer); err != nil {
		t.Fatal(err)
	}
}

// warm sends until both ends know the streams.
func (k *talk) warm(t testing.TB) {
	t.Helper()
	stop := k.pump()
	defer stop()
	k.inS, k.inC = wait(t, "the track at the server", k.hs.tracks), wait(t, "the track at the client", k.hc.tracks)
	for !k.inS.stream.attached() || !k.inC.stream.attached() {
		wait(t, "a packet at the server", k.atS)
		wait(t, "a packet at the client", k.atC)
	}
}

// pump sends both ways until stop.
func (k *talk) pump() (stop func()) {
	up, down := pump(k.up, media.Opus, []byte("up")), pump(k.down, media.Opus, []byte("down"))
	return func() { up(); down() }
}

// settle waits until what is under way has arrived, and starts numbers of its own.
func (k *talk) settle(t testing.TB) {
	t.Helper()
	k.up.Splice()
	k.down.Splice()
	for _, d := range []struct {
		out *OutTrack
		at  chan packet
	}{{k.up, k.atS}, {k.down, k.atC}} {
		_ = d.out.WritePacket(&media.Packet{Codec: media.Opus, SequenceNumber: k.seq, Payload: []byte("settled")})
		for string(wait(t, "the last packet", d.at).Payload) != "settled" {
		}
	}
}

// exchange sends one packet each way, step numbers after the last, and waits for both.
func (k *talk) exchange(t testing.TB, step uint16) {
	t.Helper()
	k.seq += step
	for _, d := range []struct {
		out *OutTrack
		at  chan packet
	}{{k.up, k.atS}, {k.down, k.atC}} {
		if err := d.out.WritePacket(&media.Packet{Codec: media.Opus, SequenceNumber: k.seq, Payload: []byte("one")}); err != nil {
			t.Fatal(err)
		}
		if got := wait(t, "a packet", d.at); got.SequenceNumber != d.out.header.SequenceNumber {
			t.Fatalf("sent %d, got %d", d.out.header.SequenceNumber, got.SequenceNumber)
		}
	}
}

// sealed is a packet as the client would send it.
func (k *talk) sealed(t testing.TB, pt byte, ssrc uint32, seq uint16, payload string) []byte {
	t.Helper()
	b := make([]byte, 0, maxPacket)
	b = append(b, 0x80, pt, byte(seq>>8), byte(seq), 0, 0, 0, 1, byte(ssrc>>24), byte(ssrc>>16), byte(ssrc>>8), byte(ssrc))
	i := k.up.numbers.index(seq)
	b, err := k.c.shortcut.keys.Load().seal.seal(append(b, payload...), ssrc, uint32(i>>16))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (k *talk) client() netip.AddrPort { return *k.s.shortcut.route.Load() }
