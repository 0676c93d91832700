package webrtc

import (
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/pion/transport/v4/packetio"

	"github.com/roomline/roomline/media"
)

// soundStream is a stream with a track that knows Opus as payload type 111.
func soundStream(t *testing.T, onPacket func(*media.Packet)) (*streams, *stream, *InTrack) {
	t.Helper()
	all := newStreams(slog.New(slog.DiscardHandler))
	s := all.buffer(packetio.RTPBufferPacket, 7).(*stream)
	track := &InTrack{stream: s}
	track.types[111], track.known[111] = media.Opus, true
	track.Receive(onPacket)
	return all, s, track
}

// sound is an RTP packet of payload type pt with one byte of payload.
func sound(pt, seq byte) []byte { return []byte{0x80, pt, 0, seq, 0, 0, 0, 1, 0, 0, 0, 7, seq} }

func TestStreamQueuesUntilTheTrackHasCaughtUp(t *testing.T) {
	var got []uint16
	_, s, track := soundStream(t, func(p *media.Packet) { got = append(got, p.SequenceNumber) })
	send := func(pt, seq byte) {
		t.Helper()
		if n, err := s.Write(sound(pt, seq)); err != nil || n != 13 {
			t.Fatal(n, err)
		}
	}
	send(111, 1)
	if s.attach(track) {
		t.Fatal("attached before the packet that waits was read")
	}
	buf := make([]byte, 100)
	if n, err := s.Read(buf); err != nil || buf[3] != 1 {
		t.Fatal(n, err, buf[3])
	}
	if !s.attach(track) {
		t.Fatal("not attached although nothing waits")
	}
	send(111, 2)
	send(126, 3) // pion has to look this one up
	send(111, 4)
	s.detach()
	send(111, 5)
	if !slices.Equal(got, []uint16{2, 4}) {
		t.Errorf("directly came %d, want 2 and 4", got)
	}
	for _, want := range []byte{3, 5} {
		if _, err := s.Read(buf); err != nil || buf[3] != want {
			t.Errorf("queued was %d (%v), want %d", buf[3], err, want)
		}
	}
}

func TestStreamEnds(t *testing.T) {
	all, s, track := soundStream(t, func(*media.Packet) { t.Error("a packet after the end") })
	s.attach(track)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write(sound(111, 1)); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("Write: %v", err)
	}
	if _, err := s.Read(make([]byte, 100)); !errors.Is(err, io.EOF) {
		t.Errorf("Read: %v", err)
	}
	if all.find(7) != nil {
		t.Error("the stream is still known")
	}
	next := all.buffer(packetio.RTPBufferPacket, 7)
	_ = s.Close() // of the old one
	if all.find(7) != next {
		t.Error("closing the old stream forgot the new one")
	}
}

func TestAPanicEndsTheStreamAlone(t *testing.T) {
	_, s, track := soundStream(t, func(*media.Packet) { panic("on purpose") })
	s.attach(track)
	if _, err := s.Write(sound(111, 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(make([]byte, 100)); !errors.Is(err, io.EOF) {
		t.Errorf("the read loop sees %v, want the end", err)
	}
}

func TestDirectPacketsDoNotAllocate(t *testing.T) {
	_, s, track := soundStream(t, func(*media.Packet) {})
	track.received.clockRate = 48000
	s.attach(track)
	raw := sound(111, 1)
	if n := testing.AllocsPerRun(1000, func() { _, _ = s.Write(raw) }); n != 0 {
		t.Errorf("%v allocations per packet", n)
	}
	if track.received.packets < 1000 {
		t.Errorf("%d packets accounted for", track.received.packets)
	}
}

// After the first packets pion's reader is passed by, also for digits; and a
// track that panics then ends for its Peer, and no other.
func TestSoundPassesTheReaderBy(t *testing.T) {
	codecs := make(chan media.Codec, 1000)
	server, client := engine(t, Config{ICELite: true}), engine(t, Config{})
	angry := false
	hs, cs := listen(func(_ *InTrack, p *media.Packet) {
		if angry = angry || p.Payload[0] == 'x'; angry {
			panic("on purpose")
		}
		codecs <- p.Codec
	})
	_, cc := listen(nil)
	s, c := peer(t, server, cs), peer(t, client, cc)
	if err := s.Receive(Audio); err != nil {
		t.Fatal(err)
	}
	out, err := c.AddTrack(Audio, media.Opus, "a", "b")
	if err != nil {
		t.Fatal(err)
	}
	negotiate(t, s, c, false)
	waitState(t, hs, Connected)
	stop := pump(out, media.Opus, []byte("sound"))
	in := wait(t, "the track", hs.tracks)
	for wait(t, "sound", codecs); !in.stream.attached(); {
		wait(t, "more sound", codecs)
	}
	stop()
	p := &media.Packet{Codec: media.TelephoneEvent, SequenceNumber: out.sent.highest + 1, Payload: []byte{1, 2, 3, 4}}
	for range 2 { // the first by way of pion, which looks up its type
		_ = out.WritePacket(p)
		p.SequenceNumber++
		for wait(t, "a digit", codecs) != media.TelephoneEvent {
		}
	}
	if in.Codec() != media.Opus {
		t.Errorf("codec %v after digits", in.Codec())
	}
	p.Codec, p.Payload = media.Opus, []byte("x")
	_ = out.WritePacket(p)
	if ended := wait(t, "the end", hs.ends); ended != in {
		t.Error("another track ended")
	}
	if s.State() != Connected {
		t.Errorf("the peer is %v", s.State())
	}
}

func (s *stream) attached() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.track != nil
}

func TestQuickSocket(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		network, _ := udpNetwork(address)
		plain, err := media.ListenUDP(t.Context(), network, address)
		if err != nil {
			t.Skipf("%s: %v", address, err)
		}
		conn, ok := quick(plain)
		if !ok {
			plain.Close()
			t.Skip("not on this platform")
		}
		self := netip.MustParseAddrPort(plain.LocalAddr().String())
		buf := make([]byte, 100)
		exchange := func() {
			if n, err := conn.WriteToAddrPort([]byte("hello"), self); n != 5 || err != nil {
				t.Fatal(n, err)
			}
			n, from, err := conn.ReadFromAddrPort(buf)
			if err != nil || from != self || string(buf[:n]) != "hello" {
				t.Fatalf("%q from %v, %v", buf[:n], from, err)
			}
		}
		exchange()
		if n := testing.AllocsPerRun(100, exchange); n >= 3 { // the race detector lets pools lose some
			t.Errorf("%v allocations per packet and back", n)
		}
		ended := make(chan error)
		go func() { _, _, err := conn.ReadFromAddrPort(buf); ended <- err }()
		time.Sleep(10 * time.Millisecond) // better odds that the read waits; right either way
		_ = conn.Close()
		if err := wait(t, "the end of the read", ended); err == nil {
			t.Error("no error after Close")
		}
		if _, err := conn.WriteToAddrPort(nil, self); err == nil {
			t.Error("could write after Close")
		}
	}
}
