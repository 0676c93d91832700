package webrtc

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/roomline/roomline/media"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// engine opens an Engine on a free loopback port for the length of a test. Servers
// read with two goroutines, clients with one.
func engine(t testing.TB, cfg Config) *Engine {
	t.Helper()
	if cfg.UDPAddr == "" {
		cfg.UDPAddr = "127.0.0.1:0"
	}
	if cfg.ICELite && cfg.Readers == 0 {
		cfg.Readers = 2
	}
	cfg.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	e, err := NewEngine(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// heard is what a test's peer notes down.
type heard struct {
	states chan State
	tracks chan *InTrack
	ends   chan *InTrack
	data   chan string
	open   chan struct{}
}

func listen(onPacket func(*InTrack, *media.Packet)) (*heard, PeerConfig) {
	h := &heard{
		states: make(chan State, 32), tracks: make(chan *InTrack, 32), ends: make(chan *InTrack, 32),
		data: make(chan string, 32), open: make(chan struct{}, 1),
	}
	return h, PeerConfig{
		OnState: func(s State) { h.states <- s },
		OnTrack: func(t *InTrack) {
			if onPacket != nil {
				t.Receive(func(p *media.Packet) { onPacket(t, p) })
			}
			h.tracks <- t
		},
		OnTrackEnd: func(t *InTrack) { h.ends <- t },
		OnDataOpen: func() { h.open <- struct{}{} },
		OnData:     func(b []byte) { h.data <- string(b) },
	}
}

func peer(t testing.TB, e *Engine, cfg PeerConfig) *Peer {
	t.Helper()
	p, err := e.NewPeer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// negotiate runs one offer and answer between two peers of this process.
func negotiate(t testing.TB, offerer, answerer *Peer, restart bool) (offer, answer string) {
	t.Helper()
	offer, err := offerer.CreateOffer(restart)
	if err != nil {
		t.Fatal(err)
	}
	answer, err = answerer.AcceptOffer(context.Background(), offer)
	if err != nil {
		t.Fatalf("%v\n%s", err, offer)
	}
	if err := offerer.AcceptAnswer(answer); err != nil {
		t.Fatalf("%v\n%s", err, answer)
	}
	return offer, answer
}

func wait[T any](t testing.TB, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(10 * time.Second):
		t.Fatalf("waited 10 s for %s", what)
		panic("unreachable")
	}
}

func waitState(t testing.TB, h *heard, want State) {
	t.Helper()
	for {
		if s := wait(t, want.String(), h.states); s == want {
			return
		}
	}
}

// pump writes numbered packets each 5 ms until the returned function is called.
func pump(out *OutTrack, codec media.Codec, payload []byte) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for seq := uint16(65500); ; seq++ { // wraps early in the test
			select {
			case <-done:
				return
			case <-tick.C:
				_ = out.WritePacket(&media.Packet{
					Codec: codec, SequenceNumber: seq, Timestamp: uint32(seq) * 960, Payload: payload, Marker: seq%10 == 0,
				})
			}
		}
	}()
	return func() { close(done); <-ended }
}

// lossyConn is a PacketConn whose network can be taken away.
type lossyConn struct {
	net.PacketConn
	cut *atomic.Bool
}

func (c lossyConn) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, a, err := c.PacketConn.ReadFrom(b)
		if err != nil || !c.cut.Load() {
			return n, a, err
		}
	}
}

func (c lossyConn) WriteTo(b []byte, a net.Addr) (int, error) {
	if c.cut.Load() {
		return len(b), nil
	}
	return c.PacketConn.WriteTo(b, a)
}

func lossyListen(cut *atomic.Bool) media.Listen {
	return func(ctx context.Context, network, address string) (net.PacketConn, error) {
		c, err := media.ListenUDP(ctx, network, address)
		return lossyConn{c, cut}, err
	}
}

var public = netip.MustParseAddr("192.0.2.7")
