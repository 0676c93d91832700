package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roomline/roomline/media"
)

// music writes a WAV file of a tone at 1,000 Hz.
func music(t *testing.T, rateHz int, length time.Duration) string {
	t.Helper()
	pcm := make([]int16, int(length.Seconds()*float64(rateHz)))
	media.Sine(1000, rateHz, -20).Fill(pcm)
	name := filepath.Join(t.TempDir(), "hold.wav")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := media.WriteWAV(f, pcm, rateHz); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestHoldMusicIsReadAtEitherRate(t *testing.T) {
	for _, rateHz := range []int{8000, 16000} {
		s := settings{HoldMusic: music(t, rateHz, 2*time.Second)}
		voice, err := s.holdSound()
		if err != nil {
			t.Fatal(err)
		}
		pcm := make([]int16, 8000)
		voice().Fill(pcm)
		if db := media.ToneLevel(pcm[800:], 8000, 1000); db < -20.5 || db > -19.5 {
			t.Errorf("%d Hz: %.1f dBov, want -20", rateHz, db)
		}
	}
}

func TestHoldMusicOffAndDefault(t *testing.T) {
	if voice, err := (&settings{HoldMusic: "off"}).holdSound(); err != nil || voice() != nil {
		t.Errorf("off: %v", err)
	}
	if voice, err := (&settings{}).holdSound(); err != nil || voice != nil {
		t.Errorf("default: %v", err)
	}
}

func TestHoldMusicThatDoesNotServeIsNamed(t *testing.T) {
	text := filepath.Join(t.TempDir(), "hold.mp3")
	if err := os.WriteFile(text, []byte("ID3"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		music(t, 44100, 2*time.Second):       "44100 Hz; expected 8000 or 16000",
		music(t, 8000, 100*time.Millisecond): "expected a second or more",
		music(t, 8000, 11*time.Minute):       "expected at most 10m0s",
		text:                                 "not a RIFF/WAVE file",
		"/nowhere/hold.wav":                  "no such file",
	} {
		_, err := (&settings{HoldMusic: name}).holdSound()
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "--hold-music") {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
