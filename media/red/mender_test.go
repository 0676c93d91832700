package red

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// heard runs packets, each with so many before it, through a Mender, and returns
// the numbers in the order of their delivery; recovered ones are negative.
func heard(packets []int, depth int) (got []int) {
	var m Mender
	for _, n := range packets {
		for back := depth; back > 0; back-- {
			if m.Missing(uint16(n), uint32(n*960), back, uint16(back*960)) {
				got = append(got, -(n - back))
			}
		}
		if m.Take(uint16(n), uint32(n*960)) {
			got = append(got, n)
		}
	}
	return got
}

func TestMender(t *testing.T) {
	for name, c := range map[string]struct {
		packets, want []int
		depth         int
	}{
		"nothing lost":              {[]int{1, 2, 3}, []int{1, 2, 3}, 1},
		"the first is the first":    {[]int{5, 6}, []int{5, 6}, 2},
		"one lost":                  {[]int{1, 3, 4}, []int{1, -2, 3, 4}, 1},
		"two lost at depth 1":       {[]int{1, 4, 5}, []int{1, -3, 4, 5}, 1},
		"two lost at depth 2":       {[]int{1, 4, 5}, []int{1, -2, -3, 4, 5}, 2},
		"late after its copy":       {[]int{1, 3, 2, 4}, []int{1, -2, 3, 4}, 1},
		"late without a copy":       {[]int{1, 4, 2, 3, 5}, []int{1, -3, 4, 2, 5}, 1},
		"a duplicate":               {[]int{1, 2, 2, 3}, []int{1, 2, 3}, 1},
		"the copy comes late":       {[]int{1, 4, 3}, []int{1, -3, 4, -2}, 1},
		"plain packets":             {[]int{1, 3, 2, 2, 4}, []int{1, 3, 2, 4}, 0},
		"around the wrap":           {[]int{65534, 65536, 65537}, []int{65534, -65535, 65536, 65537}, 1},
		"far ahead":                 {[]int{1, 1000, 1001}, []int{1, -999, 1000, 1001}, 1},
		"nothing of before a start": {[]int{100, 99, 101}, []int{100, 99, 101}, 0},
	} {
		if got := heard(c.packets, c.depth); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// A digit took the number in between: the block before is not the missing sound.
func TestMenderKnowsBlocksByTheirTime(t *testing.T) {
	var m Mender
	m.Take(1, 960)
	if m.Missing(3, 1920, 1, 960) {
		t.Error("the block of packet 1 stands in for packet 2")
	}
	m.Take(3, 1920)
	if m.Missing(4, 2880, 1, 960) {
		t.Error("a packet that came is missing")
	}
	m.Take(4, 2880)
	m.Take(6, 4800)
	if m.Missing(7, 5760, 2, 2880) {
		t.Error("a block from before packet 4 stands in for packet 5")
	}
	if !m.Missing(7, 5760, 2, 1920) {
		t.Error("packet 5 is not missing")
	}
}

func TestMenderFollowsANewNumbering(t *testing.T) {
	var m Mender
	for n := range 100 {
		m.Take(uint16(20000+n), uint32(n)*960)
	}
	fresh := 0
	for n := range 20 {
		if m.Take(uint16(n), uint32(500+n)*960) {
			fresh++
		}
	}
	if fresh != 20 {
		t.Errorf("%d of 20 packets went on", fresh)
	}
	if !m.Missing(21, 521*960, 1, 960) {
		t.Error("redundancy is not used after a new numbering")
	}
}

// However packets are lost and mixed up, none is delivered twice, and one is
// lost only with all of its copies.
func TestMenderDeliversOnce(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		depth := 1 + int(seed%2)
		var packets []int
		arrived := map[int]bool{}
		for n := 65000; n < 66500; n++ {
			if n == 65000 || r.IntN(100) >= 20 {
				packets = append(packets, n)
				arrived[n] = true
			}
		}
		for i := 1; i+5 < len(packets); i++ { // the first stays the first
			if k := i + r.IntN(5); r.IntN(10) == 0 {
				packets[i], packets[k] = packets[k], packets[i]
			}
		}
		seen := map[int]bool{}
		for _, n := range heard(packets, depth) {
			n = max(n, -n)
			if seen[n] {
				t.Fatalf("seed %d: packet %d twice", seed, n)
			}
			seen[n] = true
		}
		for n := 65000; n < 66400; n++ {
			had := arrived[n]
			for back := 1; back <= depth; back++ {
				had = had || arrived[n+back]
			}
			if had && !seen[n] {
				t.Fatalf("seed %d, depth %d: packet %d could be had", seed, depth, n)
			}
		}
	}
}

func ExampleMender() {
	var m Mender
	m.Take(7, 6720)
	// Packet 8 is lost; packet 9 brings it along.
	fmt.Println(m.Missing(9, 8640, 1, 960), m.Take(9, 8640))
	// Then it comes after all.
	fmt.Println(m.Take(8, 7680))
	// Output:
	// true true
	// false
}
