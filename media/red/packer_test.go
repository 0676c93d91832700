package red

import (
	"bytes"
	"slices"
	"testing"
)

func TestPackerRepeatsWhatCameBefore(t *testing.T) {
	var p Packer
	if got := p.Pack(65535, 0xffffffff-959, 111, []byte{1}, 2); got != nil {
		t.Errorf("the first packet repeats something: %x", got)
	}
	for i, want := range [][]Block{
		{{111, 960, []byte{1}}, {111, 0, []byte{2}}},
		{{111, 1920, []byte{1}}, {111, 960, []byte{2}}, {111, 0, []byte{3}}},
		{{111, 1920, []byte{2}}, {111, 960, []byte{3}}, {111, 0, []byte{4}}},
	} {
		got, err := Parse(p.Pack(uint16(i), uint32(i*960), 111, []byte{byte(i + 2)}, 2), nil)
		if err != nil || !slices.EqualFunc(got, want, same) {
			t.Errorf("packet %d: %v, %v; want %v", i, got, err, want)
		}
	}
	got, _ := Parse(p.Pack(3, 3*960, 111, []byte{5}, 1), nil)
	if want := []Block{{111, 960, []byte{4}}, {111, 0, []byte{5}}}; !slices.EqualFunc(got, want, same) {
		t.Errorf("at depth 1: %v; want %v", got, want)
	}
}

func TestPackerForgets(t *testing.T) {
	type step struct {
		sequence  uint16
		timestamp uint32
		length    int
		blocks    int // redundant ones that are wanted
	}
	for name, steps := range map[string][]step{
		"a gap":               {{1, 960, 9, 0}, {2, 1920, 9, 1}, {4, 3840, 9, 0}, {5, 4800, 9, 1}},
		"a pause":             {{1, 960, 9, 0}, {2, 1920, 9, 1}, {3, 1920 + longestStep + 1, 9, 0}},
		"a step back in time": {{1, 960, 9, 0}, {2, 900, 9, 0}},
		"the same time":       {{1, 960, 9, 0}, {2, 960, 9, 0}},
		"a renumbering":       {{1, 960, 9, 0}, {2, 1920, 9, 1}, {2, 2880, 9, 0}},
		"too long to repeat":  {{1, 960, MaxLength + 1, 0}, {2, 1920, 9, 0}, {3, 2880, 9, 1}},
		"too long together":   {{1, 960, 600, 0}, {2, 1920, 500, 1}, {3, 2880, 100, 1}, {4, 3840, 500, 2}, {5, 4800, 600, 1}},
		"too far back":        {{1, 5760, 9, 0}, {2, 11520, 9, 1}, {3, 17280, 9, 2}},
	} {
		var p Packer
		for i, s := range steps {
			out := p.Pack(s.sequence, s.timestamp, 111, make([]byte, s.length), MaxDepth)
			if len(out) > MaxPayload {
				t.Errorf("%s, packet %d: %d bytes", name, i, len(out))
			}
			got := 0
			if out != nil {
				blocks, err := Parse(out, nil)
				if err != nil {
					t.Fatal(name, err)
				}
				got = len(blocks) - 1
			}
			if got != s.blocks {
				t.Errorf("%s, packet %d repeats %d, want %d", name, i, got, s.blocks)
			}
		}
	}
	var p Packer
	p.Pack(1, 960, 111, []byte{1}, 1)
	p.Reset()
	if p.Pack(2, 1920, 111, []byte{2}, 1) != nil {
		t.Error("a reset was not one")
	}
}

func TestPackerKeepsNothingOfTheCaller(t *testing.T) {
	var p Packer
	payload := []byte{1, 2, 3}
	p.Pack(1, 960, 111, payload, 1)
	payload[0] = 9
	if out := p.Pack(2, 1920, 111, payload, 1); !bytes.Equal(out[5:8], []byte{1, 2, 3}) {
		t.Errorf("%x", out)
	}
}

func BenchmarkPack(b *testing.B) {
	var p Packer
	payload := make([]byte, 60)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		p.Pack(uint16(i), uint32(i)*960, 111, payload, 2)
	}
}

func TestNothingIsAllocatedPerPacket(t *testing.T) {
	var p Packer
	var m Mender
	payload, blocks, i := make([]byte, 60), make([]Block, 0, MaxBlocks), 0
	packet := func() {
		i++
		sequence, timestamp := uint16(i), uint32(i)*960
		out := p.Pack(sequence, timestamp, 111, payload, 2)
		if i%5 == 0 || out == nil { // lost
			return
		}
		blocks, _ = Parse(out, blocks[:0])
		for k, b := range blocks[:len(blocks)-1] {
			m.Missing(sequence, timestamp, len(blocks)-1-k, b.Offset)
		}
		m.Take(sequence, timestamp)
	}
	for range 10 {
		packet()
	}
	if n := testing.AllocsPerRun(1000, packet); n != 0 {
		t.Errorf("%v allocations per packet", n)
	}
}
