package realtimetest

import (
	"bytes"
	"math"
	"time"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/transcode"
)

// Voice is a sound of which every 20 ms are like no other, so that a test finds
// in what arrived which part of it was heard: a tone that climbs and wobbles,
// another one for each n. It is 8 kHz µ-law at −15 dBFS, without the code of
// negative zero, so that decoding and encoding it again changes nothing.
func Voice(n int, length time.Duration) []byte {
	pcm := make([]int16, int(length.Seconds()*media.NarrowbandHz))
	phase := 0.
	for i := range pcm {
		t := float64(i) / media.NarrowbandHz
		freq := 500 + 37*float64(n%16) + 60*math.Sin(2*math.Pi*t*(1.7+0.13*float64(n%7))) + 900*(1-math.Exp(-t/20))
		phase += 2 * math.Pi * freq / media.NarrowbandHz
		pcm[i] = int16(8000 * math.Sin(phase))
	}
	return MuLaw(Linear(MuLaw(pcm)))
}

// matchBytes is how much of a Voice is compared at once: 10 ms.
const matchBytes = 80

// HeardOf finds in heard, 8 kHz µ-law, what of a Voice is in it, untouched byte by
// byte: the first and the last place of it, and how much there is between.
func HeardOf(voice, heard []byte) (from, to, total time.Duration) {
	first, last, n := -1, 0, 0
	for at := 0; at+matchBytes <= len(voice); at += matchBytes {
		if !bytes.Contains(heard, voice[at:at+matchBytes]) {
			continue
		}
		if first < 0 {
			first = at
		}
		last, n = at+matchBytes, n+matchBytes
	}
	return duration(max(first, 0)), duration(last), duration(n)
}

func duration(bytes int) time.Duration {
	return time.Duration(bytes) * time.Second / media.NarrowbandHz
}

// MuLaw encodes 8 kHz sound.
func MuLaw(pcm []int16) []byte {
	enc, err := transcode.NewEncoder(media.PCMU, media.NarrowbandHz, transcode.DefaultOpus())
	if err != nil {
		panic(err)
	}
	out := make([]byte, len(pcm))
	for at := 0; at < len(pcm); at += media.FrameSamples {
		to := min(at+media.FrameSamples, len(pcm))
		if _, err := enc.Encode(pcm[at:to], out[at:to]); err != nil {
			panic(err)
		}
	}
	return out
}

// toWire makes of µ-law what the session's output is configured to be: µ-law, or
// 16 bits at 24 kHz.
func (s *Session) toWire(sound []byte) []byte {
	if s.sideLocked("output")["format"].(body)["type"] == "audio/pcmu" {
		return sound
	}
	out := make([]byte, 0, 6*len(sound))
	for _, v := range Linear(sound) {
		for range 3 {
			out = append(out, byte(v), byte(uint16(v)>>8))
		}
	}
	return out
}

// fromWire makes µ-law of what the session's input is configured to be.
func (s *Session) fromWire(sound []byte) []byte {
	if s.sideLocked("input")["format"].(body)["type"] == "audio/pcmu" {
		return sound
	}
	pcm := make([]int16, len(sound)/6)
	for i := range pcm {
		pcm[i] = int16(uint16(sound[6*i]) | uint16(sound[6*i+1])<<8)
	}
	return MuLaw(pcm)
}

// Linear decodes 8 kHz µ-law.
func Linear(sound []byte) []int16 {
	dec, err := transcode.NewDecoder(media.PCMU, media.NarrowbandHz)
	if err != nil {
		panic(err)
	}
	pcm := make([]int16, len(sound))
	for at := 0; at < len(sound); at += media.FrameSamples {
		to := min(at+media.FrameSamples, len(sound))
		if _, err := dec.Decode(sound[at:to], pcm[at:to]); err != nil {
			panic(err)
		}
	}
	return pcm
}
