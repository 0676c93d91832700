package bridge

import (
	"testing"
	"time"
)

// stream drives a numbering as a source of 20 ms packets would.
func TestNumberingNeverRestarts(t *testing.T) {
	a, b := &Source{}, &Source{}
	now := time.Now()
	for _, first := range []int64{0, 159, 1<<32 - 320, 1 << 40} {
		n := newNumbering(8000)
		n.seq, n.base = 65534, 1<<32-200 // about to wrap, both
		var last place
		check := func(what string, p place, seq uint16, ts uint32) {
			t.Helper()
			if p.seq-last.seq != seq || p.ts-last.ts != ts {
				t.Errorf("first %d: %s: sequence +%d, time +%d; want +%d, +%d", first, what, p.seq-last.seq, p.ts-last.ts, seq, ts)
			}
			last = p
		}
		last, _ = n.follow(a, now, first, 160, 0, false)
		p, _ := n.follow(a, now.Add(20*time.Millisecond), first+160, 160, 0, false)
		check("the next packet", p, 1, 160)
		p, _ = n.follow(a, now.Add(60*time.Millisecond), first+480, 160, 1, false)
		check("after one lost", p, 2, 320)
		p, _ = n.follow(b, now.Add(100*time.Millisecond), 77, 160, 0, false)
		check("another source after 40 ms", p, 1, 320)
		if !p.marker {
			t.Error("no marker at a change of source")
		}
		check("the beat after 20 ms", n.beat(now.Add(120*time.Millisecond), 160, false), 1, 160)
		check("the beat at once again", n.beat(now.Add(121*time.Millisecond), 160, false), 1, 160)
		check("the beat after a stall", n.beat(now.Add(421*time.Millisecond), 160, true), 1, 2400)
		p, _ = n.follow(a, now.Add(441*time.Millisecond), first+99999, 160, 3, false)
		check("back to a source, whose losses are past", p, 1, 160)
	}
}

func TestNumberingLeavesNoHoleOfLessThanAFrame(t *testing.T) {
	a, b, now := &Source{}, &Source{}, time.Now()
	n := newNumbering(8000)
	last, _ := n.follow(a, now, 0, 160, 0, false)
	began, holes := last.ts, 0
	for i := range 40 { // the road changes hands every 30 ms, a frame at a time
		now = now.Add(30 * time.Millisecond)
		p, _ := n.follow([]*Source{b, a}[i%2], now, int64(i)*7777, 160, 0, false)
		switch p.ts - last.ts {
		case 160:
		case 320:
			holes++
		default:
			t.Fatalf("a step of %d", p.ts-last.ts)
		}
		last = p
	}
	if clock := uint32(40 * 240); holes == 0 || clock-(last.ts-began) > 160 {
		t.Errorf("after %d samples of time the stream is at %d, with %d holes", clock, last.ts-began, holes)
	}
	p, _ := n.follow(a, now.Add(39*time.Millisecond), 99999, 160, 0, false)
	if step := p.ts - last.ts; step > 320 {
		t.Errorf("39 ms later: a step of %d", step)
	}
}

func TestNumberingAfterFillingASilence(t *testing.T) {
	a, now := &Source{}, time.Now()
	n := newNumbering(8000)
	n.follow(a, now, 0, 160, 0, false)
	for i := range 10 { // 100 ms pass, then 10 frames of silence
		n.fill(now.Add(100*time.Millisecond+time.Duration(i)*20*time.Millisecond), 160)
	}
	before := n.next()
	at := now.Add(300 * time.Millisecond)
	if _, ok := n.follow(a, at, 800, 160, 0, false); ok {
		t.Error("a packet was sent whose place has been filled 100 ms ago")
	}
	if p, ok := n.follow(a, at, 2400, 160, 0, false); !ok || p.ts != n.base+2400 || n.last < before {
		t.Errorf("the source's own time does not go on after the silence: %+v", p)
	}
	// A source that stopped its clock for a while is followed after a moment.
	for i := range 10 {
		n.fill(at.Add(200*time.Millisecond+time.Duration(i)*20*time.Millisecond), 160)
	}
	at = at.Add(500 * time.Millisecond)
	var ok bool
	for i := range 20 {
		if _, ok = n.follow(a, at.Add(time.Duration(i)*20*time.Millisecond), 2560+int64(i)*160, 160, 0, false); ok {
			break
		}
	}
	if !ok {
		t.Error("a source whose clock had stopped is never heard again")
	}
}
