package phone

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/transcode"
)

// Source is something to say, 8 kHz mono. Read fills pcm with what comes next
// and returns how many samples there are; fewer than len(pcm) is the end. It is
// called by one goroutine at a time and must not block.
type Source interface {
	Read(pcm []int16) int
}

// The level in dBov of tones that are given by frequency alone.
const toneLevel = -20

// Recording says pcm, again and again if loop is set. It does not change pcm,
// which must not be changed by others meanwhile.
func Recording(pcm []int16, loop bool) Source {
	return &recording{pcm: pcm, loop: loop && len(pcm) > 0}
}

type recording struct {
	pcm  []int16
	at   int
	loop bool
}

func (r *recording) Read(pcm []int16) int {
	n := 0
	for n < len(pcm) {
		if r.at == len(r.pcm) {
			if !r.loop {
				break
			}
			r.at = 0
		}
		k := copy(pcm[n:], r.pcm[r.at:])
		n, r.at = n+k, r.at+k
	}
	return n
}

// Tone is an endless sine at levelDB dBov.
func Tone(freqHz, levelDB float64) Source {
	return tone{media.Sine(freqHz, media.NarrowbandHz, levelDB)}
}

type tone struct{ *media.Tone }

func (t tone) Read(pcm []int16) int {
	t.Fill(pcm)
	return len(pcm)
}

// Speech is the recorded speech that this program carries, 10 to 15 s.
func Speech(loop bool) (Source, error) {
	pcm, err := decodeMuLaw(media.Speech())
	if err != nil {
		return nil, err
	}
	return Recording(pcm, loop), nil
}

// Bursts is silence with a short tone of 60 ms every so often, from which
// delays are measured; see [Delays].
func Bursts(freqHz, levelDB float64, every time.Duration) Source {
	pcm := make([]int16, max(samplesIn(every), samplesIn(400*time.Millisecond)))
	at := samplesIn(200 * time.Millisecond)
	media.Sine(freqHz, media.NarrowbandHz, levelDB).Fill(pcm[at : at+samplesIn(60*time.Millisecond)])
	return Recording(pcm, true)
}

// ParseSource makes a Source from the words of the command line: "speech",
// "tone:440", "tone:440@-12" (dBov), "bursts:1000", "silence" (nil), or the
// name of a WAV file. Recordings are repeated unless once is set.
func ParseSource(text string, once bool) (Source, error) {
	kind, rest, _ := strings.Cut(text, ":")
	switch kind {
	case "", "silence":
		return nil, nil
	case "speech":
		return Speech(!once)
	case "tone", "bursts":
		freq, level, err := parseTone(rest)
		if err != nil {
			return nil, fmt.Errorf("sound %q: %w", text, err)
		}
		if kind == "bursts" {
			return Bursts(freq, level, time.Second), nil
		}
		return Tone(freq, level), nil
	}
	return openWAV(text, once)
}

func parseTone(s string) (freqHz, levelDB float64, err error) {
	freq, level, named := strings.Cut(s, "@")
	levelDB = toneLevel
	if named {
		if levelDB, err = strconv.ParseFloat(level, 64); err != nil || levelDB > -3 || levelDB < -60 {
			return 0, 0, fmt.Errorf("expected a level of -60 to -3 dBov behind the @")
		}
	}
	if freqHz, err = strconv.ParseFloat(freq, 64); err != nil || freqHz < 20 || freqHz >= media.NarrowbandHz/2 {
		return 0, 0, fmt.Errorf("expected a frequency of 20 to 3999 Hz, as in tone:440")
	}
	return freqHz, levelDB, nil
}

func openWAV(name string, once bool) (Source, error) {
	if _, err := os.Stat(name); err != nil {
		return nil, fmt.Errorf("sound %q is neither speech, tone:HZ, bursts:HZ, silence nor a file that can be read: %w", name, err)
	}
	pcm, err := ReadSound(name)
	if err != nil {
		return nil, err
	}
	return Recording(pcm, !once), nil
}

// ReadSound reads a WAV file of 8 kHz mono.
func ReadSound(name string) ([]int16, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	pcm, rateHz, err := media.ReadWAV(f)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", name, err)
	case rateHz != media.NarrowbandHz:
		return nil, fmt.Errorf("%s: %d Hz, expected 8000 Hz mono; convert it with: sox %s -r 8000 -c 1 out.wav", name, rateHz, name)
	case len(pcm) == 0:
		return nil, fmt.Errorf("%s: there is no sound in it", name)
	}
	return pcm, nil
}

func decodeMuLaw(law []byte) ([]int16, error) {
	d, err := transcode.NewDecoder(media.PCMU, media.NarrowbandHz)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	pcm := make([]int16, len(law))
	n, err := d.Decode(law, pcm)
	return pcm[:n], err
}

func samplesIn(d time.Duration) int { return int(d * media.NarrowbandHz / time.Second) }

func timeOf(samples int) time.Duration {
	return time.Duration(samples) * time.Second / media.NarrowbandHz
}
