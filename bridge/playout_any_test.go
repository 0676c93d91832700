package bridge

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/roomline/roomline/media"
	"pgregory.net/rapid"
)

// TestPlayoutTakesWhateverComes holds for any arrivals, pauses, jumps, rates and losses.
func TestPlayoutTakesWhateverComes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		silent := rapid.Bool().Draw(t, "silent")
		p := &playout{times: 1, hearing: &hearing{}}
		p.start()
		now, at := time.Unix(1e9, 0), rapid.Int64().Draw(t, "start")>>16
		var frame [2 * media.FrameSamples]int16
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			if rapid.IntRange(0, 2).Draw(t, "beat") > 0 {
				now = now.Add(time.Duration(rapid.IntRange(0, 40).Draw(t, "ms")) * time.Millisecond)
				out := frame[:media.FrameSamples*p.times]
				p.take(out, now)
				for _, v := range out {
					if silent && v != 0 {
						t.Fatalf("%d out of silence", v)
					}
				}
				continue
			}
			d := sound{rateHz: 8000 * rapid.IntRange(1, 2).Draw(t, "rate"), origin: origin(rapid.IntRange(0, 2).Draw(t, "origin"))}
			ticks := rapid.IntRange(1, longestPacket).Draw(t, "ticks")
			d.pcm = make([]int16, ticks*times(d.rateHz))
			for i := range d.pcm {
				if !silent {
					d.pcm[i] = int16(i*7919 + ticks)
				}
			}
			at += int64(rapid.SampledFrom([]int{0, 0, 0, 0, 160, 3000, -3000, 1 << 30}).Draw(t, "jump"))
			d.at, at = at, at+int64(ticks)
			before := slices.Clone(d.pcm)
			p.put(&d, now)
			if !slices.Equal(d.pcm, before) {
				t.Fatal("the sound, which others hear too, has changed")
			}
			if most := (playoutMost + media.FrameSamples) * p.times; p.depth() < 0 || p.depth() > most {
				t.Fatalf("%d samples wait", p.depth())
			}
			if rapid.IntRange(0, 30).Draw(t, "road") == 0 {
				p.stop()
				p.put(&d, now)
				p.start()
			}
		}
	})
}

// TestPlayoutKeepsTheOrder says steps that rise from packet to packet, over any jitter.
func TestPlayoutKeepsTheOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := &playout{times: 1, hearing: &hearing{}}
		p.start()
		epoch := time.Unix(1e9, 0)
		var pcm, frame [media.FrameSamples]int16
		packet, arrives, most, calm := 0, 0, 0, 0
		for beat := range 300 {
			for arrives <= beat*20 {
				for i := range pcm {
					pcm[i] = int16(100 * packet)
				}
				p.put(&sound{pcm: pcm[:], rateHz: 8000, at: int64(packet) * media.FrameSamples}, epoch.Add(time.Duration(arrives)*time.Millisecond))
				packet++
				arrives = max(arrives, packet*20+rapid.IntRange(0, 80).Draw(t, "jitter"))
			}
			p.take(frame[:], epoch.Add(time.Duration(beat)*20*time.Millisecond))
			if calm++; p.conceal.Losing() {
				calm = 0
			}
			if calm < 5 { // what was made up is heard, or repeated
				continue
			}
			for _, v := range frame {
				if int(v) < most-300 {
					t.Fatalf("beat %d: the sound of packet %d after that of %d", beat, v/100, most/100)
				}
				most = max(most, int(v))
			}
		}
	})
}

// BenchmarkPlayout is a packet put and a frame taken.
func BenchmarkPlayout(b *testing.B) {
	for _, rate := range []int{8000, 16000} {
		for _, j := range []struct {
			name  string
			delay func(int) float64
		}{{"none", func(int) float64 { return 0 }}, {"60ms", uniform(60)}} {
			b.Run(fmt.Sprintf("%dHz,jitter=%s", rate, j.name), func(b *testing.B) {
				speech := spoken(b)
				var said []int16
				for i := range 8 * rate {
					said = append(said, speech(i*8000/rate))
				}
				p := &playout{times: 1, hearing: &hearing{}}
				p.start()
				epoch, n := time.Unix(1e9, 0), rate/50
				frame := make([]int16, n)
				packet, arrives := 0, 0.0
				b.ReportAllocs()
				for beat := range b.N {
					for ; arrives <= float64(beat*160); packet++ {
						from := packet * n % (len(said) - n)
						p.put(&sound{pcm: said[from : from+n], rateHz: rate, at: int64(packet) * 160}, epoch.Add(time.Duration(arrives*125e3)))
						arrives = max(arrives, float64(packet+1)*160+j.delay(packet))
					}
					p.take(frame, epoch.Add(time.Duration(beat)*20*time.Millisecond))
				}
			})
		}
	}
}
