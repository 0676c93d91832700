package webrtc

import (
	"net/netip"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/dtls/v3"
	pion "github.com/pion/webrtc/v4"

	"github.com/roomline/roomline/media"
)

func received(p *Peer) uint64 { n, _ := p.Shortcut(); return n }
func sent(p *Peer) uint64     { _, n := p.Shortcut(); return n }

func needShortRoad(t testing.TB, k *talk) {
	t.Helper()
	if k.s.shortcut.keys.Load() == nil || k.c.shortcut.keys.Load() == nil {
		t.Fatal("no keys")
	}
	if got := k.client(); got != k.side.Addr() {
		t.Fatalf("the route leads to %v, the client is at %v", got, k.side.Addr())
	}
}

// Numbers wrap several times; once in a while, as in life, a packet takes pion's road.
func TestSoundTakesTheShortRoad(t *testing.T) {
	k := newTalk(t, Config{}, Config{})
	k.warm(t)
	needShortRoad(t, k)
	k.settle(t)
	before, most := received(k.s), uint64(0)
	for range 20_000 {
		k.exchange(t, 7)
		most++
	}
	if k.up.numbers.highest>>16 < 2 {
		t.Fatalf("only %d numbers", k.up.numbers.highest)
	}
	for what, n := range map[string]uint64{
		"received by the server": received(k.s) - before, "received by the client": received(k.c),
		"sent by the server": sent(k.s), "sent by the client": sent(k.c),
	} {
		if n < most*9/10 {
			t.Errorf("%s by the short road: %d of %d", what, n, most)
		}
	}
	if q := k.s.Quality(); q.PacketsReceived < most || q.PacketsSent < most || q.Discarded != 0 {
		t.Errorf("quality %+v", q)
	}
}

// A stream may change its road at any packet, also over wraps.
func TestRoadsMayBeMixed(t *testing.T) {
	k := newTalk(t, Config{}, Config{})
	k.warm(t)
	k.settle(t)
	keys := k.s.shortcut.keys.Load()
	for i := range 100 {
		if i%2 == 0 {
			k.s.shortcut.keys.Store(nil)
		} else {
			k.s.shortcut.keys.Store(keys)
		}
		for range 5 {
			k.exchange(t, 400)
		}
	}
	if q := k.s.Quality(); k.up.numbers.highest>>16 < 3 || q.Discarded != 0 {
		t.Errorf("highest number %d, quality %+v", k.up.numbers.highest, q)
	}
}

// Where keys cannot be had, sound flows all the same.
func TestPionsRoadRemains(t *testing.T) {
	k := newTalk(t, Config{}, Config{})
	k.s.shortcut.keys.Store(nil)
	k.c.shortcut.keys.Store(nil)
	k.warm(t)
	k.settle(t)
	for range 100 {
		k.exchange(t, 1)
	}
	if in, out := k.s.Shortcut(); in != 0 || out != 0 || received(k.c) != 0 {
		t.Errorf("the short road was taken: %d received and %d sent by the server", in, out)
	}
}

func TestKeysOfAnotherPionAreAnError(t *testing.T) {
	if _, ok := field(&pion.DTLSTransport{}, "connection", reflect.TypeFor[*dtls.Conn]()); ok {
		t.Error("there is a field that pion does not have")
	}
	if _, ok := field(&pion.DTLSTransport{}, "conn", reflect.TypeFor[int]()); ok {
		t.Error("a field was taken for an int")
	}
	if k, err := exportKeys(&pion.DTLSTransport{}); k != nil || err == nil {
		t.Error("keys without a handshake")
	}
}

// A wrapped socket, as of tests that lose packets, has the short road too.
func TestShortRoadOverAnySocket(t *testing.T) {
	var cut atomic.Bool
	k := newTalk(t, Config{Listen: lossyListen(&cut)}, Config{})
	k.warm(t)
	needShortRoad(t, k)
	k.settle(t)
	for range 100 {
		k.exchange(t, 1)
	}
	if in, out := k.s.Shortcut(); in < 90 || out < 90 {
		t.Errorf("%d received and %d sent by the short road", in, out)
	}
}

func TestShortRoadTakesOnlyWhatIsForIt(t *testing.T) {
	k := newTalk(t, Config{}, Config{})
	k.warm(t)
	k.settle(t)
	k.exchange(t, 1)
	ssrc, seq := k.up.header.SSRC, k.up.header.SequenceNumber
	good := k.sealed(t, 111, ssrc, seq+1, "good")
	other := netip.AddrPortFrom(k.client().Addr(), k.client().Port()^1)
	forged := append([]byte(nil), good...)
	forged[len(forged)-1] ^= 1
	discarded := func() uint64 { return k.s.Quality().Discarded }
	for _, c := range []struct {
		what      string
		b         []byte
		from      netip.AddrPort
		taken     bool
		discarded uint64
		heard     bool
	}{
		{"from an address that ICE has not validated", good, other, false, 0, false},
		{"forged", forged, k.client(), true, 1, false},
		{"good", good, k.client(), true, 0, true},
		{"replayed", good, k.client(), true, 0, false},
		{"old", k.sealed(t, 111, ssrc, seq-100, "old"), k.client(), true, 0, false},
		{"an unknown stream", k.sealed(t, 111, ssrc+1, 1, "?"), k.client(), false, 0, false},
		{"an unknown payload type", k.sealed(t, 17, ssrc, seq+2, "?"), k.client(), false, 0, false},
		{"RTCP", append([]byte{0x80, 200}, good[2:]...), k.client(), false, 0, false},
		{"STUN", append([]byte{0}, good[1:]...), k.client(), false, 0, false},
		{"DTLS", append([]byte{22}, good[1:]...), k.client(), false, 0, false},
		{"short", good[:11], k.client(), false, 0, false},
		{"nothing", nil, k.client(), false, 0, false},
	} {
		k.inS.stream.mu.Lock()
		k.inS.stream.pion.taken(time.Now()) // it is not pion's turn
		k.inS.stream.mu.Unlock()
		before := discarded()
		if taken := k.server.doors.takes(c.b, c.from); taken != c.taken {
			t.Errorf("%s: taken %v", c.what, taken)
		}
		if n := discarded() - before; n != c.discarded {
			t.Errorf("%s: %d discarded", c.what, n)
		}
		if heard := len(k.atS) == 1; heard != c.heard {
			t.Errorf("%s: heard %v", c.what, heard)
		}
		for len(k.atS) > 0 {
			<-k.atS
		}
	}
	k.seq++ // "good" has its number
	k.exchange(t, 1)
}

// What passed the short road is not heard again when it is sent by another way,
// nor the other way round.
func TestReplaysOverBothRoads(t *testing.T) {
	k := newTalk(t, Config{}, Config{})
	k.warm(t)
	k.settle(t)
	k.exchange(t, 1)
	ssrc, seq := k.up.header.SSRC, k.up.header.SequenceNumber
	send := func(b []byte) {
		if _, err := k.side.socket.WriteToAddrPort(b, k.server.Addr()); err != nil {
			t.Fatal(err)
		}
	}
	first, second := k.sealed(t, 111, ssrc, seq+1, "first"), k.sealed(t, 111, ssrc, seq+2, "second")
	last := k.sealed(t, 111, ssrc, seq+3, "last")
	send(first)
	keys := k.s.shortcut.keys.Load()
	wait(t, "the first", k.atS)
	k.s.shortcut.keys.Store(nil)
	send(first)
	send(second)
	if got := wait(t, "the second", k.atS); string(got.Payload) != "second" {
		t.Errorf("%q was heard again", got.Payload)
	}
	k.s.shortcut.keys.Store(keys)
	send(second)
	send(last)
	if got := wait(t, "the last", k.atS); string(got.Payload) != "last" {
		t.Errorf("%q was heard again", got.Payload)
	}
}

// A new track, and with it a new SSRC, gets on the short road too.
func TestANewStreamTakesTheShortRoad(t *testing.T) {
	k := newTalk(t, Config{}, Config{})
	k.warm(t)
	old := k.down.header.SSRC
	if err := k.s.RemoveTrack(k.down); err != nil {
		t.Fatal(err)
	}
	k.negotiate(t, false)
	wait(t, "the end of the track", k.hc.ends)
	var err error
	if k.down, err = k.s.AddTrack(Audio, media.Opus, "again", "server"); err != nil {
		t.Fatal(err)
	}
	k.negotiate(t, false)
	stop := pump(k.down, media.Opus, []byte("x"))
	k.inC = wait(t, "the new track", k.hc.tracks)
	before := sent(k.s)
	for from := received(k.c); received(k.c) < from+10; {
		wait(t, "a packet", k.atC)
	}
	stop()
	if k.down.header.SSRC == old || sent(k.s) < before+10 {
		t.Errorf("SSRC %d after %d, %d packets sent", k.down.header.SSRC, old, sent(k.s)-before)
	}
}

// Close may come at any time, and leaves no door open.
func TestCloseOfTheShortRoadUnderLoad(t *testing.T) {
	k := newTalk(t, Config{}, Config{})
	k.warm(t)
	stop := k.pump()
	defer stop()
	wait(t, "a packet", k.atS)
	if err := k.s.Close(); err != nil {
		t.Error(err)
	}
	for len(k.atS) > 0 {
		<-k.atS
	}
	if len(k.server.doors.open) != 0 || k.s.shortcut.route.Load() != nil {
		t.Error("a door is open after Close")
	}
	if err := k.server.Close(); err != nil {
		t.Error(err)
	}
	if len(k.atS) > 0 {
		t.Error("a packet after Close")
	}
}
