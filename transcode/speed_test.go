package transcode

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/zaf/g711"

	"github.com/roomline/roomline/media"
)

func TestPacketsAllocateNothing(t *testing.T) {
	pcm := vowels(8000, 16000)
	for _, codec := range []media.Codec{media.PCMU, media.PCMA, media.G722, media.Opus} {
		rate := 8000
		if codec == media.G722 {
			rate = 16000
		}
		out, heard := make([]byte, MaxPayload), make([]int16, rate/50)
		e, d := openEncoder(t, codec, rate, DefaultOpus()), openDecoder(t, codec, rate)
		at := 0
		never(t, codec, "packet", func() error {
			n, err := e.Encode(pcm[at:at+rate/50], out)
			if err != nil {
				return err
			}
			at = (at + rate/50) % len(pcm)
			if _, err := Samples(codec, out[:n], rate); err != nil {
				return err
			}
			_, err = d.Decode(out[:n], heard)
			return err
		})
		if codec == media.Opus {
			continue // gopus allocates a little where it conceals, and where it adds redundancy
		}
		never(t, codec, "lost packet", func() error { _, err := d.Conceal(heard); return err })
		never(t, codec, "recovered packet", func() error { _, err := d.Recover(out[:160], heard); return err })
	}
}

func never(t *testing.T, codec media.Codec, what string, do func() error) {
	t.Helper()
	once := func() {
		if err := do(); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 {
		once() // engines make some of their buffers on first use
	}
	if got := testing.AllocsPerRun(200, once); got != 0 {
		t.Errorf("%s: %v allocations per %s", codec, got, what)
	}
}

func TestGarbageAllocatesNothing(t *testing.T) {
	d := openDecoder(t, media.Opus, 8000)
	pcm, garbage := make([]int16, 960), []byte{1<<3 | 3, 0x80 | 3, 4, 4, 9}
	if got := testing.AllocsPerRun(100, func() { _, _ = d.Decode(garbage, pcm) }); got != 0 {
		t.Errorf("%v allocations per malformed packet", got)
	}
}

// speech returns the recorded speech at a multiple of 8 kHz, by straight lines.
func speech(b *testing.B, rateHz int) []int16 {
	b.Helper()
	law := media.Speech()
	narrow := make([]int16, len(law))
	if _, err := openDecoder(b, media.PCMU, 8000).Decode(law, narrow); err != nil {
		b.Fatal(err)
	}
	times := rateHz / 8000
	pcm := make([]int16, (len(narrow)-1)*times/rateHz*rateHz)
	for i := range pcm {
		at, part := i/times, i%times
		pcm[i] = int16((int(narrow[at])*(times-part) + int(narrow[at+1])*part) / times)
	}
	return pcm
}

// cpu reports the processor time of each round besides the time on the clock,
// which says little on a busy machine.
func cpu(b *testing.B) func() {
	b.ReportAllocs()
	var before, after syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	return func() {
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
		spent := time.Duration(after.Utime.Nano() - before.Utime.Nano() + after.Stime.Nano() - before.Stime.Nano())
		b.ReportMetric(float64(spent.Nanoseconds())/float64(b.N), "cpu-ns/op")
	}
}

func BenchmarkG711(b *testing.B) {
	pcm, out := speech(b, 8000), make([]byte, 160)
	b.Run("encode", func(b *testing.B) {
		e := openEncoder(b, media.PCMU, 8000, OpusSettings{})
		defer cpu(b)()
		for at := 0; b.Loop(); at = (at + 160) % len(pcm) {
			_, _ = e.Encode(pcm[at:at+160], out)
		}
	})
	b.Run("encode by function", func(b *testing.B) {
		for at := 0; b.Loop(); at = (at + 160) % len(pcm) {
			for i, v := range pcm[at : at+160] {
				out[i] = g711.EncodeUlawFrame(v)
			}
		}
	})
	b.Run("decode", func(b *testing.B) {
		d := openDecoder(b, media.PCMU, 8000)
		heard := make([]int16, 160)
		defer cpu(b)()
		for b.Loop() {
			_, _ = d.Decode(out, heard)
		}
	})
	b.Run("conceal", func(b *testing.B) {
		d := openDecoder(b, media.PCMU, 8000)
		packets := encodeAll(b, openEncoder(b, media.PCMU, 8000, OpusSettings{}), pcm, 160)
		heard := make([]int16, 160)
		defer cpu(b)()
		for i := 0; b.Loop(); i++ { // one lost, one decoded
			_, _ = d.Conceal(heard)
			_, _ = d.Decode(packets[i%len(packets)], heard)
		}
	})
}

func BenchmarkOpusEncode(b *testing.B) {
	for _, rate := range []int{8000, 16000, 48000} {
		pcm := speech(b, rate)
		for _, complexity := range []int{0, 5, 10} {
			b.Run(fmt.Sprintf("%s/%dkHz/complexity%d", Engine(), rate/1000, complexity), func(b *testing.B) {
				e := openEncoder(b, media.Opus, rate, OpusSettings{Complexity: complexity})
				out := make([]byte, MaxPayload)
				defer cpu(b)()
				for at := 0; b.Loop(); at = (at + rate/50) % len(pcm) {
					if _, err := e.Encode(pcm[at:at+rate/50], out); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkOpusDecode(b *testing.B) {
	for name, packets := range map[string][][]byte{
		"silkNB":     encodeAll(b, openEncoder(b, media.Opus, 8000, DefaultOpus()), speech(b, 8000), 160),
		"hybrid32k":  encodeAll(b, openEncoder(b, media.Opus, 48000, OpusSettings{Bitrate: 32000, Complexity: 9}), speech(b, 48000), 960),
		"celtStereo": stereoPackets(b),
	} {
		b.Run(Engine()+"/"+name, func(b *testing.B) {
			d := openDecoder(b, media.Opus, 8000)
			pcm := make([]int16, 960)
			defer cpu(b)()
			for i := 0; b.Loop(); i++ {
				if _, err := d.Decode(packets[i%len(packets)], pcm); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run(Engine()+"/recover", func(b *testing.B) {
		e := openEncoder(b, media.Opus, 8000, DefaultOpus())
		e.SetLoss(20)
		packets := encodeAll(b, e, speech(b, 8000), 160)
		d := openDecoder(b, media.Opus, 8000)
		pcm := make([]int16, 160)
		defer cpu(b)()
		for i := 0; b.Loop(); i++ {
			if _, err := d.Recover(packets[i%len(packets)], pcm); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// A call's encoder, from its pool and made anew.
func BenchmarkOpusOpen(b *testing.B) {
	b.Run(Engine()+"/pooled", func(b *testing.B) {
		defer cpu(b)()
		for b.Loop() {
			openEncoder(b, media.Opus, 8000, DefaultOpus()).Close()
		}
	})
	b.Run(Engine()+"/new", func(b *testing.B) {
		defer cpu(b)()
		for b.Loop() {
			if _, err := opusEngine.newEncoder(8000); err != nil {
				b.Fatal(err)
			}
		}
	})
}
