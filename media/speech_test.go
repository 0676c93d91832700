package media

import (
	"testing"

	"github.com/zaf/g711"
)

func TestSpeechIsSpeech(t *testing.T) {
	ulaw := Speech()
	if s := float64(len(ulaw)) / NarrowbandHz; s < 10 || s > 15 {
		t.Errorf("%.1f s, want 10 to 15", s)
	}
	ulaw[0] ^= 0xFF
	if Speech()[0] == ulaw[0] {
		t.Error("the caller's copy is not a copy")
	}
	pcm := expand(Speech(), g711.DecodeUlawFrame)
	if level := Level(pcm); level < -30 || level > -10 {
		t.Errorf("level %.1f dBov", level)
	}
	pauses := 0
	for i := 0; i+1600 <= len(pcm); i += 800 { // 200 ms of near silence: between sentences
		if Level(pcm[i:i+1600]) < -50 {
			pauses++
		}
	}
	if pauses < 3 {
		t.Errorf("%d pauses, want one after each sentence", pauses)
	}
}
