package media

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/zaf/g711"
)

// Format tags of a RIFF/WAVE file (RFC 2361).
const (
	wavePCM        = 1
	waveALaw       = 6
	waveMuLaw      = 7
	waveExtensible = 0xFFFE
)

// maxWAV bounds what ReadWAV takes in: ten hours at 8 kHz.
const maxWAV = 10 * 3600 * 2 * NarrowbandHz

// ReadWAV reads a mono RIFF/WAVE file of 16-bit PCM, µ-law or A-law and decodes
// it. A data chunk that was cut short gives what is there.
func ReadWAV(r io.Reader) (pcm []int16, rateHz int, err error) {
	format, rateHz, data, err := readChunks(r)
	if err != nil {
		return nil, 0, fmt.Errorf("WAV: %w", err)
	}
	switch format {
	case waveMuLaw:
		return expand(data, g711.DecodeUlawFrame), rateHz, nil
	case waveALaw:
		return expand(data, g711.DecodeAlawFrame), rateHz, nil
	}
	pcm = make([]int16, len(data)/2)
	for i := range pcm {
		pcm[i] = int16(binary.LittleEndian.Uint16(data[2*i:]))
	}
	return pcm, rateHz, nil
}

// WriteWAV writes pcm as a mono 16-bit RIFF/WAVE file.
func WriteWAV(w io.Writer, pcm []int16, rateHz int) error {
	if _, err := w.Write(waveHeader(wavePCM, rateHz, 2*len(pcm))); err != nil {
		return err
	}
	_, err := w.Write(littleEndian(pcm))
	return err
}

// WriteMuLawWAV writes µ-law bytes as a mono RIFF/WAVE file.
func WriteMuLawWAV(w io.Writer, ulaw []byte, rateHz int) error {
	if _, err := w.Write(waveHeader(waveMuLaw, rateHz, len(ulaw))); err != nil {
		return err
	}
	if len(ulaw)%2 == 1 { // RIFF chunks end on an even byte
		ulaw = append(ulaw[:len(ulaw):len(ulaw)], 0)
	}
	_, err := w.Write(ulaw)
	return err
}

// WAVWriter writes a mono 16-bit RIFF/WAVE file while the sound comes in. Not
// safe for concurrent use.
type WAVWriter struct {
	w      io.WriteSeeker
	rateHz int
	bytes  int
}

// NewWAVWriter begins a file at rateHz. Closing w stays with the caller.
func NewWAVWriter(w io.WriteSeeker, rateHz int) (*WAVWriter, error) {
	_, err := w.Write(waveHeader(wavePCM, rateHz, 0))
	return &WAVWriter{w: w, rateHz: rateHz}, err
}

// Write appends pcm.
func (w *WAVWriter) Write(pcm []int16) error {
	n, err := w.w.Write(littleEndian(pcm))
	w.bytes += n
	return err
}

// Close writes the length into the header.
func (w *WAVWriter) Close() error {
	if _, err := w.w.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if _, err := w.w.Write(waveHeader(wavePCM, w.rateHz, w.bytes)); err != nil {
		return err
	}
	_, err := w.w.Seek(0, io.SeekEnd)
	return err
}

func readChunks(r io.Reader) (format, rateHz int, data []byte, err error) {
	var head [12]byte
	if _, err := io.ReadFull(r, head[:]); err != nil || string(head[:4]) != "RIFF" || string(head[8:]) != "WAVE" {
		return 0, 0, nil, errors.New("not a RIFF/WAVE file")
	}
	for {
		if _, err := io.ReadFull(r, head[:8]); err != nil {
			return 0, 0, nil, errors.New("no data chunk")
		}
		size := int64(binary.LittleEndian.Uint32(head[4:8]))
		body := io.LimitReader(r, size)
		switch string(head[:4]) {
		case "fmt ":
			if format, rateHz, err = readFormat(body); err != nil {
				return 0, 0, nil, err
			}
		case "data":
			if format == 0 {
				return 0, 0, nil, errors.New("data chunk before the fmt chunk")
			}
			data, err = io.ReadAll(io.LimitReader(body, maxWAV))
			return format, rateHz, data, err
		}
		if _, err := io.Copy(io.Discard, io.MultiReader(body, io.LimitReader(r, size%2))); err != nil {
			return 0, 0, nil, err
		}
	}
}

func readFormat(r io.Reader) (format, rateHz int, err error) {
	var b [26]byte // up to and with the sub-format of WAVE_FORMAT_EXTENSIBLE
	if n, _ := io.ReadFull(r, b[:]); n < 16 {
		return 0, 0, errors.New("fmt chunk is cut short")
	}
	format = int(binary.LittleEndian.Uint16(b[0:]))
	if format == waveExtensible {
		format = int(binary.LittleEndian.Uint16(b[24:]))
	}
	channels, bits := binary.LittleEndian.Uint16(b[2:]), binary.LittleEndian.Uint16(b[14:])
	rateHz = int(binary.LittleEndian.Uint32(b[4:]))
	known := format == wavePCM && bits == 16 || (format == waveMuLaw || format == waveALaw) && bits == 8
	switch {
	case !known:
		return 0, 0, fmt.Errorf("format %d with %d bits: want 16-bit PCM, µ-law or A-law", format, bits)
	case channels != 1:
		return 0, 0, fmt.Errorf("%d channels: want mono", channels)
	case rateHz < 1000 || rateHz > 192000:
		return 0, 0, fmt.Errorf("sampling rate of %d Hz", rateHz)
	}
	return format, rateHz, nil
}

func waveHeader(format, rateHz, dataBytes int) []byte {
	width := 2
	if format == waveMuLaw {
		width = 1
	}
	b := append([]byte("RIFF"), 0, 0, 0, 0)
	b = append(b, "WAVEfmt "...)
	le := binary.LittleEndian
	b = le.AppendUint32(b, 18)
	b = le.AppendUint16(b, uint16(format))
	b = le.AppendUint16(b, 1) // mono
	b = le.AppendUint32(b, uint32(rateHz))
	b = le.AppendUint32(b, uint32(rateHz*width))
	b = le.AppendUint16(b, uint16(width))
	b = le.AppendUint16(b, uint16(8*width))
	b = le.AppendUint16(b, 0) // no extension
	b = append(b, "data"...)
	b = le.AppendUint32(b, uint32(dataBytes))
	le.PutUint32(b[4:], uint32(len(b)-8+dataBytes+dataBytes%2))
	return b
}

func littleEndian(pcm []int16) []byte {
	b := make([]byte, 0, 2*len(pcm))
	for _, s := range pcm {
		b = binary.LittleEndian.AppendUint16(b, uint16(s))
	}
	return b
}

func expand(data []byte, decode func(byte) int16) []int16 {
	pcm := make([]int16, len(data))
	for i, b := range data {
		pcm[i] = decode(b)
	}
	return pcm
}
