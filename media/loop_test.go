package media

import "testing"

func TestALoopComesBackWithoutAClick(t *testing.T) {
	recording := sine(433, -15, 4321) // ends in mid-wave
	l, pcm := NewLoop(recording), make([]int16, 20000)
	for at := 0; at < len(pcm); at += FrameSamples {
		l.Fill(pcm[at : at+FrameSamples])
	}
	worst := 0
	for i := 1; i < len(recording); i++ {
		worst = max(worst, int(recording[i])-int(recording[i-1]), int(recording[i-1])-int(recording[i]))
	}
	for i := 1; i < len(pcm); i++ {
		if d := int(pcm[i]) - int(pcm[i-1]); d > worst+100 || d < -worst-100 {
			t.Fatalf("step of %d at sample %d, the tone's own are at most %d", d, i, worst)
		}
	}
	within(t, "level of a second round", ToneLevel(pcm[5000:8000], NarrowbandHz, 433), -15, 0.1)
	NewLoop(nil).Fill(pcm)
	within(t, "no recording", Level(pcm), Silence, 0)
}
