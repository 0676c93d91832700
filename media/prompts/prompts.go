// Package prompts holds the few words that callers in a queue hear spoken, and the
// phones that are rung for them. scripts/prompts makes the recordings, which are
// part of the program. They are English; other languages will be a folder of WAV
// files with the same names.
//
// It starts no goroutines.
package prompts

import (
	"embed"
	"strconv"
	"sync"
)

//go:embed en/*.ul
var recordings embed.FS

// What can be said beside the numbers from 1 to [Most].
const (
	Hold     = "hold"      // please hold
	Number   = "number"    // you are number
	Next     = "next"      // you are next
	PressOne = "press-one" // press one to take the call
)

// Most is the highest number that can be said.
const Most = 10

// rateHz is how everything here is sampled.
const rateHz = 8000

// pause is the silence between words, in samples.
const pause = rateHz / 12

// Phrase is words that are said once, then silence: a voice for the bridge to
// play. It is not safe for concurrent use.
type Phrase struct {
	pcm []int16
	at  int
}

// Say makes a phrase of words: the constants of this package, and numbers.
// What is unknown is left out.
func Say(words ...string) *Phrase {
	p := &Phrase{}
	for i, w := range words {
		if i > 0 {
			p.pcm = append(p.pcm, make([]int16, pause)...)
		}
		p.pcm = append(p.pcm, words8k()[w]...)
	}
	return p
}

// Position says a caller's place in the line, from 1. Far places are not said:
// the caller is asked to hold.
func Position(n int) *Phrase {
	switch {
	case n == 1:
		return Say(Next, Hold)
	case n > 1 && n <= Most:
		return Say(Number, strconv.Itoa(n), Hold)
	}
	return Say(Hold)
}

// Fill writes the next samples at 8 kHz: the words, then silence. It does not
// allocate.
func (p *Phrase) Fill(pcm []int16) {
	n := copy(pcm, p.pcm[p.at:])
	p.at += n
	clear(pcm[n:])
}

// Over reports whether all has been said.
func (p *Phrase) Over() bool { return p.at >= len(p.pcm) }

// Samples is how long the phrase is, at 8 kHz.
func (p *Phrase) Samples() int { return len(p.pcm) }

// words8k are the recordings, expanded once.
var words8k = sync.OnceValue(func() map[string][]int16 {
	all := map[string][]int16{}
	for _, name := range []string{Hold, Number, Next, PressOne} {
		all[name] = recording(name)
	}
	for n := 1; n <= Most; n++ {
		all[strconv.Itoa(n)] = recording(strconv.Itoa(n))
	}
	return all
})

func recording(name string) []int16 {
	ulaw, err := recordings.ReadFile("en/" + name + ".ul")
	if err != nil {
		panic("prompts: " + err.Error()) // a name of ours: found by the first test
	}
	pcm := make([]int16, len(ulaw))
	for i, code := range ulaw {
		pcm[i] = expand(code)
	}
	return pcm
}

// expand is the µ-law, ITU-T G.711 table 2a.
func expand(code byte) int16 {
	code = ^code
	value := (int16(code&0x0f)<<3+0x84)<<(code>>4&7) - 0x84
	if code&0x80 != 0 {
		return -value
	}
	return value
}
