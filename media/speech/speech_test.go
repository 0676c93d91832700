package speech

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/roomline/roomline/media"
)

func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatalf("%s is missing: run scripts/tools", p)
			}
			t.Skipf("%s is missing: run scripts/tools", p)
		}
	}
}

var menu = []string{"Opening hours", "book an appointment", "talk to a person", "yes", "no", "good bye"}

func TestWhatIsSaidIsUnderstood(t *testing.T) {
	need(t, "espeak-ng", "flite", "sox", "pocketsphinx_batch")
	r, err := NewRecognizer(menu)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, voice := range []Voice{{}, {Name: "en-us+f3", WordsPerMinute: 150}, {Name: "flite:rms"}} {
		for _, phrase := range menu {
			pcm, err := Synthesize(context.Background(), phrase, voice)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := r.Recognize(context.Background(), pcm); got != phrase || err != nil {
				t.Errorf("%s said %q, understood %q, %v", voice.Name, phrase, got, err)
			}
		}
	}
}

func TestSilenceIsNoPhrase(t *testing.T) {
	need(t, "sox", "pocketsphinx_batch")
	if got, err := Recognize(context.Background(), menu, make([]int16, media.NarrowbandHz)); got != "" || err != nil {
		t.Errorf("understood %q, %v", got, err)
	}
}

func TestBadInputIsRefusedInWords(t *testing.T) {
	need(t, "espeak-ng", "sox", "pocketsphinx_batch")
	for phrase, words := range map[string]string{"": "a phrase needs words", "42": "a phrase needs words", "zzyzxq now": `"zzyzxq"`} {
		if _, err := NewRecognizer([]string{phrase}); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%q: %v", phrase, err)
		}
	}
	for _, text := range []string{"", " ", strings.Repeat("a", longestText+1)} {
		if _, err := Synthesize(context.Background(), text, Voice{}); err == nil {
			t.Errorf("a text of %d bytes was spoken", len(text))
		}
	}
	if _, err := Synthesize(context.Background(), "hello", Voice{Name: "nobody"}); err == nil {
		t.Error("an unknown voice spoke")
	}
}

func TestAMissingProgramIsNamed(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := Synthesize(context.Background(), "hello", Voice{})
	if !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "espeak-ng") {
		t.Error(err)
	}
}
