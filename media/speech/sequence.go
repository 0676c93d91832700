package speech

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The grammars of a Recognizer: one phrase, or some of them one after the other.
const (
	oneGrammar     = "said.gram"
	severalGrammar = "several.gram"
)

// Heard is a phrase within an utterance.
type Heard struct {
	Phrase   string        // as it was given
	From, To time.Duration // from the utterance's beginning, to some 50 ms
}

// RecognizeSequence is [Recognizer.Recognize] for an utterance of several phrases,
// one after the other, in their order.
func (r *Recognizer) RecognizeSequence(ctx context.Context, pcm []int16) ([]Heard, error) {
	_, segments, err := r.decode(ctx, severalGrammar, pcm)
	if err != nil {
		return nil, err
	}
	words := timedWords(segments)
	texts := make([]string, len(words))
	for i, w := range words {
		texts[i] = w.Phrase
	}
	var list []Heard
	for _, i := range divide(texts, r.plain) {
		n := len(strings.Fields(r.plain[i]))
		list = append(list, Heard{r.phrases[i], words[0].From, words[n-1].To})
		words = words[n:]
	}
	return list, nil
}

// timedWords reads a line of pocketsphinx_batch -hypseg: the name of the file,
// scores as pairs of a letter and a number, then the first frame of 10 ms, two
// scores and the word of each segment, and the last frame.
func timedWords(line string) (words []Heard) {
	fields := strings.Fields(line)
	if len(fields) < 9 {
		return nil
	}
	for fields = fields[9:]; len(fields) >= 5; fields = fields[4:] {
		from, err := strconv.Atoi(fields[0])
		to, err2 := strconv.Atoi(fields[4])
		word, _, _ := strings.Cut(fields[3], "(") // to(3) is a way to say it
		if err != nil || err2 != nil || word == "" || strings.ContainsAny(word[:1], "<[+") {
			continue
		}
		words = append(words, Heard{word, frameTime(from), frameTime(to)})
	}
	return words
}

// frameTime is where a frame lies in the sound, without the quiet before it.
func frameTime(frame int) time.Duration {
	return max(0, time.Duration(frame)*10*time.Millisecond-padding)
}

// divide finds the fewest phrases that words are made of, as indices; none if
// words are not made of them.
func divide(words, phrases []string) []int {
	best := make([][]int, len(words)+1) // of the words up to there
	best[0] = []int{}
	for end := 1; end <= len(words); end++ {
		for i, p := range phrases {
			n := len(strings.Fields(p))
			if n > end || best[end-n] == nil || strings.Join(words[end-n:end], " ") != p {
				continue
			}
			if best[end] == nil || len(best[end-n])+1 < len(best[end]) {
				best[end] = append(slices.Clone(best[end-n]), i)
			}
		}
	}
	return best[len(words)]
}
