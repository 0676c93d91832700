// Package speech makes and understands speech with programs that Debian has:
// espeak-ng or flite speak, pocketsphinx listens for a closed set of phrases, sox
// converts. It runs each program as a child process for one utterance; it keeps
// no goroutine. Scripted callers and the example agent use it: for people who
// want to try agents without any service on the Internet.
//
// Sound is signed 16-bit mono at [media.NarrowbandHz], as on the telephone.
package speech

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/roomline/roomline/media"
)

// ErrMissing is in the error of everything that needs a program that is not
// installed; the error says which package brings it.
var ErrMissing = errors.New("a program is not installed")

// Voice says how text is spoken.
type Voice struct {
	// Name is a voice of espeak-ng, such as en-us+klatt2 (the default), or
	// flite:rms for one of flite's.
	Name string
	// WordsPerMinute is how fast espeak-ng speaks, 80 to 300; 0: 140. flite has its own pace.
	WordsPerMinute int
}

// longestText bounds what is spoken at once, in bytes.
const longestText = 4000

// Synthesize speaks text. The sound peaks 6 dB below full scale.
func Synthesize(ctx context.Context, text string, voice Voice) ([]int16, error) {
	if strings.TrimSpace(text) == "" || len(text) > longestText || strings.ContainsRune(text, 0) {
		return nil, fmt.Errorf("speak: expected a text of 1 to %d bytes", longestText)
	}
	dir, err := os.MkdirTemp("", "roomline-speech-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	said, narrow := filepath.Join(dir, "said.wav"), filepath.Join(dir, "narrow.wav")
	if err := voice.speak(ctx, text, said); err != nil {
		return nil, err
	}
	if err := run(ctx, "sox", "sox", said, "-r", strconv.Itoa(media.NarrowbandHz), "-c", "1", "-b", "16", narrow, "norm", "-6"); err != nil {
		return nil, err
	}
	wav, err := os.ReadFile(narrow)
	if err != nil {
		return nil, err
	}
	pcm, _, err := media.ReadWAV(bytes.NewReader(wav))
	return pcm, err
}

// speak writes a WAV file. The text goes by a file, not as an argument: it may
// begin with a dash, and other users see arguments.
func (v Voice) speak(ctx context.Context, text, into string) error {
	from := into + ".txt"
	if err := os.WriteFile(from, []byte(text+"\n"), 0o600); err != nil {
		return err
	}
	if name, ok := strings.CutPrefix(v.Name, "flite:"); ok {
		return run(ctx, "flite", "flite", "-voice", name, "-f", from, "-o", into)
	}
	name, pace := v.Name, v.WordsPerMinute
	if name == "" {
		name = "en-us+klatt2"
	}
	if pace == 0 {
		pace = 140
	}
	return run(ctx, "espeak-ng", "espeak-ng", "-v", name, "-s", strconv.Itoa(pace), "-w", into, "-f", from)
}

// run runs a program of a Debian package.
func run(ctx context.Context, debian, program string, args ...string) error {
	if _, err := exec.LookPath(program); err != nil {
		return fmt.Errorf("%s is missing: install Debian's package %s: %w", program, debian, ErrMissing)
	}
	out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("%s: %w: %s", program, err, lastLine(out))
	}
	return nil
}

func lastLine(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}
