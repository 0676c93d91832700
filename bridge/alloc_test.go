package bridge

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/transcode"
)

// nowhere is a wire that takes everything.
type nowhere struct{ n int }

func (w *nowhere) WritePacket(*media.Packet) error { w.n++; return nil }

// oneRoad sets up one source and one listener and returns how to push the next packet.
func oneRoad(tb testing.TB, from, to media.Codec) (push func(), w *nowhere) {
	x := &Exchange{}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { x.Run(ctx) })
	tb.Cleanup(func() { cancel(); wg.Wait() })
	r, err := x.OpenRoom("lobby")
	if err != nil {
		tb.Fatal(err)
	}
	speaker, _ := r.Join(JoinSpec{Identity: "a", Kind: KindWHIP, Role: RoleGuest})
	listener, _ := r.Join(JoinSpec{Identity: "b", Kind: KindWHEP, Role: RoleGuest})
	w = &nowhere{}
	listener.Listen(w, to, 0)
	src, err := speaker.Publish(TrackSpec{ID: "voice", Codec: from})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { speaker.Leave(); listener.Leave() })
	return pusher(tb, src, from), w
}

// pusher makes packets of recorded speech; positions go on for ever.
func pusher(tb testing.TB, src *Source, codec media.Codec) func() {
	dec, _ := transcode.NewDecoder(media.PCMU, 8000)
	rateHz := 8000
	if codec == media.G722 {
		rateHz = 16000
	}
	enc, err := transcode.NewEncoder(codec, rateHz, transcode.DefaultOpus())
	if err != nil {
		tb.Fatal(err)
	}
	speech, pcm, out := media.Speech(), make([]int16, 160), make([]byte, transcode.MaxPayload)
	var packets [][]byte
	var up transcode.Upsampler
	wide := make([]int16, 320)
	for ; len(speech) >= 160; speech = speech[160:] {
		dec.Decode(speech[:160], pcm)
		sound := pcm
		if rateHz == 16000 {
			sound = wide[:up.Process(pcm, wide)]
		}
		n, err := enc.Encode(sound, out)
		if err != nil {
			tb.Fatal(err)
		}
		packets = append(packets, append([]byte(nil), out[:n]...))
	}
	p, now, i := media.Packet{Codec: codec}, time.Now(), 0
	return func() {
		p.Payload, p.Arrived = packets[i%len(packets)], now.Add(time.Duration(i)*20*time.Millisecond)
		src.Push(&p)
		p.SequenceNumber++
		p.Timestamp += uint32(codec.ClockRate() / 50)
		i++
	}
}

var roads = []struct {
	name     string
	from, to media.Codec
}{
	{"PCMUtoOpus", media.PCMU, media.Opus}, {"OpusToPCMU", media.Opus, media.PCMU}, {"PCMUtoPCMU", media.PCMU, media.PCMU},
	{"G722toOpus", media.G722, media.Opus}, {"OpusToG722", media.Opus, media.G722}, {"G722toG722", media.G722, media.G722},
	{"G722toPCMU", media.G722, media.PCMU}, {"PCMUtoG722", media.PCMU, media.G722}, {"OpusToOpus", media.Opus, media.Opus},
}

func TestNoAllocationPerPacket(t *testing.T) {
	for _, r := range roads {
		push, w := oneRoad(t, r.from, r.to)
		for range 200 {
			push()
		}
		before := w.n
		if n := testing.AllocsPerRun(500, push); n >= 1 {
			t.Errorf("%s: %.2f allocations per packet", r.name, n)
		}
		if w.n-before < 500 {
			t.Errorf("%s: only %d of 501 packets came out", r.name, w.n-before)
		}
	}
}

// BenchmarkRoad is one packet of 20 ms through the direct road, without sockets.
func BenchmarkRoad(b *testing.B) {
	for _, r := range roads {
		b.Run(r.name, func(b *testing.B) {
			push, w := oneRoad(b, r.from, r.to)
			for range 100 {
				push()
			}
			w.n = 0
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				push()
			}
			b.StopTimer()
			if w.n < b.N {
				b.Fatalf("%d of %d packets came out", w.n, b.N)
			}
		})
	}
}

// mixedRoad sets up two speakers and one listener on the mixed road, and returns
// how to make the next beat happen.
func mixedRoad(tb testing.TB, from [2]media.Codec, to media.Codec) (beat func(), w *nowhere) {
	x := &Exchange{}
	x.init()
	r, err := x.OpenRoom("lobby")
	if err != nil {
		tb.Fatal(err)
	}
	listener, _ := r.Join(JoinSpec{Identity: "listener", Kind: KindPhone, Role: RoleGuest})
	w = &nowhere{}
	sink := listener.Listen(w, to, 20*time.Millisecond)
	var push []func()
	for i, codec := range from {
		speaker, _ := r.Join(JoinSpec{Identity: string(rune('a' + i)), Kind: KindPhone, Role: RoleGuest})
		src, err := speaker.Publish(TrackSpec{ID: "voice", Codec: codec})
		if err != nil {
			tb.Fatal(err)
		}
		push = append(push, pusher(tb, src, codec))
		tb.Cleanup(speaker.Leave)
	}
	tb.Cleanup(listener.Leave)
	now, number := time.Now(), uint64(0)
	return func() {
		for _, p := range push {
			p()
		}
		number++
		now = now.Add(media.FrameDuration)
		sink.tick(now, number)
	}, w
}

var mixes = []struct {
	name string
	from [2]media.Codec
	to   media.Codec
}{
	{"PCMUandPCMUtoPCMU", [2]media.Codec{media.PCMU, media.PCMU}, media.PCMU},
	{"PCMUandOpustoPCMU", [2]media.Codec{media.PCMU, media.Opus}, media.PCMU},
	{"G722andPCMUtoPCMU", [2]media.Codec{media.G722, media.PCMU}, media.PCMU},
	{"G722andPCMUtoG722", [2]media.Codec{media.G722, media.PCMU}, media.G722},
	{"G722andOpustoOpus", [2]media.Codec{media.G722, media.Opus}, media.Opus},
}

func TestNoAllocationPerMixedBeat(t *testing.T) {
	for _, m := range mixes {
		beat, w := mixedRoad(t, m.from, m.to)
		for range 300 {
			beat()
		}
		before := w.n
		if n := testing.AllocsPerRun(300, beat); n >= 1 {
			t.Errorf("%s: %.2f allocations per beat", m.name, n)
		}
		if w.n-before < 300 {
			t.Errorf("%s: only %d of 301 packets came out", m.name, w.n-before)
		}
	}
}

// BenchmarkMix is 20 ms of two speakers and what one listener hears of them.
func BenchmarkMix(b *testing.B) {
	for _, m := range mixes {
		b.Run(m.name, func(b *testing.B) {
			beat, _ := mixedRoad(b, m.from, m.to)
			for range 100 {
				beat()
			}
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				beat()
			}
		})
	}
}

// What stands in for packets that do not come costs no allocation of ours either;
// gopus makes four for each frame that it conceals.
func TestNoAllocationWhereSoundIsMissing(t *testing.T) {
	for _, from := range []media.Codec{media.PCMU, media.Opus, media.G722} {
		x := &Exchange{}
		x.init()
		r, _ := x.OpenRoom("lobby")
		phone, _ := r.Join(JoinSpec{Identity: "phone", Kind: KindPhone, Role: RoleGuest})
		w := &nowhere{}
		phone.Listen(w, media.PCMA, 20*time.Millisecond)
		speaker, _ := r.Join(JoinSpec{Identity: "a", Kind: KindPhone, Role: RoleGuest})
		src, err := speaker.Publish(TrackSpec{ID: "voice", Codec: from})
		if err != nil {
			t.Fatal(err)
		}
		push := pusher(t, src, from)
		round := func() {
			push()
			for now, i := src.now, 1; i <= 10; i++ {
				speaker.Room().tick(now.Add(time.Duration(i)*media.FrameDuration), 1)
			}
			for range 10 {
				push()
			}
		}
		for range 20 {
			round()
		}
		before := w.n
		most := 0.0
		if from == media.Opus {
			most = 10 * 4
		}
		if n := testing.AllocsPerRun(100, round); n >= most+1 {
			t.Errorf("%s: %.2f allocations in 10 beats and 11 packets", from, n)
		}
		if w.n-before < 1500 {
			t.Errorf("%s: only %d packets came out", from, w.n-before)
		}
		speaker.Leave()
		phone.Leave()
	}
}
