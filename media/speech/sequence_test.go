package speech

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
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

func TestWordsHaveTheirTimes(t *testing.T) {
	const line = "wide S 0 T -8264 A -6579 L -1685 0 -144 -337 <sil> 19 -703 0 welcome 68 -171 -337 <sil> 73 -537 0 to(3) 87 0 0 (NULL) 157 -221 -337 <sil> 200"
	got := timedWords(line)
	want := []Heard{{"welcome", 0, 480 * time.Millisecond}, {"to", 530 * time.Millisecond, 670 * time.Millisecond}}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func FuzzTimedWords(f *testing.F) {
	f.Add("wide S 0 T -8264 A -6579 L -1685 0 -144 -337 <sil> 19 -703 0 welcome 68 -171 -337 <sil> 73")
	f.Add("wide S 0")
	f.Fuzz(func(t *testing.T, line string) {
		for _, w := range timedWords(line) {
			if w.Phrase == "" || w.From < 0 || w.To < 0 {
				t.Fatalf("%+v", w)
			}
		}
	})
}

func TestPhrasesOneAfterTheOtherAreToldApart(t *testing.T) {
	phrases := []string{"Welcome to the clinic.", "We are open from nine to five.", "good bye"}
	r, err := NewRecognizer(phrases)
	var pcm []int16
	if err == nil {
		t.Cleanup(r.Close)
		pcm, err = Synthesize(t.Context(), phrases[0]+" "+phrases[1], Voice{})
	}
	if errors.Is(err, ErrMissing) && os.Getenv("CI") == "" {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	got, err := r.RecognizeSequence(t.Context(), pcm)
	if err != nil || len(got) != 2 || got[0].Phrase != phrases[0] || got[1].Phrase != phrases[1] {
		t.Fatalf("%v, %v", got, err)
	}
	if got[0].From > 300*time.Millisecond || got[1].From < got[0].To || got[1].From < time.Second {
		t.Errorf("times %v", got)
	}
}
