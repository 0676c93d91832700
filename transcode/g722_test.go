package transcode

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"
	"testing"

	"github.com/roomline/roomline/media"
)

// g722Stimulus is what the reference codes below were made from: noise of every
// loudness with full-scale square waves in between, which reach every branch of
// the saturating arithmetic, divided by 1 << quieter. It uses integers alone.
func g722Stimulus(quieter uint) []int16 {
	pcm, state := make([]int16, 64000), uint32(1)
	for i := range pcm {
		state = state*1664525 + 1013904223
		pcm[i] = int16(int32(state) >> 16 >> (uint(i/4000) % 16))
		if i/2000%8 == 7 {
			pcm[i] = 32767
			if i/(3+i/2000)%2 == 1 {
				pcm[i] = -32768
			}
		}
		pcm[i] >>= quieter
	}
	return pcm
}

func digest(t *testing.T, data any) string {
	t.Helper()
	var b bytes.Buffer
	if err := binary.Write(&b, binary.LittleEndian, data); err != nil {
		t.Fatal(err)
	}
	h := sha256.Sum256(b.Bytes())
	return hex.EncodeToString(h[:8])
}

// The digests are those of libspandsp 0.0.6 over the same samples.
func TestG722IsBitExact(t *testing.T) {
	for _, c := range []struct {
		quieter     uint
		codes, back string // back is not compared where spandsp wraps instead of saturating
	}{
		{0, "6dae83605452d1ef", ""},
		{2, "3bcfd2145c3bfd91", "17ab1b943610349e"},
	} {
		pcm := g722Stimulus(c.quieter)
		codes := bytes.Join(encodeAll(t, openEncoder(t, media.G722, 16000, OpusSettings{}), pcm, 320), nil)
		if got := digest(t, codes); got != c.codes {
			t.Errorf("quieter %d: codes have digest %s, want %s", c.quieter, got, c.codes)
		}
		back := make([]int16, len(pcm))
		if _, err := openDecoder(t, media.G722, 16000).Decode(codes, back); err != nil {
			t.Fatal(err)
		}
		if got := digest(t, back); c.back != "" && got != c.back {
			t.Errorf("quieter %d: sound has digest %s, want %s", c.quieter, got, c.back)
		}
	}
}

// mirrorDelay is what both quadrature mirror filters together hold back.
const mirrorDelay = 22

func TestG722RoundTripKeepsSpeechAndTones(t *testing.T) {
	trip := func(pcm []int16) []int16 {
		e, d := openEncoder(t, media.G722, 16000, OpusSettings{}), openDecoder(t, media.G722, 16000)
		return decodeAll(t, d, encodeAll(t, e, pcm, 320))
	}
	pcm := vowels(16000, 32000)
	if db := snrDB(pcm[:31000], trip(pcm)[mirrorDelay:31000+mirrorDelay]); db < 20 {
		t.Errorf("speech comes back with a signal to noise ratio of %.1f dB, want 20", db)
	}
	for _, f := range []float64{100, 300, 1000, 3000, 3900, 4100, 5000, 6500, 7000} {
		pcm := sine(f, 16000, 16000, 8000)
		want, got := toneDB(pcm, 16000, f), toneDB(trip(pcm)[1000:15000], 16000, f)
		if math.Abs(got-want) > 0.5 {
			t.Errorf("%.0f Hz comes back at %.2f dB, was %.2f", f, got, want)
		}
	}
}

func TestG722ConcealsAndRecovers(t *testing.T) {
	pcm := sine(500, 16000, 16000, 8000)
	packets := encodeAll(t, openEncoder(t, media.G722, 16000, OpusSettings{}), pcm, 320)
	d := openDecoder(t, media.G722, 16000)
	decodeAll(t, d, packets[:20])
	lost := make([]int16, 320)
	if _, err := d.Recover(packets[21], lost); err != nil {
		t.Fatal(err)
	}
	if db := toneDB(lost, 16000, 500); math.Abs(db-toneDB(pcm, 16000, 500)) > 2 {
		t.Errorf("a lost packet sounds at %.1f dB", db)
	}
	rest := decodeAll(t, d, packets[21:])
	worst := 0
	for i := 1; i < 800; i++ {
		worst = max(worst, int(math.Abs(float64(rest[i])-float64(rest[i-1]))))
	}
	if worst > 3500 { // the tone itself steps by 1,560
		t.Errorf("a step of %d after a lost packet", worst)
	}
}

func TestG722RefusesWhatItCannotTake(t *testing.T) {
	e, d := openEncoder(t, media.G722, 16000, OpusSettings{}), openDecoder(t, media.G722, 16000)
	if _, err := e.Encode(make([]int16, 3), make([]byte, 10)); !errors.Is(err, ErrLength) {
		t.Errorf("an odd number of samples: %v", err)
	}
	if _, err := e.Encode(make([]int16, 320), make([]byte, 159)); !errors.Is(err, ErrShort) {
		t.Errorf("a short output: %v", err)
	}
	if _, err := d.Decode(nil, make([]int16, 10)); !errors.Is(err, ErrMalformed) {
		t.Errorf("an empty payload: %v", err)
	}
	if _, err := d.Decode(make([]byte, 160), make([]int16, 319)); !errors.Is(err, ErrShort) {
		t.Errorf("short PCM: %v", err)
	}
	if n, err := Samples(media.G722, make([]byte, 160), 16000); n != 320 || err != nil {
		t.Errorf("160 bytes are %d samples, %v", n, err)
	}
	if _, err := NewDecoder(media.G722, 8000); err == nil {
		t.Error("G.722 at 8 kHz has a decoder")
	}
}

func FuzzG722(f *testing.F) {
	f.Add([]byte{0, 255, 63, 192}, []byte{1})
	f.Fuzz(func(t *testing.T, first, second []byte) {
		d, e := openDecoder(t, media.G722, 16000), openEncoder(t, media.G722, 16000, OpusSettings{})
		pcm := make([]int16, 2*max(len(first), len(second), 80))
		for _, payload := range [][]byte{first, second, first} {
			n, err := d.Decode(payload, pcm)
			if (err == nil) != (len(payload) > 0) || err == nil && n != 2*len(payload) {
				t.Fatalf("%d bytes gave %d samples, %v", len(payload), n, err)
			}
			if n > 0 {
				if _, err := e.Encode(pcm[:n], make([]byte, n)); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := d.Conceal(pcm[:160]); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func BenchmarkG722(b *testing.B) {
	pcm, out, heard := speech(b, 16000), make([]byte, 160), make([]int16, 320)
	b.Run("encode", func(b *testing.B) {
		e := openEncoder(b, media.G722, 16000, OpusSettings{})
		defer cpu(b)()
		for at := 0; b.Loop(); at = (at + 320) % (len(pcm) - 320) {
			_, _ = e.Encode(pcm[at:at+320], out)
		}
	})
	b.Run("decode", func(b *testing.B) {
		packets := encodeAll(b, openEncoder(b, media.G722, 16000, OpusSettings{}), pcm, 320)
		d := openDecoder(b, media.G722, 16000)
		defer cpu(b)()
		for i := 0; b.Loop(); i++ {
			_, _ = d.Decode(packets[i%len(packets)], heard)
		}
	})
}

// A stream is passed on as it is, then encoded anew in the middle of a vowel.
func TestG722FollowsWhatTheListenerHeard(t *testing.T) {
	worst := func(follow bool) int {
		pcm := sine(16000.0/mirrorDelay, 16000, 16000, 12000) // so that the filters' delay does not show
		packets := encodeAll(t, openEncoder(t, media.G722, 16000, OpusSettings{}), pcm, 320)
		between, ours := openDecoder(t, media.G722, 16000), openEncoder(t, media.G722, 16000, OpusSettings{})
		listener := openDecoder(t, media.G722, 16000)
		sound := decodeAll(t, between, packets[:25])
		heard := decodeAll(t, listener, packets[:25])
		if follow {
			Follow(ours, between, sound)
		}
		heard = append(heard, decodeAll(t, listener, encodeAll(t, ours, decodeAll(t, between, packets[25:]), 320))...)
		step := 0
		for i := 7001; i < 9000; i++ {
			step = max(step, int(math.Abs(float64(heard[i])-float64(heard[i-1]))))
		}
		return step
	}
	if with, without := worst(true), worst(false); with > 4200 || without < 2*with {
		t.Errorf("the sound steps by %d, without following by %d; the tone itself by 3,390", with, without)
	}
}
