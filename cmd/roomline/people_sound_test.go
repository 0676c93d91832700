package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roomline/roomline/media"
)

// menu is the closed grammar of the recogniser.
var menu = []string{
	"billing question", "technical support", "new order", "cancel my order",
	"opening hours", "talk to an operator", "leave a message", "repeat the menu",
}

const (
	burstEvery  = 900 * time.Millisecond
	burstLength = 300 * time.Millisecond
	bursts      = 3
	phrasePause = 700 * time.Millisecond
	quiet       = -50.0                  // dBov; below it nobody speaks
	pauseAtMost = 350 * time.Millisecond // within a phrase
)

// speechWith makes what somebody says: tone bursts, then phrases of the menu, 8 kHz.
func speechWith(t *testing.T, toneHz float64, voice string, phrases ...string) (pcm []int16) {
	t.Helper()
	for range bursts {
		burst := make([]int16, samplesIn(burstEvery))
		media.Sine(toneHz, media.NarrowbandHz, -20).Fill(burst[:samplesIn(burstLength)])
		pcm = append(pcm, burst...)
	}
	for _, phrase := range phrases {
		pcm = append(pcm, voiced(t, voice, phrase)...)
		pcm = append(pcm, make([]int16, samplesIn(phrasePause))...)
	}
	return pcm
}

func samplesIn(d time.Duration) int { return int(d * media.NarrowbandHz / time.Second) }

// voiced has a synthesiser speak.
func voiced(t *testing.T, voice, phrase string) []int16 {
	t.Helper()
	path := filepath.Join(t.TempDir(), "said.wav")
	runTool(t, "espeak-ng", "-v", voice, "-s", "140", "-w", path, phrase)
	narrow := path + ".8k.wav"
	runTool(t, "sox", path, "-r", "8000", "-c", "1", "-b", "16", narrow, "norm", "-6")
	pcm, _ := readWAVFile(t, narrow)
	return pcm
}

func runTool(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(tool(t, name), args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

func readWAVFile(t *testing.T, path string) ([]int16, int) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	pcm, rate, err := media.ReadWAV(f)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return pcm, rate
}

func writeWAVFile(t *testing.T, pcm []int16, rateHz int) (path string) {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "*.wav")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := media.WriteWAV(f, pcm, rateHz); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

// utterance is a stretch of sound between two pauses.
type utterance struct {
	at     int // of its first sample
	pcm    []int16
	rateHz int
}

// tone returns the level of a sine in the utterance's middle 200 ms.
func (u utterance) tone(freqHz float64) float64 {
	half := u.rateHz / 10
	middle := len(u.pcm) / 2
	return media.ToneLevel(u.pcm[middle-half:middle+half], u.rateHz, freqHz)
}

// isTone reports whether the utterance is hardly anything but that sine.
func (u utterance) isTone(freqHz float64) bool {
	half := u.rateHz / 10
	middle := len(u.pcm) / 2
	return len(u.pcm) > 2*half && u.tone(freqHz) > media.Level(u.pcm[middle-half:middle+half])-1
}

// utterances cuts sound by voice activity, and leaves out what the edges may cut.
func utterances(pcm []int16, rateHz int) (all []utterance) {
	step := rateHz / 100
	from, loud := -1, 0
	for at := 0; at+step <= len(pcm); at += step {
		switch level := media.Level(pcm[at : at+step]); {
		case level > quiet && from < 0:
			from, loud = at, at+step
		case level > quiet:
			loud = at + step
		case from >= 0 && samplesAt(at-loud, rateHz) > pauseAtMost:
			if samplesAt(from, rateHz) > pauseAtMost && loud-from > rateHz/10 {
				all = append(all, utterance{from, pcm[from:loud], rateHz})
			}
			from = -1
		}
	}
	return all
}

// recognised has the recogniser write down each utterance that is not a tone.
func recognised(t *testing.T, all []utterance) (phrases []string) {
	t.Helper()
	dir := t.TempDir()
	var names []string
	for i, u := range all {
		name := fmt.Sprintf("u%03d", i)
		in := writeWAVFile(t, u.pcm, u.rateHz)
		runTool(t, "sox", in, "-r", "16000", "-c", "1", "-b", "16", filepath.Join(dir, name+".wav"), "pad", "0.3", "0.3")
		names = append(names, name)
	}
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	grammar := write("menu.gram", "#JSGF V1.0;\ngrammar menu;\npublic <menu> = "+strings.Join(menu, " | ")+";\n")
	list := write("list", strings.Join(names, "\n")+"\n")
	const model = "/usr/share/pocketsphinx/model/en-us/"
	hyp := filepath.Join(dir, "said")
	runTool(t, "pocketsphinx_batch", "-hmm", model+"en-us", "-dict", model+"cmudict-en-us.dict", "-jsgf", grammar,
		"-adcin", "yes", "-adchdr", "44", "-cepdir", dir, "-cepext", ".wav", "-ctl", list, "-hyp", hyp, "-logfn", "/dev/null")
	text, err := os.ReadFile(hyp)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		phrase, _, _ := strings.Cut(line, " (")
		phrases = append(phrases, strings.TrimSpace(phrase))
	}
	return phrases
}

// burst is a tone burst as it was said or heard.
type burst struct {
	at    time.Time // of its onset
	level float64   // dBov
}

// understood separates tone bursts from speech.
func (h *heard) understood(toneHz float64) (tones []burst, speech []utterance) {
	for _, u := range utterances(h.pcm, h.rateHz) {
		if !u.isTone(toneHz) {
			speech = append(speech, u)
			continue
		}
		onset := u.at + max(0, media.Onset(u.pcm, h.rateHz, -40))
		tones = append(tones, burst{h.when(onset), u.tone(toneHz)})
	}
	return tones, speech
}

// recognises expects each of the phrases in what was heard, and nothing else.
func recognises(t *testing.T, who string, speech []utterance, phrases ...string) {
	t.Helper()
	said := recognised(t, speech)
	t.Logf("%s: recognised %q", who, said)
	for _, p := range phrases {
		if !slices.Contains(said, p) {
			t.Errorf("%s: %q was not heard", who, p)
		}
	}
	for _, s := range said {
		if !slices.Contains(phrases, s) {
			t.Errorf("%s: %q was heard, which nobody said", who, s)
		}
	}
}
