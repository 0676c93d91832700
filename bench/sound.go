package bench

import (
	"fmt"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/transcode"
)

// What is sent: recorded speech, and in its pauses short tones after a silence,
// by which the far end knows which packet it hears.
const (
	markHz     = 1250
	markLevel  = -12.0 // dBov
	markFrames = 3     // how long the tone lasts; the first one is the mark
	quietFront = 8     // frames of silence before the tone
	quietBack  = 4     // and after it
	stretch    = 200   // frames of speech between two marks
)

// sound is a loop of payloads of 20 ms each. It is shared and read only.
type sound struct {
	codec   media.Codec
	rateHz  int // that it was encoded at
	frames  [][]byte
	onsetMS []float64 // by frame: where a mark begins in the decoded frame; -1: none
	bitrate int       // of the payloads
}

// ticks is the RTP time that one frame lasts.
func (s *sound) ticks() uint32 { return uint32(s.codec.ClockRate() / 50) }

// script is the loop before it is encoded, at 8 kHz.
func script() ([]int16, error) {
	law := media.Speech()
	speech := make([]int16, len(law))
	d, err := transcode.NewDecoder(media.PCMU, media.NarrowbandHz)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	if _, err := d.Decode(law, speech); err != nil {
		return nil, fmt.Errorf("decode the recorded speech: %w", err)
	}
	var pcm []int16
	for len(speech) >= stretch*media.FrameSamples {
		pcm = append(pcm, mark()...)
		pcm = append(pcm, speech[:stretch*media.FrameSamples]...)
		speech = speech[stretch*media.FrameSamples:]
	}
	return pcm, nil
}

// mark is one tone between its silences.
func mark() []int16 {
	pcm := make([]int16, (quietFront+markFrames+quietBack)*media.FrameSamples)
	tone := media.Sine(markHz, media.NarrowbandHz, markLevel)
	tone.Fill(pcm[quietFront*media.FrameSamples : (quietFront+markFrames)*media.FrameSamples])
	return pcm
}

// newSound encodes the script for codec at rateHz.
func newSound(codec media.Codec, rateHz, bitrate int) (*sound, error) {
	pcm, err := script()
	if err != nil {
		return nil, err
	}
	pcm = faster(pcm, rateHz/media.NarrowbandHz)
	e, err := transcode.NewEncoder(codec, rateHz, transcode.OpusSettings{Bitrate: bitrate, Complexity: 5})
	if err != nil {
		return nil, err
	}
	defer e.Close()
	s := &sound{codec: codec, rateHz: rateHz}
	out, frame, bytes := make([]byte, transcode.MaxPayload), rateHz/50, 0
	for ; len(pcm) >= frame; pcm = pcm[frame:] {
		n, err := e.Encode(pcm[:frame], out)
		if err != nil {
			return nil, fmt.Errorf("encode the speech: %w", err)
		}
		s.frames = append(s.frames, append([]byte(nil), out[:n]...))
		bytes += n
	}
	s.bitrate = bytes * 8 * 50 / len(s.frames)
	return s, s.findMarks()
}

// findMarks listens to the loop as the far end would, twice, so that it is
// warm, and notes where the marks are.
func (s *sound) findMarks() error {
	e, err := newEar(s.codec)
	if err != nil {
		return err
	}
	defer e.close()
	s.onsetMS = make([]float64, len(s.frames))
	for i := range s.onsetMS {
		s.onsetMS[i] = -1
	}
	found := 0
	for i := range 2 * len(s.frames) {
		if onset, back, ok := e.hear(s.frames[i%len(s.frames)]); ok && i > len(s.frames) {
			s.onsetMS[(i-back)%len(s.frames)] = onset
			found++
		}
	}
	if found == 0 {
		return fmt.Errorf("no mark survives %s at %d Hz", s.codec, s.rateHz)
	}
	return nil
}

// faster multiplies the sampling rate, with straight lines in between.
func faster(pcm []int16, times int) []int16 {
	if times == 1 {
		return pcm
	}
	out := make([]int16, len(pcm)*times)
	for i := range out {
		at, part := i/times, i%times
		next := pcm[min(at+1, len(pcm)-1)]
		out[i] = int16((int(pcm[at])*(times-part) + int(next)*part) / times)
	}
	return out
}
