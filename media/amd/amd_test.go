package amd

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/roomline/roomline/media"
)

// listen plays a call to a detector, packet by packet.
func listen(pcm []int16, frame int) (d *Detector, first Verdict, after time.Duration) {
	d = New(Settings{})
	for at := 0; at < len(pcm); at += frame {
		d.Hear(pcm[at:min(at+frame, len(pcm))], lasts(pcm[:at]))
		if v, when := d.Verdict(); first == Undecided {
			first, after = v, when
		}
	}
	return d, first, after
}

// judge plays all calls, prints what they were taken for, and fails unless 95 in 100 of
// each kind are right in time.
func judge(t *testing.T, calls []sample) {
	matrix, beeps, found := map[Verdict]map[Verdict]int{}, 0, 0
	dice := rand.New(rand.NewPCG(1, 1))
	for _, c := range calls {
		d, got, after := listen(c.pcm, []int{80, 160, 240, 320}[dice.IntN(4)])
		if matrix[c.who] == nil {
			matrix[c.who] = map[Verdict]int{}
		}
		if got != c.who || after > 2500*time.Millisecond {
			t.Logf("%s is taken for %s after %s: %s", c.who, got, after, c.name)
		}
		if after > 2500*time.Millisecond {
			got = Undecided
		}
		matrix[c.who][got]++
		if c.beep == 0 {
			continue
		}
		beeps++
		if ended, ok := d.Beep(); ok && ended-c.beep < 60*time.Millisecond && c.beep-ended < 60*time.Millisecond {
			found++
		} else {
			t.Logf("its beep ended at %s, told %s, %v: %s", c.beep, ended, ok, c.name)
		}
	}
	t.Logf("%10s %8s %8s %8s %8s", "", Human, Machine, Fax, Unknown)
	right, all := 0, 0
	for _, who := range []Verdict{Human, Machine, Fax, Unknown} {
		m, sum := matrix[who], 0
		for _, n := range m {
			sum += n
		}
		t.Logf("%10s %8d %8d %8d %8d", who, m[Human], m[Machine], m[Fax], m[Unknown])
		if m[who]*100 < sum*95 {
			t.Errorf("%d of %d are taken for %s", m[who], sum, who)
		}
		right, all = right+m[who], all+sum
	}
	t.Logf("%d of %d right within 2.5 s; %d of %d beeps", right, all, found, beeps)
	if found*100 < beeps*95 {
		t.Errorf("%d of %d beeps are found", found, beeps)
	}
}

func TestWhoAnswersIsKnown(t *testing.T) {
	judge(t, corpus(t, 24))
}

func TestWhatIsMissingIsSilence(t *testing.T) {
	d := New(Settings{})
	d.Hear(make([]int16, 160), 0)
	d.Pass(2 * time.Second)
	if v, _ := d.Verdict(); v != Undecided {
		t.Errorf("%q before the limit", v)
	}
	d.Pass(3 * time.Second)
	if v, after := d.Verdict(); v != Unknown || after != 2500*time.Millisecond {
		t.Errorf("%q after %s", v, after)
	}
	d.Hear(tone(time.Second, -20, 2100), 4*time.Second)
	if v, after := d.Verdict(); v != Fax || after < 4200*time.Millisecond || after > 4500*time.Millisecond {
		t.Errorf("%q after %s", v, after)
	}
}

func TestHearingCostsNoAllocation(t *testing.T) {
	d, pcm, at := New(Settings{}), tone(30*time.Millisecond, -20, 300, 900), time.Duration(0)
	if n := testing.AllocsPerRun(200, func() { d.Hear(pcm, at); at += 30 * time.Millisecond }); n > 0 {
		t.Errorf("%.1f allocations per packet", n)
	}
}

func BenchmarkHear(b *testing.B) {
	d, pcm, at := New(Settings{}), make([]int16, media.FrameSamples), time.Duration(0)
	dice := rand.New(rand.NewPCG(1, 1))
	for i := range pcm {
		pcm[i] = int16(2000 * dice.NormFloat64())
	}
	for b.Loop() {
		d.Hear(pcm, at)
		at += media.FrameDuration
	}
}
