package red

import (
	"bytes"
	"errors"
	"slices"
	"testing"
)

func TestParse(t *testing.T) {
	long := bytes.Repeat([]byte{7}, MaxLength)
	for name, c := range map[string]struct {
		payload []byte
		want    []Block
		err     error
	}{
		"primary alone":             {[]byte{111, 1, 2}, []Block{{111, 0, []byte{1, 2}}}, nil},
		"primary alone, and empty":  {[]byte{111}, []Block{{111, 0, nil}}, nil},
		"one before it":             {[]byte{0x80 | 111, 960 >> 6, 960 << 2 & 0xff, 2, 111, 8, 9, 1}, []Block{{111, 960, []byte{8, 9}}, {111, 0, []byte{1}}}, nil},
		"two before it":             {[]byte{0xef, 30, 0, 1, 0xef, 15, 0, 2, 111, 5, 6, 7}, []Block{{111, 1920, []byte{5}}, {111, 960, []byte{6, 7}}, {111, 0, nil}}, nil},
		"the farthest and longest":  {append([]byte{0x80, 0xff, 0xff, 0xff, 0}, long...), []Block{{0, MaxOffset, long}, {0, 0, nil}}, nil},
		"an empty redundant block":  {[]byte{0xef, 15, 0, 0, 111, 5}, []Block{{111, 960, nil}, {111, 0, []byte{5}}}, nil},
		"nothing":                   {nil, nil, ErrHeader},
		"a cut redundant header":    {[]byte{0xef, 15, 0}, nil, ErrHeader},
		"no primary header":         {[]byte{0xef, 15, 0, 0}, nil, ErrHeader},
		"a block that overruns":     {[]byte{0xef, 15, 0, 9, 111, 5}, nil, ErrLength},
		"two blocks that overrun":   {[]byte{0xef, 30, 0, 3, 0xef, 15, 0, 3, 111, 1, 2, 3, 4, 5}, nil, ErrLength},
		"a header eaten by a block": {[]byte{0xef, 30, 0, 2, 0xef, 15, 0, 1, 111, 1}, nil, ErrLength},
		"too many":                  {append(bytes.Repeat([]byte{0xef, 15, 0, 0}, MaxBlocks), 111), nil, ErrBlocks},
	} {
		got, err := Parse(c.payload, nil)
		if !errors.Is(err, c.err) || !slices.EqualFunc(got, c.want, same) {
			t.Errorf("%s: %v, %v; want %v, %v", name, got, err, c.want, c.err)
		}
	}
}

func same(a, b Block) bool {
	return a.PayloadType == b.PayloadType && a.Offset == b.Offset && bytes.Equal(a.Payload, b.Payload)
}

func TestParseAppends(t *testing.T) {
	kept := []Block{{PayloadType: 1}}
	if got, err := Parse([]byte{111, 1}, kept); err != nil || len(got) != 2 || got[0].PayloadType != 1 || got[1].PayloadType != 111 {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := Parse([]byte{0xef, 15, 0, 0}, kept); err == nil || len(got) != 1 {
		t.Errorf("after an error: %v, %v", got, err)
	}
}

// Whatever is understood must be the payload again when it is written anew.
func FuzzParse(f *testing.F) {
	f.Add([]byte{111, 1, 2})
	f.Add([]byte{0xef, 30, 0, 1, 0xef, 15, 0, 2, 111, 5, 6, 7})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, payload []byte) {
		blocks, err := Parse(payload, nil)
		if err != nil {
			if len(blocks) != 0 {
				t.Fatalf("blocks with an error: %v", blocks)
			}
			return
		}
		var again []byte
		last := len(blocks) - 1
		for _, b := range blocks[:last] {
			n := len(b.Payload)
			again = append(again, 0x80|b.PayloadType, byte(b.Offset>>6), byte(b.Offset<<2)|byte(n>>8), byte(n))
		}
		again = append(again, blocks[last].PayloadType)
		for _, b := range blocks {
			again = append(again, b.Payload...)
		}
		if !bytes.Equal(again, payload) {
			t.Fatalf("%x became %x", payload, again)
		}
	})
}
