package bridge

import (
	"fmt"
	"testing"
	"time"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/transcode"
)

// BenchmarkFanOut is one packet of µ-law on its way to so many listeners: to
// Opus by one encoder that they share, and to µ-law, untouched.
func BenchmarkFanOut(b *testing.B) {
	for _, to := range []media.Codec{media.Opus, media.PCMU} {
		for _, listeners := range []int{1, 5} {
			b.Run(fmt.Sprintf("%s/%d", to, listeners), func(b *testing.B) {
				push, w := fanOut(b, to, listeners)
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
				if w.n < listeners*b.N {
					b.Fatalf("%d packets for %d listeners came out of %d", w.n, listeners, b.N)
				}
			})
		}
	}
}

func fanOut(b *testing.B, to media.Codec, listeners int) (push func(), w *nowhere) {
	x := &Exchange{}
	x.init()
	r, err := x.OpenRoom("lobby")
	if err != nil {
		b.Fatal(err)
	}
	speaker, _ := r.Join(JoinSpec{Identity: "speaker", Kind: KindPhone, Role: RoleGuest})
	b.Cleanup(speaker.Leave)
	w = &nowhere{}
	for i := range listeners {
		l, _ := r.Join(JoinSpec{Identity: fmt.Sprint(i), Kind: KindPhone, Role: RoleGuest})
		b.Cleanup(l.Leave)
		l.Listen(w, to, media.FrameDuration)
	}
	src, err := speaker.Publish(TrackSpec{ID: "voice", Codec: media.PCMU})
	if err != nil {
		b.Fatal(err)
	}
	return pusher(b, src, media.PCMU), w
}

// BenchmarkDirectWrite is the last step of the direct road: a payload gets its
// number and time and is written.
func BenchmarkDirectWrite(b *testing.B) {
	x := &Exchange{}
	x.init()
	r, err := x.OpenRoom("lobby")
	if err != nil {
		b.Fatal(err)
	}
	speaker, _ := r.Join(JoinSpec{Identity: "a", Kind: KindPhone, Role: RoleGuest})
	listener, _ := r.Join(JoinSpec{Identity: "b", Kind: KindPhone, Role: RoleGuest})
	b.Cleanup(speaker.Leave)
	b.Cleanup(listener.Leave)
	w := &nowhere{}
	sink := listener.Listen(w, media.Opus, media.FrameDuration)
	src, err := speaker.Publish(TrackSpec{ID: "voice", Codec: media.PCMU})
	if err != nil {
		b.Fatal(err)
	}
	now := time.Now()
	sink.road(src, now)
	p := &portion{codec: media.Opus, payload: make([]byte, transcode.MaxPayload), ticks: media.FrameSamples}
	b.ReportAllocs()
	for b.Loop() {
		sink.direct(src, p, now)
		p.at += media.FrameSamples
		now = now.Add(media.FrameDuration)
	}
	if w.n < b.N {
		b.Fatalf("%d of %d were written", w.n, b.N)
	}
}
