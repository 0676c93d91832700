package simulate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/speech"
	"github.com/roomline/roomline/phone"
)

// Tools turn words into sound and sound into words. Scenarios without words work
// without them.
type Tools struct {
	// Speak says text with a voice, empty for the default one: 8 kHz mono.
	Speak func(ctx context.Context, text, voice string) ([]int16, error)
	// Understand prepares to tell which of phrases an utterance is.
	Understand func(phrases []string) (Recognizer, error)
}

// Recognizer tells which of its phrases pcm is, 8 kHz mono, empty for none, or which
// ones it is made of. It is used by several goroutines at once.
type Recognizer interface {
	Recognize(ctx context.Context, pcm []int16) (string, error)
	RecognizeSequence(ctx context.Context, pcm []int16) ([]speech.Heard, error)
	Close()
}

// props are what the scenarios of one suite need, made before the first call: a
// missing tool or file is found early, and no call waits for a voice.
type props struct {
	sounds     map[Sound][]int16
	recognizer Recognizer // nil: nobody expects words
	working    sync.Mutex // one recognition at a time: the machine is needed for sound
}

// prepare makes the props of a suite. Close them.
func prepare(ctx context.Context, s *Suite, t Tools) (*props, error) {
	p := &props{sounds: map[Sound][]int16{}}
	for i := range s.Scenarios {
		for _, step := range s.Scenarios[i].Steps {
			if err := p.sound(ctx, spoken(step, &s.Scenarios[i].Settings), t); err != nil {
				return nil, fmt.Errorf("%s: line %d: %w", s.File, step.Line, err)
			}
		}
	}
	phrases := s.phrases()
	if len(s.speechNamed) == 0 {
		return p, nil
	}
	if t.Understand == nil {
		return nil, fmt.Errorf("%s: it expects words, and there is no recogniser", s.File)
	}
	var err error
	if p.recognizer, err = t.Understand(phrases); err != nil {
		return nil, fmt.Errorf("%s: %w", s.File, err)
	}
	return p, nil
}

func (p *props) close() {
	if p.recognizer != nil {
		p.recognizer.Close()
	}
}

// spoken is the sound of a step, with the voice that it is said in.
func spoken(step Step, s *Settings) Sound {
	sound := step.Sound
	if sound.Text != "" && sound.Voice == "" {
		sound.Voice = s.Voice
	}
	return sound
}

func (p *props) sound(ctx context.Context, s Sound, t Tools) error {
	if _, done := p.sounds[s]; done || s == (Sound{}) {
		return nil
	}
	var pcm []int16
	var err error
	switch {
	case s.Text != "" && t.Speak == nil:
		err = errors.New("there is no synthesiser")
	case s.Text != "":
		if pcm, err = t.Speak(ctx, s.Text, s.Voice); err == nil {
			pcm = trimmed(pcm)
		}
	case s.File != "":
		pcm, err = phone.ReadSound(s.File)
	default:
		pcm = make([]int16, samplesIn(s.Lasts))
		media.Sine(s.Hz, media.NarrowbandHz, -15).Fill(pcm)
	}
	p.sounds[s] = pcm
	return err
}

// trimmed leaves the silence around speech out.
func trimmed(pcm []int16) []int16 {
	spans := Spans(pcm)
	if len(spans) == 0 {
		return pcm
	}
	return cut(pcm, Span{max(0, spans[0].From-2*frame), spans[len(spans)-1].To + 2*frame})
}

// phrases are all that an utterance may be: what scenarios expect, and the suite's
// own list, so that something else is not taken for what is expected.
func (s *Suite) phrases() (list []string) {
	for _, p := range slices.Concat(s.speechNamed, s.Vocabulary) {
		if !slices.ContainsFunc(list, func(o string) bool { return sameWords(o, p) }) {
			list = append(list, p)
		}
	}
	return list
}

// sameWords compares phrases without regard to letter case and punctuation.
func sameWords(a, b string) bool { return bare(a) == bare(b) }

func bare(s string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(s), func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '\''
	}), " ")
}

// understand is what an utterance says: one phrase, or several where there are
// pauses in it; nil for none.
func (p *props) understand(ctx context.Context, pcm []int16, pauses bool) ([]speech.Heard, error) {
	p.working.Lock()
	defer p.working.Unlock()
	if pauses {
		return p.recognizer.RecognizeSequence(ctx, pcm)
	}
	phrase, err := p.recognizer.Recognize(ctx, pcm)
	if phrase == "" {
		return nil, err
	}
	return []speech.Heard{{Phrase: phrase, To: timeOf(len(pcm))}}, err
}
