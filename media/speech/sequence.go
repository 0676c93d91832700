package speech

import (
	"context"
	"slices"
	"strings"
)

// The grammars of a Recognizer: one phrase, or some of them one after the other.
const (
	oneGrammar     = "said.gram"
	severalGrammar = "several.gram"
)

// RecognizeSequence is [Recognizer.Recognize] for an utterance of several phrases,
// one after the other, in their order.
func (r *Recognizer) RecognizeSequence(ctx context.Context, pcm []int16) ([]string, error) {
	heard, err := r.decode(ctx, severalGrammar, pcm)
	if err != nil {
		return nil, err
	}
	var list []string
	for _, i := range divide(strings.Fields(heard), r.plain) {
		list = append(list, r.phrases[i])
	}
	return list, nil
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
