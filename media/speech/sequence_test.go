package speech

import (
	"slices"
	"strings"
	"testing"
)

func TestWordsAreDividedIntoTheFewestPhrases(t *testing.T) {
	phrases := []string{"good", "good bye", "bye", "yes"}
	for words, want := range map[string][]int{
		"good bye": {1}, "good good bye yes": {0, 1, 3}, "yes": {3}, "": {}, "hello": nil, "good hello": nil,
	} {
		if got := divide(strings.Fields(words), phrases); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", words, got, want)
		}
	}
}
