package media

import "testing"

func TestFillerIsSoftAndComesBack(t *testing.T) {
	f, pcm := NewFiller(NarrowbandHz), make([]int16, 10*NarrowbandHz)
	for at := 0; at < len(pcm); at += FrameSamples {
		f.Fill(pcm[at : at+FrameSamples])
	}
	for round := range 4 {
		at := int(float64(round) * fillerEvery * NarrowbandHz)
		if on := Level(pcm[at : at+800]); on > -27 || on < -38 {
			t.Errorf("round %d begins at %.1f dBov", round, on)
		}
		if high := ToneLevel(pcm[at+1900:at+3300], NarrowbandHz, fillerNotes[1]); high < -38 {
			t.Errorf("the second note sounds at %.1f dBov", high)
		}
	}
	for i := 1; i < len(pcm); i++ {
		if d := int(pcm[i]) - int(pcm[i-1]); d > 1200 || d < -1200 {
			t.Fatalf("step of %d at sample %d", d, i)
		}
	}
	if n := testing.AllocsPerRun(100, func() { f.Fill(pcm[:FrameSamples]) }); n > 0 {
		t.Errorf("%.1f allocations", n)
	}
}
