package prompts_test

import (
	"errors"
	"os"
	"testing"

	"github.com/roomline/roomline/media/prompts"
	"github.com/roomline/roomline/media/speech"
)

// drawn is a phrase as the beat draws it.
func drawn(t *testing.T, p *prompts.Phrase) (pcm []int16) {
	t.Helper()
	for frame := make([]int16, 160); !p.Over(); {
		p.Fill(frame)
		pcm = append(pcm, frame...)
		if len(pcm) > 8*8000 {
			t.Fatal("it goes on for longer than 8 s")
		}
	}
	return pcm
}

func TestEveryPromptIsUnderstood(t *testing.T) {
	numbers := []string{"two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"}
	phrases := []string{"please hold", "you are next please hold", "press one to take the call"}
	said := []*prompts.Phrase{prompts.Position(prompts.Most + 1), prompts.Position(1), prompts.Say(prompts.PressOne)}
	for i, word := range numbers {
		phrases, said = append(phrases, "you are number "+word+" please hold"), append(said, prompts.Position(i+2))
	}
	r, err := speech.NewRecognizer(phrases)
	if errors.Is(err, speech.ErrMissing) && os.Getenv("CI") == "" {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for i, p := range said {
		got, err := r.Recognize(t.Context(), drawn(t, p))
		if errors.Is(err, speech.ErrMissing) && os.Getenv("CI") == "" {
			t.Skip(err)
		}
		if err != nil || got != phrases[i] {
			t.Errorf("%q was understood as %q, %v", phrases[i], got, err)
		}
	}
}

func TestNothingIsAllocatedWhileSpeaking(t *testing.T) {
	p, frame := prompts.Position(3), make([]int16, 160)
	if n := testing.AllocsPerRun(100, func() { p.Fill(frame) }); n > 0 {
		t.Errorf("%.0f allocations per frame", n)
	}
}
