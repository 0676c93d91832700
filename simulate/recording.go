package simulate

import (
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/roomline/roomline/phone"
)

// keep writes the recording of a call, if it is wanted: the caller left, the other
// side right, from the answer on.
func (o *Options) keep(c *caller, out *Outcome) {
	folder := o.Record
	if folder == "" && !out.Passed() {
		folder = o.Failures
	}
	if folder == "" {
		return
	}
	name := filepath.Join(folder, fileName(out.Suite.Name+" "+out.Name)+".wav")
	err := os.MkdirAll(folder, 0o755)
	if err == nil {
		err = os.WriteFile(name, c.stereo(), 0o644)
	}
	if err != nil {
		c.note(0, "step", "recording: %v", err)
		out.Notes = c.notes
		return
	}
	out.Recording = name
}

// stereo is the call as a file.
func (c *caller) stereo() []byte {
	left := placed(c.call.Said(), c.call.SaidSince(), c.call.Sendings(), c.ear.origin)
	right := placed(c.call.Heard(), c.call.HeardSince(), c.call.Arrivals(), c.ear.origin)
	n := max(len(left), len(right))
	left, right = append(left, make([]int16, n-len(left))...), append(right, make([]int16, n-len(right))...)
	return phone.StereoWAV(left, right)
}

// placed moves sound that began at since so that it begins at origin.
func placed(pcm []int16, since time.Time, packets []phone.Packet, origin time.Time) []int16 {
	if since.IsZero() {
		return nil
	}
	by := samplesIn(beginning(packets, since).Sub(origin))
	if by < 0 {
		return pcm[min(-by, len(pcm)):]
	}
	return append(make([]int16, by), pcm...)
}

// fileName keeps what every file system takes.
func fileName(s string) string {
	return strings.Trim(strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.':
			return c
		}
		return '-'
	}, s), "-.")
}
