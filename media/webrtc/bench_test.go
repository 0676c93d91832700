package webrtc

import (
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	pionrtp "github.com/pion/rtp"
	pion "github.com/pion/webrtc/v4"

	"github.com/roomline/roomline/media"
)

// nowhere takes packets and does nothing, to measure our side alone.
type nowhere struct{ pion.TrackLocalWriter }

func (nowhere) WriteRTP(*pionrtp.Header, []byte) (int, error) { return 0, nil }

// recorder remembers the last packet.
type recorder struct {
	pion.TrackLocalWriter
	payloadType uint8
	payload     []byte
}

func (r *recorder) WriteRTP(h *pionrtp.Header, payload []byte) (int, error) {
	r.payloadType, r.payload = h.PayloadType, append(r.payload[:0], payload...)
	return len(payload), nil
}

func boundTrack() *OutTrack {
	b := &binding{stream: nowhere{}, ssrc: 1, red: -1}
	for i := range b.types {
		b.types[i] = int16(100 + i)
	}
	return &OutTrack{peer: &Peer{}, kind: Audio, codec: media.Opus, bound: b}
}

// Our own share of sending one packet.
func BenchmarkWriteOurs(b *testing.B) {
	t := boundTrack()
	p := &media.Packet{Codec: media.Opus, Payload: make([]byte, 60)}
	b.ReportAllocs()
	for b.Loop() {
		p.SequenceNumber++
		_ = t.WritePacket(p)
	}
}

func TestWritePacketDoesNotAllocate(t *testing.T) {
	track := boundTrack()
	p := &media.Packet{Codec: media.Opus, Payload: make([]byte, 60)}
	if n := testing.AllocsPerRun(1000, func() { p.SequenceNumber++; _ = track.WritePacket(p) }); n != 0 {
		t.Errorf("%v allocations per packet", n)
	}
}

func TestReadDoesNotAllocate(t *testing.T) {
	server, client := engine(t, Config{ICELite: true}), engine(t, Config{})
	hs, cs := listen(func(*InTrack, *media.Packet) {})
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
	stop := pump(out, media.Opus, make([]byte, 60))
	in := wait(t, "the track", hs.tracks)
	stop()
	_ = c.Close()
	wait(t, "the end of the track", hs.ends)
	raw := []byte{0x80, 111, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 1, 2, 3, 4}
	now := time.Now()
	if n := testing.AllocsPerRun(1000, func() { in.read(raw, media.Opus, now) }); n != 0 {
		t.Errorf("%v allocations per packet", n)
	}
}

// The whole way over loopback: our code, SRTP, the kernel, twice; one packet in
// flight. Sound by the short road and by pion's.
func BenchmarkAudioPacketOverLoopback(b *testing.B) {
	b.Run("road=short", func(b *testing.B) { benchmarkLoopback(b, Audio, media.Opus, 60, false) })
	b.Run("road=pion", func(b *testing.B) { benchmarkLoopback(b, Audio, media.Opus, 60, true) })
}

func BenchmarkVideoPacketOverLoopback(b *testing.B) {
	benchmarkLoopback(b, Video, media.VP8, 1100, true)
}

func benchmarkLoopback(b *testing.B, kind Kind, codec media.Codec, size int, pions bool) {
	server, client := engine(b, Config{ICELite: true}), engine(b, Config{})
	var seen atomic.Uint64
	arrived := make(chan struct{}, 64)
	hs, cs := listen(nil)
	hc, cc := listen(func(*InTrack, *media.Packet) { seen.Add(1); arrived <- struct{}{} })
	s, c := peer(b, server, cs), peer(b, client, cc)
	out, err := s.AddTrack(kind, codec, "a", "b")
	if err != nil {
		b.Fatal(err)
	}
	negotiate(b, s, c, false)
	waitState(b, hs, Connected)
	stop := pump(out, codec, make([]byte, size))
	wait(b, "the track", hc.tracks)
	wait(b, "a packet", arrived)
	stop()
	time.Sleep(50 * time.Millisecond) // let the last of the pump pass; not a wait for a result
	for len(arrived) > 0 {
		<-arrived
	}
	if pions {
		s.shortcut.keys.Store(nil)
		c.shortcut.keys.Store(nil)
	}
	p := &media.Packet{Codec: codec, SequenceNumber: out.sent.highest, Payload: make([]byte, size)}
	b.ReportAllocs()
	cpu := cpuTime()
	for b.Loop() {
		p.SequenceNumber++
		if err := out.WritePacket(p); err != nil {
			b.Fatal(err)
		}
		<-arrived
	}
	b.ReportMetric(float64(cpuTime()-cpu)/float64(b.N), "cpu-ns/op")
}

// What a packet costs as in life, where each finds its reader asleep: 20 streams
// each way at 50 packets a second, out of step; both ends are counted. An op is
// a second.
func BenchmarkTwentyCallsPaced(b *testing.B) {
	b.Run("road=short", func(b *testing.B) { benchmarkPaced(b, false) })
	b.Run("road=pion", func(b *testing.B) { benchmarkPaced(b, true) })
}

func benchmarkPaced(b *testing.B, pions bool) {
	const calls, beats = 20, 50
	server := engine(b, Config{ICELite: true})
	var outs []*OutTrack
	for range calls {
		k := newTalkWith(b, server, Config{})
		k.warm(b)
		if pions {
			k.s.shortcut.keys.Store(nil)
			k.c.shortcut.keys.Store(nil)
		}
		outs = append(outs, k.up, k.down)
	}
	p := &media.Packet{Codec: media.Opus, Payload: make([]byte, 60)}
	for _, t := range outs {
		t.Splice()
	}
	tick := time.NewTicker(20 * time.Millisecond / time.Duration(len(outs)))
	defer tick.Stop()
	cpu := cpuTime()
	for b.Loop() {
		for range beats {
			p.SequenceNumber++
			for _, t := range outs {
				<-tick.C
				_ = t.WritePacket(p)
			}
		}
	}
	b.ReportMetric(float64(cpuTime()-cpu)/float64(b.N)/float64(beats*len(outs)), "cpu-ns/packet")
}

// cpuTime is what this process has used so far.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// What one connected pair costs, both ends in this process: halve it for the
// server's share. An audio track each way, DTLS and all.
func BenchmarkConnectedPair(b *testing.B) {
	server := engine(b, Config{ICELite: true})
	var keep []*Peer
	goroutines, heap := runtime.NumGoroutine(), heapInUse()
	b.ResetTimer()
	for range b.N {
		client := engine(b, Config{})
		hs, cs := listen(nil)
		s, c := peer(b, server, cs), peer(b, client, PeerConfig{})
		if err := s.Receive(Audio); err != nil {
			b.Fatal(err)
		}
		if _, err := s.AddTrack(Audio, media.Opus, "a", "b"); err != nil {
			b.Fatal(err)
		}
		if _, err := c.AddTrack(Audio, media.Opus, "a", "b"); err != nil {
			b.Fatal(err)
		}
		negotiate(b, s, c, false)
		waitState(b, hs, Connected)
		keep = append(keep, s, c)
	}
	b.StopTimer()
	b.ReportMetric(float64(runtime.NumGoroutine()-goroutines)/float64(b.N), "goroutines/pair")
	b.ReportMetric(float64(heapInUse()-heap)/1024/float64(b.N), "KB/pair")
	runtime.KeepAlive(keep)
}

func heapInUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}
