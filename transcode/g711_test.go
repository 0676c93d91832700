package transcode

import (
	"errors"
	"testing"

	"github.com/zaf/g711"

	"github.com/roomline/roomline/media"
)

// itu holds rows of ITU-T G.711 tables 1a (A-law, unit 1/4096 of full scale)
// and 2a (µ-law, unit 1/8192): the interval, its quantised value, its code.
var itu = []struct {
	codec          media.Codec
	scale          int // units to 16 bit
	low, high, val int
	code           byte // for the positive value; the sign is bit 0x80
}{
	{media.PCMU, 4, 7903, 8159, 8031, 0x80},
	{media.PCMU, 4, 4063, 4319, 4191, 0x8f},
	{media.PCMU, 4, 2015, 2143, 2079, 0x9f},
	{media.PCMU, 4, 991, 1055, 1023, 0xaf},
	{media.PCMU, 4, 479, 511, 495, 0xbf},
	{media.PCMU, 4, 223, 239, 231, 0xcf},
	{media.PCMU, 4, 95, 103, 99, 0xdf},
	{media.PCMU, 4, 31, 35, 33, 0xef},
	{media.PCMU, 4, 1, 3, 2, 0xfe},
	{media.PCMU, 4, 0, 1, 0, 0xff},
	{media.PCMA, 8, 3968, 4096, 4032, 0xaa},
	{media.PCMA, 8, 2048, 2176, 2112, 0xa5},
	{media.PCMA, 8, 1024, 1088, 1056, 0xb5},
	{media.PCMA, 8, 512, 544, 528, 0x85},
	{media.PCMA, 8, 256, 272, 264, 0x95},
	{media.PCMA, 8, 128, 136, 132, 0xe5},
	{media.PCMA, 8, 64, 68, 66, 0xf5},
	{media.PCMA, 8, 2, 4, 3, 0xd4},
	{media.PCMA, 8, 0, 2, 1, 0xd5},
}

func TestG711KeepsToTheTablesOfITU(t *testing.T) {
	for _, row := range itu {
		d := openDecoder(t, row.codec, 8000)
		e := openEncoder(t, row.codec, 8000, OpusSettings{})
		for _, sign := range []int{1, -1} {
			code := row.code
			if sign < 0 {
				code &^= 0x80
			}
			var pcm [1]int16
			if _, err := d.Decode([]byte{code}, pcm[:]); err != nil || int(pcm[0]) != sign*row.val*row.scale {
				t.Errorf("%s %#02x decodes to %d (%v), want %d", row.codec, code, pcm[0], err, sign*row.val*row.scale)
			}
			if row.val == 0 && sign < 0 {
				continue // there is one zero in linear PCM
			}
			middle := (row.low + row.high) * row.scale / 2
			for _, value := range []int{row.low*row.scale + 1, middle, row.high*row.scale - 1} {
				var out [1]byte
				_, err := e.Encode([]int16{int16(sign * min(value, 32767))}, out[:])
				if err != nil || out[0] != code {
					t.Errorf("%s: %d encodes to %#02x (%v), want %#02x", row.codec, sign*value, out[0], err, code)
				}
			}
		}
	}
}

func TestG711CodesSurviveTheRoundTrip(t *testing.T) {
	for _, codec := range []media.Codec{media.PCMU, media.PCMA} {
		d, e := openDecoder(t, codec, 8000), openEncoder(t, codec, 8000, OpusSettings{})
		var codes, back [256]byte
		for i := range codes {
			codes[i] = byte(i)
		}
		var pcm [256]int16
		if _, err := d.Decode(codes[:], pcm[:]); err != nil {
			t.Fatal(err)
		}
		if _, err := e.Encode(pcm[:], back[:]); err != nil {
			t.Fatal(err)
		}
		for i := range codes {
			if negativeZero := codec == media.PCMU && i == 0x7f; back[i] != codes[i] && !negativeZero {
				t.Errorf("%s %#02x came back as %#02x", codec, i, back[i])
			}
		}
	}
}

func TestG711TablesAgreeWithTheSampleFunctions(t *testing.T) {
	for v := -32768; v <= 32767; v++ {
		s := int16(v)
		if got, want := muLaw.compress[uint16(s)>>2], g711.EncodeUlawFrame(s); got != want {
			t.Fatalf("µ-law of %d is %#02x, want %#02x", v, got, want)
		}
		if got, want := aLaw.compress[uint16(s)>>2], g711.EncodeAlawFrame(s); got != want {
			t.Fatalf("A-law of %d is %#02x, want %#02x", v, got, want)
		}
	}
}

func TestG711RefusesWhatCannotBe(t *testing.T) {
	d, e := openDecoder(t, media.PCMU, 8000), openEncoder(t, media.PCMU, 8000, OpusSettings{})
	if _, err := d.Decode(nil, make([]int16, 160)); !errors.Is(err, ErrMalformed) {
		t.Errorf("empty payload: %v", err)
	}
	if _, err := d.Decode(make([]byte, 161), make([]int16, 160)); !errors.Is(err, ErrShort) {
		t.Errorf("payload over the buffer: %v", err)
	}
	if _, err := e.Encode(make([]int16, 161), make([]byte, 160)); !errors.Is(err, ErrShort) {
		t.Errorf("frame over the buffer: %v", err)
	}
	if _, err := e.Encode(nil, make([]byte, 160)); !errors.Is(err, ErrLength) {
		t.Errorf("empty frame: %v", err)
	}
	if _, err := NewDecoder(media.PCMU, 16000); err == nil {
		t.Error("G.711 at 16 kHz was accepted")
	}
	if _, err := NewEncoder(media.TelephoneEvent, 8000, OpusSettings{}); err == nil {
		t.Error("an encoder for digits was made")
	}
}

func FuzzG711(f *testing.F) {
	f.Add([]byte{}, []byte{0xff}, uint16(160))
	f.Add([]byte{0, 1, 2}, make([]byte, 480), uint16(7))
	f.Fuzz(func(t *testing.T, first, second []byte, gap uint16) {
		for _, codec := range []media.Codec{media.PCMU, media.PCMA} {
			d, e := openDecoder(t, codec, 8000), openEncoder(t, codec, 8000, OpusSettings{})
			pcm := make([]int16, max(len(first), len(second), int(gap)))
			_, _ = d.Decode(first, pcm)
			if n, err := d.Recover(second, pcm[:gap]); n != int(gap) || err != nil {
				t.Fatalf("recover: %d, %v", n, err)
			}
			n, err := d.Decode(second, pcm)
			if want, errWant := Samples(codec, second, 8000); n != want || (err == nil) != (errWant == nil) {
				t.Fatalf("decode %d, %v; samples %d, %v", n, err, want, errWant)
			}
			out := make([]byte, len(pcm))
			if m, err := e.Encode(pcm[:n], out); n > 0 && (m != n || err != nil) {
				t.Fatalf("encode: %d, %v", m, err)
			}
		}
	})
}
