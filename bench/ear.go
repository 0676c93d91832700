package bench

import (
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/transcode"
)

// ear decodes one stream and listens for marks. One goroutine at a time.
type ear struct {
	decoder transcode.Decoder
	pcm     []int16
	heard   [3 * media.FrameSamples]int16 // the last three frames
	tone    bool                          // the last of them was all tone
}

func newEar(codec media.Codec) (*ear, error) {
	d, err := transcode.NewDecoder(codec, media.NarrowbandHz)
	if err != nil {
		return nil, err
	}
	return &ear{decoder: d, pcm: make([]int16, 6*media.FrameSamples)}, nil
}

func (e *ear) close() { e.decoder.Close() }

// rest says that packets were not heard: what was before them is forgotten, but
// for the decoder's state.
func (e *ear) rest() {
	e.tone = false
	clear(e.heard[:])
}

// hear takes the next payload. It answers when a mark began in it, or in the
// one before it (back is 1): that a tone is one is sure only when it fills a
// whole frame. onsetMS is counted from the start of the frame where it began.
func (e *ear) hear(payload []byte) (onsetMS float64, back int, ok bool) {
	n, err := e.decoder.Decode(payload, e.pcm)
	if err != nil || n != media.FrameSamples {
		e.tone = false
		return 0, 0, false
	}
	copy(e.heard[:], e.heard[n:])
	copy(e.heard[2*n:], e.pcm[:n])
	before := e.tone
	e.tone = isTone(e.heard[2*n:])
	if !e.tone || before {
		return 0, 0, false
	}
	at := media.Onset(e.heard[n:], media.NarrowbandHz, onsetLevel)
	back = 1 - at/n
	if at < 0 || media.Level(e.heard[(1-back)*n:(2-back)*n]) > quiet {
		return 0, 0, false
	}
	return float64(at%n) * 1000 / media.NarrowbandHz, back, true
}

const (
	quiet      = -45.0 // dBov; what comes before a mark is below
	onsetLevel = -30.0 // dBov; where a mark begins
)

// isTone reports whether a frame is the mark's tone from end to end.
func isTone(frame []int16) bool {
	level := media.Level(frame)
	return level > markLevel-6 && media.ToneLevel(frame, media.NarrowbandHz, markHz) > level-1
}
