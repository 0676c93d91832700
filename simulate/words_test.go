package simulate

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/roomline/roomline/media/speech"
	"github.com/roomline/roomline/phone"
)

// debian are the tools that the command uses.
func debian(t *testing.T) Tools {
	t.Helper()
	tools := Tools{
		Speak: func(ctx context.Context, text, voice string) ([]int16, error) {
			return speech.Synthesize(ctx, text, speech.Voice{Name: voice})
		},
		Understand: func(phrases []string) (Recognizer, error) { return speech.NewRecognizer(phrases) },
	}
	r, err := tools.Understand([]string{"hello"})
	if err == nil {
		defer r.Close()
		_, err = tools.Speak(t.Context(), "hello", "")
	}
	switch {
	case errors.Is(err, speech.ErrMissing) && os.Getenv("CI") == "":
		t.Skip(err)
	case err != nil:
		t.Fatal(err)
	}
	return tools
}

// talker is a phone that answers and says one sentence after another, with pauses
// between them, and then hangs up. It returns whom to call.
func talker(t *testing.T, tools Tools, pause time.Duration, sentences ...string) string {
	t.Helper()
	var pcm []int16
	for _, s := range sentences {
		said, err := tools.Speak(t.Context(), s, "")
		if err != nil {
			t.Fatal(err)
		}
		pcm = append(append(pcm, trimmed(said)...), make([]int16, samplesIn(pause))...)
	}
	p, err := phone.Open(t.Context(), phone.Config{})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer close(done)
		for {
			c, err := p.Next(ctx)
			if err != nil {
				return
			}
			if c.Answer(ctx) == nil {
				c.Play(ctx, phone.Recording(pcm, false))
			}
			c.Hangup()
		}
	}()
	t.Cleanup(func() {
		cancel()
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		<-done
	})
	return p.URI("agent")
}

func hear(t *testing.T, tools Tools, to, scenarios string) *Result {
	t.Helper()
	s, err := Parse([]byte(scenarios), "words.yaml", noEnv)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Run(t.Context(), []*Suite{s}, Options{To: to, Tools: tools})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range r.Outcomes {
		t.Logf("%s\n%s", o.Line(), o.Story())
	}
	return r
}

func TestWordsAreUnderstoodOneAfterAnother(t *testing.T) {
	t.Parallel()
	tools := debian(t)
	t.Run("apart", func(t *testing.T) {
		t.Parallel()
		to := talker(t, tools, 900*ms, "Welcome to the clinic.", "We are open from nine to five.", "Good bye.")
		passed(t, hear(t, tools, to, `
phrases: [are you still there, one moment please]
scenarios:
  - steps:
      - expect: Welcome to the clinic
      - expect: {any: [we are closed today, we are open from nine to five]}
      - expect: good bye
      - expect: {hangup: them}
`))
	})
	t.Run("with a long breath", func(t *testing.T) {
		t.Parallel()
		to := talker(t, tools, 1200*ms, "We are open from nine to five.", "Monday to Friday.")
		passed(t, hear(t, tools, to, "scenarios: [{steps: [expect: we are open from nine to five monday to friday]}]\nphrases: [good bye, are you still there]"))
	})
	t.Run("within one utterance", func(t *testing.T) {
		t.Parallel()
		to := talker(t, tools, 300*ms, "Welcome to the clinic.", "We are open from nine to five.")
		passed(t, hear(t, tools, to, `
scenarios:
  - steps:
      - expect: Welcome to the clinic
      - expect: We are open from nine to five
`))
	})
}

func TestOtherWordsAreNotTakenForThoseExpected(t *testing.T) {
	t.Parallel()
	tools := debian(t)
	to := talker(t, tools, 900*ms, "I did not understand.", "Are you still there?")
	r := hear(t, tools, to, `
phrases: [are you still there, I did not understand]
scenarios:
  - steps:
      - expect: {speech: we are open from nine to five, within: 9s}
`)
	f := failed(t, r, KindHungUp, 0, `expected to hear "we are open from nine to five"`, `"I did not understand" at`, `"are you still there" at`)
	if strings.Contains(f.Error(), `"we are open from nine to five" at`) {
		t.Error(f)
	}
}

func TestMissingToolsAreNamedBeforeAnybodyIsCalled(t *testing.T) {
	s, err := Parse([]byte("scenarios: [{to: 'sip:a@127.0.0.1:9', steps: [{say: hello}, {expect: hello}]}]"), "x.yaml", noEnv)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", t.TempDir())
	_, err = Run(t.Context(), []*Suite{s}, Options{Tools: Tools{
		Speak: func(ctx context.Context, text, voice string) ([]int16, error) {
			return speech.Synthesize(ctx, text, speech.Voice{})
		},
	}})
	if err == nil || !strings.Contains(err.Error(), "x.yaml: line 1: ") || !strings.Contains(err.Error(), "install Debian's package espeak-ng") {
		t.Errorf("got %v", err)
	}
}
