package media

import "testing"

func TestChimeIsSoftAndComesBack(t *testing.T) {
	const second = NarrowbandHz
	c, pcm := NewChime(second), make([]int16, 11*second)
	for at := 0; at < len(pcm); at += FrameSamples {
		c.Fill(pcm[at : at+FrameSamples])
	}
	for _, at := range []int{0, 5 * second, 10 * second} {
		if on := Level(pcm[at : at+second/10]); on > -24 || on < -30 {
			t.Errorf("%.1f dBov at %d s", on, at/second)
		}
		if low := ToneLevel(pcm[at+4*second/10:at+7*second/10], second, chimeLow); low < -33 {
			t.Errorf("second note at %.1f dBov", low)
		}
	}
	if off := Level(pcm[3*second : 5*second]); off != Silence {
		t.Errorf("%.1f dBov between", off)
	}
	for i := 1; i < len(pcm); i++ {
		if d := int(pcm[i]) - int(pcm[i-1]); d > 2500 || d < -2500 {
			t.Fatalf("step of %d at sample %d", d, i)
		}
	}
}
