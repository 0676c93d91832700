package rtp

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/roomline/roomline/media"
)

// run pushes numbered packets whose payload repeats their number out of one reused
// buffer, and returns what comes out: "n" or "n(lost)".
func run(t *testing.T, r *Reorder, numbers ...uint16) string {
	t.Helper()
	var out []string
	buffer := make([]byte, 2)
	emit := func(p *media.Packet, lost int) {
		if got := uint16(p.Payload[0])<<8 | uint16(p.Payload[1]); got != p.SequenceNumber {
			t.Errorf("packet %d carries the payload of %d", p.SequenceNumber, got)
		}
		s := fmt.Sprint(p.SequenceNumber)
		if lost != 0 {
			s += fmt.Sprintf("(%d)", lost)
		}
		out = append(out, s)
	}
	now := time.Unix(0, 0)
	for _, n := range numbers {
		buffer[0], buffer[1] = byte(n>>8), byte(n)
		r.Push(&media.Packet{SequenceNumber: n, Payload: buffer, Arrived: now}, emit)
		now = now.Add(20 * time.Millisecond)
	}
	return strings.Join(out, " ")
}

// The peer's defect: a jitter buffer that keeps a packet whose buffer is used
// again plays wrong sound at every reorder; run fills one buffer for all.
func TestPeerDefect01ReusedPacketBuffer(t *testing.T) {
	if got := run(t, NewReorder(3, time.Second), 1, 3, 4, 2, 5); got != "1 2 3 4 5" {
		t.Errorf("got %s", got)
	}
}

func TestReorder(t *testing.T) {
	tests := map[string]struct {
		most int
		in   []uint16
		want string
	}{
		"in order":                    {3, []uint16{7, 8, 9}, "7 8 9"},
		"one swapped":                 {3, []uint16{7, 9, 8, 10}, "7 8 9 10"},
		"one lost":                    {3, []uint16{7, 9, 10, 11, 12}, "7 9(1) 10 11 12"},
		"one lost, no waiting":        {1, []uint16{7, 9, 10}, "7 9(1) 10"},
		"two gaps":                    {3, []uint16{1, 3, 5, 6, 7}, "1 3(1) 5(1) 6 7"},
		"late by too much":            {2, []uint16{1, 3, 4, 5, 2, 6}, "1 3(1) 4 5 6"},
		"twice":                       {3, []uint16{1, 1, 3, 3, 2, 2, 4}, "1 2 3 4"},
		"burst lost":                  {3, []uint16{1, 20, 21}, "1 20(18) 21"},
		"swapped over the wrap":       {3, []uint16{65533, 65535, 0, 65534, 1}, "65533 65534 65535 0 1"},
		"lost over the wrap":          {3, []uint16{65534, 0, 1, 2, 3}, "65534 0(1) 1 2 3"},
		"starts at 65535":             {3, []uint16{65535, 0, 1}, "65535 0 1"},
		"jump ahead":                  {3, []uint16{10, 11, 30000, 30001}, "10 11 30000 30001"},
		"jump back":                   {3, []uint16{30000, 10, 11}, "30000 10 11"},
		"jump with one held":          {3, []uint16{10, 12, 30000, 30001}, "10 12(1) 30000 30001"},
		"anew a little back":          {3, []uint16{50, 20, 21, 22, 23, 24, 25, 26, 27, 28}, "50 27 28"},
		"late ones are not taken up":  {3, []uint16{50, 45, 51, 46, 52, 47, 53}, "50 51 52 53"},
		"held when the far one comes": {3, []uint16{1, 3, 9, 10}, "1 3(1) 9(5) 10"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := run(t, NewReorder(tt.most, time.Second), tt.in...); got != tt.want {
				t.Errorf("%v: got %s, want %s", tt.in, got, tt.want)
			}
		})
	}
}

func TestReorderGivesUpInTime(t *testing.T) {
	r := NewReorder(5, 40*time.Millisecond)
	run(t, r, 1)
	start := time.Unix(100, 0)
	var got []string
	emit := func(p *media.Packet, lost int) { got = append(got, fmt.Sprint(p.SequenceNumber, lost)) }
	if !r.Deadline().IsZero() {
		t.Error("a deadline while nothing is held")
	}
	r.Push(&media.Packet{SequenceNumber: 3, Arrived: start}, emit)
	r.Push(&media.Packet{SequenceNumber: 4, Arrived: start.Add(20 * time.Millisecond)}, emit)
	if want := start.Add(40 * time.Millisecond); !r.Deadline().Equal(want) {
		t.Errorf("deadline %v, want %v", r.Deadline(), want)
	}
	r.Flush(start.Add(39*time.Millisecond), emit)
	if len(got) != 0 {
		t.Errorf("gave up early: %v", got)
	}
	r.Flush(start.Add(40*time.Millisecond), emit)
	if fmt.Sprint(got) != "[3 1 4 0]" {
		t.Errorf("got %v", got)
	}
	r.Push(&media.Packet{SequenceNumber: 7, Arrived: start}, emit)
	r.Reset()
	r.Flush(start.Add(time.Hour), emit)
	if len(got) != 2 {
		t.Errorf("a packet outlived Reset: %v", got)
	}
}

// Whatever the network does: numbers only rise, and what was counted lost plus
// what came out is what was sent.
func TestReorderKeepsCount(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		r := NewReorder(1+rng.IntN(6), 0)
		sent := make([]uint16, 200)
		for i := range sent {
			sent[i] = 65400 + uint16(i)
		}
		for i := range 60 { // swaps not at the very start, which sets the first number
			a := 5 + (i*3)%190
			b := min(199, a+rng.IntN(5))
			sent[a], sent[b] = sent[b], sent[a]
		}
		out, lost, last := 0, 0, uint16(65399)
		emit := func(p *media.Packet, l int) {
			if p.SequenceNumber-last != uint16(l)+1 {
				t.Fatalf("%d after %d with %d lost", p.SequenceNumber, last, l)
			}
			out, lost, last = out+1, lost+l, p.SequenceNumber
		}
		for i, n := range sent {
			if i > 5 && rng.IntN(20) == 0 {
				continue
			}
			r.Push(&media.Packet{SequenceNumber: n}, emit)
		}
		r.Flush(time.Now(), emit)
		if got := out + lost; got != int(last-65399) {
			t.Fatalf("%d out and %d lost up to number %d", out, lost, last-65399)
		}
	}
}

func TestReorderDoesNotAllocate(t *testing.T) {
	r := NewReorder(4, time.Second)
	p := &media.Packet{Payload: make([]byte, 160)}
	emit := func(*media.Packet, int) {}
	swap := func() {
		for _, d := range []uint16{0, 2, 1, 3} {
			n := p.SequenceNumber
			p.SequenceNumber = n + d
			r.Push(p, emit)
			p.SequenceNumber = n
		}
		p.SequenceNumber += 4
	}
	for range 8 {
		swap() // buffers grow once
	}
	if n := testing.AllocsPerRun(1000, swap); n != 0 {
		t.Errorf("%v allocations per four packets", n)
	}
}

func TestReorderWaitsOnlyWherePacketsCameOutOfOrder(t *testing.T) {
	for name, c := range map[string]struct {
		in   []uint16
		want string
	}{
		"a loss is not waited for":        {[]uint16{1, 3, 4}, "1 3(1) 4"},
		"the first late packet is lost":   {[]uint16{1, 3, 2, 4}, "1 3(1) 4"},
		"after it there is waiting":       {[]uint16{1, 3, 2, 4, 6, 5, 7}, "1 3(1) 4 5 6 7"},
		"for a while":                     {[]uint16{1, 3, 2, 4, 5, 6, 7, 9, 10}, "1 3(1) 4 5 6 7 9(1) 10"},
		"and as long as it goes on":       {[]uint16{1, 3, 2, 4, 6, 5, 7, 9, 8, 10, 12, 11}, "1 3(1) 4 5 6 7 8 9 10 11 12"},
		"a packet twice proves nothing":   {[]uint16{1, 2, 2, 4, 5}, "1 2 4(1) 5"},
		"over the wrap":                   {[]uint16{65534, 0, 65535, 2, 1}, "65534 0(1) 1 2"},
		"a packet from before the first":  {[]uint16{5, 4, 7, 6}, "5 6 7"},
		"a jump is followed all the same": {[]uint16{5, 6, 9000, 9001}, "5 6 9000 9001"},
	} {
		r := NewReorder(2, time.Second)
		r.Memory = 4
		if got := run(t, r, c.in...); got != c.want {
			t.Errorf("%s: %v came out as %s, want %s", name, c.in, got, c.want)
		}
	}
}

// Ten numbers back is late, unless the sound is later than all before it.
func TestReorderFollowsANewNumberingByItsTime(t *testing.T) {
	r, out := NewReorder(2, time.Second), []uint16{}
	emit := func(p *media.Packet, lost int) { out = append(out, p.SequenceNumber) }
	for i, n := range []uint16{100, 101, 91, 92, 90} {
		ts := uint32(i * 160)
		if n == 90 {
			ts = 100
		}
		r.Push(&media.Packet{SequenceNumber: n, Timestamp: ts}, emit)
	}
	if fmt.Sprint(out) != "[100 101 91 92]" {
		t.Errorf("got %v", out)
	}
}

func TestReorderLearnsPatience(t *testing.T) {
	r := NewReorder(2, time.Second)
	if got := run(t, r, 1, 3, 4, 2, 5); got != "1 3(1) 4 5" || r.Overdue() != 1 {
		t.Errorf("got %s, %d overdue, want 1", got, r.Overdue())
	}
	r.Wait(5, time.Second)
	if got := run(t, r, 7, 8, 9, 10, 6, 11); got != "6 7 8 9 10 11" {
		t.Errorf("with more patience: %s", got)
	}
	if got := run(t, r, 13, 14, 15); got != "" {
		t.Errorf("with more patience, %s did not wait", got)
	}
	r.Wait(2, time.Second) // three are held
	if got := run(t, r, 16); got != "13(1) 14 15 16" {
		t.Errorf("with less patience again: %s", got)
	}
}
