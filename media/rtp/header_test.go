package rtp

import (
	"bytes"
	"errors"
	"testing"

	pionrtp "github.com/pion/rtp"

	"github.com/roomline/roomline/media"
)

func TestParseReadsWhatPionWrites(t *testing.T) {
	payload := []byte("sound")
	for name, change := range map[string]func(*pionrtp.Packet){
		"plain":                func(*pionrtp.Packet) {},
		"marker":               func(p *pionrtp.Packet) { p.Marker = true },
		"contributing sources": func(p *pionrtp.Packet) { p.CSRC = []uint32{1, 2, 3} },
		"padding":              func(p *pionrtp.Packet) { p.Padding, p.Header.PaddingSize = true, 7 },
		"extension":            func(p *pionrtp.Packet) { p.SetExtension(5, []byte{1, 2, 3}) },
		"all": func(p *pionrtp.Packet) {
			p.CSRC, p.Padding, p.Header.PaddingSize, p.Marker = []uint32{9}, true, 1, true
			p.SetExtension(5, []byte{1, 2, 3})
		},
	} {
		var sent *pionrtp.Packet
		b := wire(t, 96, 65535, 0xFFFFFFF0, 0xDEADBEEF, payload, change, func(p *pionrtp.Packet) { sent = p })
		h, got, err := parse(b)
		want := header{marker: sent.Marker, payloadType: 96, sequence: 65535, timestamp: 0xFFFFFFF0, ssrc: 0xDEADBEEF}
		if err != nil || h != want || !bytes.Equal(got, payload) {
			t.Errorf("%s: %+v %q %v, want %+v", name, h, got, err, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	good := wire(t, 0, 1, 2, 3, []byte("sound"))
	change := func(at int, to byte) []byte {
		b := bytes.Clone(good)
		b[at] = to
		return b
	}
	for name, tt := range map[string]struct {
		b    []byte
		want error
	}{
		"nothing":          {nil, errTruncated},
		"half a header":    {good[:11], errTruncated},
		"version 1":        {change(0, 0x40), errVersion},
		"version 0, STUN":  {append([]byte{0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42}, make([]byte, 12)...), errVersion},
		"sources missing":  {change(0, 0x8F), errTruncated},
		"extension longer": {append(change(0, 0x90)[:12:12], 0xBE, 0xDE, 0xFF, 0xFF, 0), errTruncated},
		"extension cut":    {change(0, 0x90)[:14], errTruncated},
		"padding 0":        {append(change(0, 0xA0), 0), errPadding},
		"padding too long": {append(change(0, 0xA0), 7), errPadding},
	} {
		if _, _, err := parse(tt.b); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
}

func TestPutIsReadByPion(t *testing.T) {
	var b [headerSize]byte
	put(b[:], &media.Packet{Marker: true, SequenceNumber: 65535, Timestamp: 0xFFFFFFFF}, 101, 7)
	var h pionrtp.Header
	if n, err := h.Unmarshal(b[:]); err != nil || n != headerSize {
		t.Fatal(n, err)
	}
	if h.Version != 2 || !h.Marker || h.PayloadType != 101 || h.SequenceNumber != 65535 || h.Timestamp != 0xFFFFFFFF || h.SSRC != 7 {
		t.Errorf("%+v", h)
	}
}

// Where pion takes a packet, so do we, and read the same from it. We take some
// more: what is wrong within a header extension does not matter to us, nor to sound.
func FuzzParse(f *testing.F) {
	f.Add(wire(f, 0, 1, 2, 3, []byte("sound")))
	f.Add(wire(f, 0, 1, 2, 3, []byte("sound"), func(p *pionrtp.Packet) { p.CSRC = []uint32{1}; p.SetExtension(1, []byte{1}) }))
	f.Add(wire(f, 0, 1, 2, 3, []byte("sound"), func(p *pionrtp.Packet) { p.Padding, p.Header.PaddingSize = true, 4 }))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, payload, err := parse(b)
		var p pionrtp.Packet
		if p.Unmarshal(b) != nil || p.Version != 2 {
			return
		}
		if err != nil {
			t.Fatalf("pion takes what we refuse: %v", err)
		}
		if h != (header{p.Marker, p.PayloadType, p.SequenceNumber, p.Timestamp, p.SSRC}) || !bytes.Equal(payload, p.Payload) {
			t.Fatalf("%+v %x, pion %+v %x", h, payload, p.Header, p.Payload)
		}
	})
}
