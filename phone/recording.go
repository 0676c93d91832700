package phone

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/roomline/roomline/media"
)

// writeRecording writes what a call heard, or both sides of it, to a WAV file.
func writeRecording(name string, c *Call, both bool) error {
	var b bytes.Buffer
	if both {
		b.Write(StereoWAV(sideBySide(c)))
	} else if err := media.WriteWAV(&b, c.Heard(), media.NarrowbandHz); err != nil {
		return fmt.Errorf("recording: %w", err)
	}
	if err := os.WriteFile(name, b.Bytes(), 0o644); err != nil {
		return fmt.Errorf("recording: %w", err)
	}
	return nil
}

// sideBySide returns what was heard and what was said, moved so that both begin
// at the same moment, and equally long.
func sideBySide(c *Call) (left, right []int16) {
	left, right = c.Heard(), c.Said()
	heard, said := c.HeardSince(), c.SaidSince()
	if !heard.IsZero() && !said.IsZero() {
		if ahead := samplesIn(heard.Sub(said)); ahead > 0 {
			left = append(make([]int16, ahead), left...)
		} else {
			right = append(make([]int16, -ahead), right...)
		}
	}
	n := max(len(left), len(right))
	return append(left, make([]int16, n-len(left))...), append(right, make([]int16, n-len(right))...)
}

// StereoWAV renders two channels of equal length as a file, 8 kHz, 16 bit.
func StereoWAV(left, right []int16) []byte {
	const channels, width = 2, 2
	size := channels * width * len(left)
	le := binary.LittleEndian
	b := append(make([]byte, 0, 44+size), "RIFF"...)
	b = le.AppendUint32(b, uint32(36+size))
	b = append(b, "WAVEfmt "...)
	b = le.AppendUint32(b, 16)
	b = le.AppendUint16(b, 1) // PCM
	b = le.AppendUint16(b, channels)
	b = le.AppendUint32(b, media.NarrowbandHz)
	b = le.AppendUint32(b, media.NarrowbandHz*channels*width)
	b = le.AppendUint16(b, channels*width)
	b = le.AppendUint16(b, 8*width)
	b = append(b, "data"...)
	b = le.AppendUint32(b, uint32(size))
	for i := range left {
		b = le.AppendUint16(b, uint16(left[i]))
		b = le.AppendUint16(b, uint16(right[i]))
	}
	return b
}

// numbered is the file of the n-th call, from 1: out.wav, out-2.wav, ...
func numbered(name string, n int) string {
	if name == "" || n == 1 {
		return name
	}
	ext := filepath.Ext(name)
	return fmt.Sprintf("%s-%d%s", strings.TrimSuffix(name, ext), n, ext)
}
