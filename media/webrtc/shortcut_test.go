package webrtc

import (
	"context"
	"net"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/dtls/v3"
	pion "github.com/pion/webrtc/v4"

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

// nat is a middlebox in front of the client. Its outside address may change.
type nat struct {
	inside  net.PacketConn
	mu      sync.Mutex
	outside net.PacketConn
	client  net.Addr
	server  net.Addr
	loops   sync.WaitGroup
}

func newNAT(t testing.TB, server *net.UDPAddr) *nat {
	n := &nat{server: server}
	n.inside = n.open(t)
	n.move(t)
	n.loops.Go(func() {
		b := make([]byte, 2000)
		for {
			size, from, err := n.inside.ReadFrom(b)
			if err != nil {
				return
			}
			n.mu.Lock()
			n.client = from
			_, _ = n.outside.WriteTo(b[:size], n.server)
			n.mu.Unlock()
		}
	})
	t.Cleanup(func() {
		n.inside.Close()
		n.outside.Close()
		n.loops.Wait()
	})
	return n
}

func (n *nat) open(t testing.TB) net.PacketConn {
	c, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// move gives the client another outside address.
func (n *nat) move(t testing.TB) {
	c := n.open(t)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.outside != nil {
		n.outside.Close()
	}
	n.outside = c
	n.loops.Go(func() {
		b := make([]byte, 2000)
		for {
			size, _, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			n.mu.Lock()
			if n.client != nil {
				_, _ = n.inside.WriteTo(b[:size], n.client)
			}
			n.mu.Unlock()
		}
	})
}

func (n *nat) address() netip.AddrPort {
	n.mu.Lock()
	defer n.mu.Unlock()
	return netip.MustParseAddrPort(n.outside.LocalAddr().String())
}

// rewrite makes the server's candidates lead to the inside.
func (n *nat) rewrite(sdp string) string {
	_, from, _ := net.SplitHostPort(n.server.String())
	_, to, _ := net.SplitHostPort(n.inside.LocalAddr().String())
	return strings.ReplaceAll(sdp, "127.0.0.1 "+from+" typ", "127.0.0.1 "+to+" typ")
}

// A peer that comes from another address is heard from there after ICE has
// validated it, not before; and its streams go on with their keys and counters.
func TestTheShortRoadFollowsThePeer(t *testing.T) {
	box, ready := (*nat)(nil), make(chan struct{})
	listen := func(ctx context.Context, network, address string) (net.PacketConn, error) {
		c, err := media.ListenUDP(ctx, network, address)
		if err == nil {
			box = newNAT(t, c.LocalAddr().(*net.UDPAddr))
			close(ready)
		}
		return c, err
	}
	k := newTalk(t, Config{Listen: listen}, Config{}, func(s string) string { <-ready; return box.rewrite(s) })
	k.warm(t)
	k.settle(t)
	if k.client() != box.address() {
		t.Fatalf("the route leads to %v, want %v", k.client(), box.address())
	}
	k.exchange(t, 1)
	shorts := received(k.s)

	before := box.address()
	box.move(t)
	ssrc, seq := k.up.header.SSRC, k.up.header.SequenceNumber
	for range 20 {
		seq++
		_, _ = k.side.socket.WriteToAddrPort(k.sealed(t, 111, ssrc, seq, "too early"),
			netip.MustParseAddrPort(box.inside.LocalAddr().String()))
	}
	k.negotiate(t, true, box.rewrite)
	stop := k.pump()
	for received(k.s) < shorts+20 {
		if got := wait(t, "a packet from the new address", k.atS); string(got.Payload) == "too early" {
			t.Fatal("heard from an address that was not validated")
		}
	}
	stop()
	if k.client() != box.address() || k.server.doors.find(before) != nil {
		t.Errorf("the route leads to %v, want %v", k.client(), box.address())
	}
	if k.up.header.SSRC != ssrc {
		t.Error("the stream is another one")
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
