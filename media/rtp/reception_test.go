package rtp

import (
	"math"
	"testing"
	"time"
)

func count(numbers ...uint16) *reception {
	r := &reception{}
	for _, n := range numbers {
		r.add(header{sequence: n, ssrc: 7})
	}
	return r
}

func TestLossAccounting(t *testing.T) {
	for name, tt := range map[string]struct {
		in       []uint16
		lost     uint64
		extended uint32
	}{
		"nothing":          {nil, 0, 0},
		"one":              {[]uint16{5}, 0, 5},
		"in order":         {[]uint16{5, 6, 7}, 0, 7},
		"two lost":         {[]uint16{5, 8, 9}, 2, 9},
		"late is not lost": {[]uint16{5, 8, 6, 7}, 0, 8},
		"late at the head": {[]uint16{5, 4, 3, 6}, 0, 6},
		"twice":            {[]uint16{5, 5, 5, 6}, 0, 6},
		"wrap":             {[]uint16{65534, 65535, 0, 2}, 1, 65536 + 2},
		"late at the wrap": {[]uint16{65535, 1, 0, 65534}, 0, 65536 + 1},
		"starts at 65535":  {[]uint16{65535, 0}, 0, 65536},
		"jump":             {[]uint16{5, 7, 40000, 40002}, 2, 40002},
	} {
		r := count(tt.in...)
		if r.lost() != tt.lost || r.started && r.extended() != tt.extended {
			t.Errorf("%s: %d lost, highest %d; want %d, %d", name, r.lost(), r.extended(), tt.lost, tt.extended)
		}
	}
}

func TestExtendedNumbersCountManyWraps(t *testing.T) {
	r := &reception{}
	for i := range uint32(5 * 65536) {
		if i%100 != 50 {
			r.add(header{sequence: uint16(i), ssrc: 7})
		}
	}
	if r.extended() != 5*65536-1 || r.lost() != 3277 {
		t.Errorf("highest %d, %d lost", r.extended(), r.lost())
	}
}

func TestFractionLostIsSinceTheLastReport(t *testing.T) {
	r := count(1, 2, 3, 5, 6, 8, 9, 10) // 2 of 10
	if got := r.fraction(); got != 51 {
		t.Errorf("first fraction %d/256, want 51", got)
	}
	if got := r.fraction(); got != 0 {
		t.Errorf("fraction without packets %d/256", got)
	}
	for _, n := range []uint16{11, 12, 12, 12} {
		r.add(header{sequence: n, ssrc: 7})
	}
	if got := r.fraction(); got != 0 {
		t.Errorf("more arrived than was expected: %d/256", got)
	}
}

// RFC 3550 A.8: J += (|D| - J)/16. With |D| always 10 ms, J comes to 10 ms.
func TestJitterByRFC3550(t *testing.T) {
	for _, rateHz := range []int{8000, 48000} {
		r := &reception{}
		now, ts := time.Unix(5000, 0), uint32(0xFFFFFFFF)-uint32(rateHz) // wraps after a second
		want := 0.0
		for i := range 200 {
			late := time.Duration(i%2) * 10 * time.Millisecond
			r.time(ts, rateHz, now.Add(late))
			if i > 0 {
				want += (0.010 - want) / 16
			}
			if math.Abs(r.jitter-want) > 0.0001 {
				t.Fatalf("%d Hz, packet %d: %.5f s, want %.5f", rateHz, i, r.jitter, want)
			}
			now, ts = now.Add(20*time.Millisecond), ts+uint32(rateHz/50)
		}
	}
}

func TestJitterOfALongCallDoesNotOverflow(t *testing.T) {
	r := &reception{}
	start := time.Unix(0, 0)
	for h := range 24 * 30 { // a month
		at := time.Duration(h) * time.Hour
		r.time(uint32(units(at, 48000)), 48000, start.Add(at))
	}
	if r.jitter > 0.0001 {
		t.Errorf("jitter %.4f s of a perfect clock", r.jitter)
	}
}
