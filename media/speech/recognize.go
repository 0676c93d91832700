package speech

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/roomline/roomline/media"
)

// model is where Debian's pocketsphinx-en-us lies.
const model = "/usr/share/pocketsphinx/model/en-us/"

// Recognizer tells which of a closed set of English phrases an utterance is. It
// always names the nearest one: add phrases that are not expected, as decoys,
// where something else may be said. It is safe for concurrent use.
type Recognizer struct {
	dir     string
	phrases []string // as they were given
	plain   []string // as they are written in the grammar
}

// NewRecognizer prepares for phrases: words of the English dictionary, in any
// letter case, without digits; other signs are ignored. A word that the
// dictionary does not have is an error that names it. Close it after use.
func NewRecognizer(phrases []string) (*Recognizer, error) {
	if len(phrases) == 0 {
		return nil, errors.New("recognise: expected at least one phrase")
	}
	r := &Recognizer{phrases: slices.Clone(phrases)}
	words := map[string]bool{}
	for _, p := range phrases {
		plain := plainWords(p)
		if plain == "" {
			return nil, fmt.Errorf("recognise %q: a phrase needs words", p)
		}
		r.plain = append(r.plain, plain)
		for w := range strings.FieldsSeq(plain) {
			words[w] = true
		}
	}
	lines, err := pronounced(words)
	if err != nil {
		return nil, err
	}
	if r.dir, err = os.MkdirTemp("", "roomline-speech-"); err != nil {
		return nil, err
	}
	one := "#JSGF V1.0;\ngrammar said;\npublic <said> = " + strings.Join(r.plain, " | ") + ";\n"
	several := "#JSGF V1.0;\ngrammar said;\n<one> = " + strings.Join(r.plain, " | ") + ";\npublic <said> = <one>+;\n"
	err = errors.Join(
		os.WriteFile(filepath.Join(r.dir, oneGrammar), []byte(one), 0o600),
		os.WriteFile(filepath.Join(r.dir, severalGrammar), []byte(several), 0o600),
		os.WriteFile(filepath.Join(r.dir, "said.dict"), []byte(strings.Join(lines, "\n")+"\n"), 0o600),
	)
	if err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// Close removes what was prepared.
func (r *Recognizer) Close() { os.RemoveAll(r.dir) }

// Recognize returns the phrase that pcm sounds like, as it was given to
// [NewRecognizer]; empty when nothing was understood. pcm is one whole utterance
// with little silence around it.
func (r *Recognizer) Recognize(ctx context.Context, pcm []int16) (string, error) {
	heard, _, err := r.decode(ctx, oneGrammar, pcm)
	if i := slices.Index(r.plain, heard); i >= 0 {
		return r.phrases[i], err
	}
	return "", err
}

// padding is the quiet on either side of what is decoded.
const padding = 200 * time.Millisecond

// decode returns the words of pcm as a grammar allows them, and the line that tells
// when each was said.
func (r *Recognizer) decode(ctx context.Context, grammar string, pcm []int16) (words, segments string, err error) {
	dir, err := os.MkdirTemp(r.dir, "one-")
	if err != nil {
		return "", "", err
	}
	defer os.RemoveAll(dir)
	f, err := os.Create(filepath.Join(dir, "narrow.wav"))
	if err != nil {
		return "", "", err
	}
	if err := errors.Join(media.WriteWAV(f, pcm, media.NarrowbandHz), f.Close()); err != nil {
		return "", "", err
	}
	// The model knows nothing but 16 kHz, and wants a moment of quiet on either side.
	quiet := strconv.FormatFloat(padding.Seconds(), 'f', -1, 64)
	wide, list, said := filepath.Join(dir, "wide.wav"), filepath.Join(dir, "list"), filepath.Join(dir, "said")
	if err := run(ctx, "sox", "sox", f.Name(), "-r", strconv.Itoa(media.WidebandHz), wide, "pad", quiet, quiet); err != nil {
		return "", "", err
	}
	if err := os.WriteFile(list, []byte("wide\n"), 0o600); err != nil {
		return "", "", err
	}
	err = run(ctx, "pocketsphinx", "pocketsphinx_batch", "-hmm", model+"en-us",
		"-dict", filepath.Join(r.dir, "said.dict"), "-jsgf", filepath.Join(r.dir, grammar),
		"-adcin", "yes", "-adchdr", "44", "-cepdir", dir, "-cepext", ".wav", "-ctl", list, "-hyp", said, "-hypseg", said+".seg", "-logfn", "/dev/null")
	if err != nil {
		return "", "", err
	}
	text, err := os.ReadFile(said)
	if err != nil {
		return "", "", err
	}
	times, err := os.ReadFile(said + ".seg")
	heard, _, _ := strings.Cut(string(text), "(")
	return strings.Join(strings.Fields(heard), " "), string(times), err
}

// Recognize is a [Recognizer] for one utterance.
func Recognize(ctx context.Context, phrases []string, pcm []int16) (string, error) {
	r, err := NewRecognizer(phrases)
	if err != nil {
		return "", err
	}
	defer r.Close()
	return r.Recognize(ctx, pcm)
}

// plainWords keeps letters and apostrophes, in small letters.
func plainWords(phrase string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(phrase), func(c rune) bool {
		return (c < 'a' || c > 'z') && c != '\''
	}), " ")
}

// pronounced returns the dictionary's lines of these words: the whole dictionary
// takes pocketsphinx six times as long.
func pronounced(words map[string]bool) (lines []string, err error) {
	f, err := os.Open(model + "cmudict-en-us.dict")
	if err != nil {
		return nil, fmt.Errorf("no dictionary: install Debian's package pocketsphinx-en-us: %w", ErrMissing)
	}
	defer f.Close()
	known := map[string]bool{}
	for s := bufio.NewScanner(f); s.Scan(); {
		head, _, _ := strings.Cut(s.Text(), " ")
		word, _, _ := strings.Cut(head, "(")
		if words[word] {
			known[word] = true
			lines = append(lines, s.Text())
		}
	}
	for w := range words {
		if !known[w] {
			return nil, fmt.Errorf("recognise: the dictionary does not have the word %q; write numbers in words, and use common English words", w)
		}
	}
	return lines, nil
}
