package main

import (
	"fmt"
	"os"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/transcode"
)

// longestMusic is how much hold music is kept in memory: 10 MB.
const longestMusic = 10 * time.Minute

// holdSound reads what --hold-music names. nil leaves it to the bridge.
func (s *settings) holdSound() (func() bridge.Voice, error) {
	switch s.HoldMusic {
	case "":
		return nil, nil
	case "off":
		return func() bridge.Voice { return nil }, nil
	}
	pcm, err := readMusic(s.HoldMusic)
	if err != nil {
		return nil, fmt.Errorf("--hold-music: %w", err)
	}
	return func() bridge.Voice { return media.NewLoop(pcm) }, nil
}

// readMusic reads a WAV file as sound at 8 kHz.
func readMusic(name string) ([]int16, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	pcm, rateHz, err := media.ReadWAV(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	switch length := time.Duration(len(pcm)) * time.Second / time.Duration(rateHz); {
	case rateHz != media.NarrowbandHz && rateHz != media.WidebandHz:
		return nil, fmt.Errorf("%s: %d Hz; expected 8000 or 16000", name, rateHz)
	case length < time.Second:
		return nil, fmt.Errorf("%s: %v of sound; expected a second or more", name, length)
	case length > longestMusic:
		return nil, fmt.Errorf("%s: %v of sound; expected at most %v", name, length.Round(time.Second), longestMusic)
	}
	if rateHz == media.WidebandHz {
		var d transcode.Downsampler
		pcm = pcm[:d.Process(pcm[:len(pcm)&^1], pcm)]
	}
	return pcm, nil
}
