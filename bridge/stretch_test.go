package bridge

import (
	"testing"
	"time"

	"github.com/roomline/roomline/media"
)

// filled is a buffer with two seconds of history and 100 ms of sound that waits.
func filled(times int, said func(int) int16) *playout {
	p := &playout{times: 1, hearing: &hearing{}}
	pcm := make([]int16, media.FrameSamples*times)
	for packet := range 105 {
		for i := range pcm {
			pcm[i] = said(packet*len(pcm) + i)
		}
		if packet == 100 {
			p.start()
		}
		p.put(&sound{pcm: pcm, rateHz: 8000 * times, at: int64(packet * media.FrameSamples)}, time.Unix(int64(packet), 0))
	}
	return p
}

// around is what is heard from the last 20 ms before read on.
func (p *playout) around(before []int16) []int16 {
	pcm := make([]int16, p.depth())
	p.copy(pcm, p.read)
	return append(before, pcm...)
}

func TestAnyLengthIsCutAndInsertedWithoutAClick(t *testing.T) {
	for times := 1; times <= 2; times++ {
		begun := filled(times, tone(440, 8000*float64(times)))
		for n := 1; n <= stretchMost*times; n++ {
			for name, change := range map[string]func(*playout){"cut": func(p *playout) { p.cut(n) }, "inserted": func(p *playout) { p.insert(n) }} {
				now := *begun
				p := &now
				depth, before := p.depth(), make([]int16, media.FrameSamples*times)
				p.copy(before, p.read-int64(len(before)))
				clean := bend(p.around(before))
				change(p)
				if got := bend(p.around(before)); got > clean*3/2 {
					t.Errorf("%d samples %s at %d kHz: the tone bends by %d, want %d", n, name, 8*times, got, clean)
				}
				if d := p.depth() - depth; d != n && d != -n {
					t.Errorf("%d samples %s: depth changes by %d", n, name, d)
				}
			}
		}
	}
}

func TestOnlyWholePeriodsAreLeftOutOfVoice(t *testing.T) {
	for times := 1; times <= 2; times++ {
		p := filled(times, tone(100, 8000*float64(times))) // a period of 80 ticks
		depth := p.depth()
		if p.shorten(60, 200) || p.depth() != depth {
			t.Errorf("%d of a period of %d were cut", depth-p.depth(), 80*times)
		}
		if !p.shorten(200, 200) || depth-p.depth() != 80*times {
			t.Errorf("%d were cut, want %d", depth-p.depth(), 80*times)
		}
		if !p.lengthen(30) || p.depth() != depth {
			t.Errorf("%d were inserted, want %d", p.depth()-depth+80*times, 80*times)
		}
	}
}

func TestWhatMayBeSkippedWhenTheMixedRoadIsLeft(t *testing.T) {
	loud, hush := tone(440, 8000), func(i int) int16 { return int16(i % 50) }
	for _, c := range []struct {
		said  func(int) int16
		waits int
		want  bool
	}{{loud, 800, false}, {loud, 161, false}, {loud, 160, true}, {hush, 800, true}} {
		s := &Source{playout: *filled(1, c.said)}
		s.playout.read = s.playout.write - int64(c.waits)
		if got := s.skippable(); got != c.want {
			t.Errorf("%d ticks may be skipped: %v, want %v", c.waits, got, c.want)
		}
	}
}

func TestSilenceIsChangedByAnyLength(t *testing.T) {
	p := filled(1, func(i int) int16 { return int16(i % 50) })
	depth := p.depth()
	if !p.shorten(431, 640) || depth-p.depth() != 431 {
		t.Errorf("%d were cut, want 431", depth-p.depth())
	}
	if !p.lengthen(77) || depth-p.depth() != 431-77 {
		t.Errorf("%d were inserted, want 77", p.depth()-depth+431)
	}
}

func TestTheEndOfAWordIsNotRepeated(t *testing.T) {
	loud := tone(440, 8000)
	p := filled(1, func(i int) int16 {
		if i < 100*media.FrameSamples {
			return loud(i)
		}
		return 0
	})
	frame := make([]int16, media.FrameSamples)
	if p.lengthen(100) {
		t.Error("something is inserted right after a word")
	}
	p.read += media.FrameSamples
	if !p.lengthen(100) {
		t.Error("nothing is inserted in the pause after a word")
	}
	if p.copy(frame, p.read); media.Level(frame) > -80 {
		t.Errorf("what is inserted has %.1f dBov", media.Level(frame))
	}
}

func TestHowMuchOughtToWait(t *testing.T) {
	for _, c := range []struct {
		name           string
		length, at     int64 // of the newest packet
		arrived, clock int64 // of it, and of the beat that takes the frame that begins at read
		read           int64
		want           int
	}{
		{"aligned, in time", 160, 1600, 1000, 1080, 1600, 0},
		{"a packet too early", 160, 1600, 1000, 1240, 1600, -160},
		{"early, but not by a packet", 160, 1600, 1000, 1155, 1600, 0},
		{"just too late", 160, 1600, 1000, 1001, 1600, 160},
		{"too late by a packet", 160, 1600, 1000, 920, 1600, 160},
		{"too late by more", 160, 1600, 1000, 830, 1600, 320},
		{"of no use within the packet", 160, 1600, 1000, 1080, 1560, -40},
		{"the frame begins in the packet", 160, 1600, 1000, 1080, 1640, 40},
		{"and too late", 160, 1600, 1000, 1001, 1560, 120},
		{"packets of 10 ms", 80, 1600, 1000, 1090, 1600, 0},
		{"packets of 10 ms, early", 80, 1600, 1000, 1170, 1600, -80},
		{"packets of 30 ms", 240, 1600, 1000, 1170, 1600, -80},
	} {
		s := &stretch{}
		s.packet(c.arrived, c.at, c.length)
		s.clock = c.clock
		if got := s.wants(c.read); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}
