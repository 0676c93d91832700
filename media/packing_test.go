package media

import (
	"testing"
	"time"
)

func TestPackingIsLearned(t *testing.T) {
	type packet struct {
		sequence  uint16
		timestamp uint32
	}
	for name, c := range map[string]struct {
		packets []packet
		want    int // ms
	}{
		"nothing":              {nil, 20},
		"one":                  {[]packet{{1, 0}}, 20},
		"60 ms":                {[]packet{{1, 0}, {2, 480}}, 60},
		"changes":              {[]packet{{1, 0}, {2, 480}, {3, 560}}, 10},
		"over the end":         {[]packet{{65535, 1<<32 - 80}, {0, 160}}, 30},
		"loss between":         {[]packet{{1, 0}, {2, 240}, {5, 960}}, 30},
		"a pause":              {[]packet{{1, 0}, {2, 240}, {3, 80000}}, 20},
		"digits: one time":     {[]packet{{1, 0}, {2, 240}, {3, 240}, {4, 240}}, 30},
		"disorder":             {[]packet{{1, 0}, {2, 240}, {4, 720}, {3, 480}}, 30},
		"starts in the middle": {[]packet{{900, 77777}, {901, 77857}}, 10},
	} {
		var p Packing
		for _, q := range c.packets {
			p.Add(q.sequence, q.timestamp)
		}
		if got := p.Length(8000, 20*time.Millisecond); got != time.Duration(c.want)*time.Millisecond {
			t.Errorf("%s: %v, want %d ms", name, got, c.want)
		}
	}
	if got := (&Packing{units: 80}).Length(0, time.Second); got != time.Second {
		t.Errorf("without a clock: %v", got)
	}
}
