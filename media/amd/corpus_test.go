package amd

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/speech"
)

// sample is a synthetic call: what is heard after the answer, and who that is.
type sample struct {
	name string
	who  Verdict
	pcm  []int16
	beep time.Duration // when its beep ends; 0: none
}

var hellos = []string{
	"Hello?", "Hi.", "Yes?", "Hello, who is this?", "Good morning.", "Smith speaking.", "Yes, hello?", "Hey, what's up?",
	"This is Anna.", "Hello hello?", "Front desk, good evening.", "Who's calling?",
}

var greetings = []string{
	"Hello. You have reached the voicemail of five five five, one two three four. Please leave a message after the tone.",
	"Hi, this is Carol. I can't come to the phone right now, but leave your name and number and I will call you back.",
	"The person you are calling is not available. At the tone, please record your message. When you have finished recording, you may hang up.",
	"Thank you for calling. Our office is closed at the moment. Our opening hours are Monday to Friday, from nine to five.",
	"Your call has been forwarded to an automatic voice message system. Please leave your message after the beep.",
	"Hey, it's Bob, sorry I missed your call, you know what to do, leave a message and have a great day.",
}

var voices = []speech.Voice{
	{Name: "en-us+klatt2", WordsPerMinute: 150}, {Name: "flite:rms"}, {Name: "en-us+f3", WordsPerMinute: 170}, {Name: "flite:slt"},
	{Name: "en-gb+m4", WordsPerMinute: 190}, {Name: "flite:awb"}, {Name: "en-us+f1", WordsPerMinute: 140}, {Name: "en-gb-scotland+m1", WordsPerMinute: 160},
}

// studio synthesizes each text once.
type studio struct {
	t    *testing.T
	mu   sync.Mutex
	said map[string][]int16
}

func (s *studio) say(text string, v speech.Voice) []int16 {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	key := fmt.Sprint(text, v)
	if pcm := s.said[key]; pcm != nil {
		return pcm
	}
	pcm, err := speech.Synthesize(context.Background(), text, v)
	if errors.Is(err, speech.ErrMissing) && os.Getenv("CI") == "" {
		s.t.Skip(err)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.said[key] = pcm
	return pcm
}

// line is what a telephone makes of sounds: so loud, so late, with noise of an RMS.
type line struct {
	dice  *rand.Rand
	gain  float64
	noise float64
	pcm   []int16
}

func newLine(dice *rand.Rand, length time.Duration) *line {
	l := &line{dice: dice, gain: 0.15 + 0.6*dice.Float64(), pcm: make([]int16, samples(length))}
	l.noise = []float64{0, 5, 20, 60, 120}[dice.IntN(5)]
	for i := range l.pcm {
		l.pcm[i] = int16(l.noise * dice.NormFloat64())
	}
	return l
}

func (l *line) put(at time.Duration, pcm []int16) {
	for i, v := range pcm {
		if n := samples(at) + i; n < len(l.pcm) {
			l.pcm[n] = int16(min(max(float64(l.pcm[n])+l.gain*float64(v), -32768), 32767))
		}
	}
}

func samples(d time.Duration) int { return int(d * media.NarrowbandHz / time.Second) }

func lasts(pcm []int16) time.Duration {
	return time.Duration(len(pcm)) * time.Second / media.NarrowbandHz
}

func between(dice *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(dice.Int64N(int64(most-least)))
}

func tone(d time.Duration, db float64, hz ...float64) []int16 {
	pcm := make([]int16, samples(d))
	for i := range pcm {
		for _, f := range hz {
			pcm[i] += int16(32768 * math.Sqrt2 * math.Pow(10, db/20) * math.Sin(2*math.Pi*f*float64(i)/media.NarrowbandHz))
		}
	}
	return pcm
}

// corpus makes n calls of each kind.
func corpus(t *testing.T, n int) (all []sample) {
	s, dice := &studio{t: t, said: map[string][]int16{}}, rand.New(rand.NewPCG(7, 11))
	for i := range n {
		v := voices[i%len(voices)]
		all = append(all, s.human(dice, hellos[i%len(hellos)], v), s.machine(dice, greetings[i%len(greetings)], voices[(i+i/6)%len(voices)]))
		if i%2 == 0 {
			all = append(all, others(dice, i/2)...)
		}
	}
	return all
}

// human says hello, waits, and says it again.
func (s *studio) human(dice *rand.Rand, text string, v speech.Voice) sample {
	l, pcm := newLine(dice, 5*time.Second), s.say(text, v)
	at := between(dice, 100*time.Millisecond, 700*time.Millisecond)
	l.put(at, pcm)
	l.put(at+lasts(pcm)+between(dice, 1200*time.Millisecond, 2*time.Second), s.say("Hello?", v))
	return sample{fmt.Sprintf("%q by %s, noise %.0f, gain %.2f", text, v.Name, l.noise, l.gain), Human, l.pcm, 0}
}

// machine plays its greeting, and beeps.
func (s *studio) machine(dice *rand.Rand, text string, v speech.Voice) sample {
	pcm := s.say(text, v)
	l := newLine(dice, lasts(pcm)+4*time.Second)
	at := between(dice, 100*time.Millisecond, 900*time.Millisecond)
	l.put(at, pcm)
	hz, length := []float64{440, 620, 800, 1000, 1400, 2000}[dice.IntN(6)], between(dice, 180*time.Millisecond, 900*time.Millisecond)
	beep := at + lasts(pcm) + between(dice, 300*time.Millisecond, time.Second)
	l.put(beep, tone(length, -14, hz))
	return sample{fmt.Sprintf("%.20q by %s, noise %.0f, gain %.2f, beep %.0f Hz of %s", text, v.Name, l.noise, l.gain, hz, length.Round(time.Millisecond)),
		Machine, l.pcm, beep + length}
}

// others are calls on which nobody speaks.
func others(dice *rand.Rand, i int) []sample {
	quiet := newLine(dice, 5*time.Second)
	fax := newLine(dice, 6*time.Second)
	at := between(dice, 100*time.Millisecond, 1800*time.Millisecond)
	if i%2 == 0 {
		fax.put(at, tone(3*time.Second, -14, 2100))
	} else {
		fax.put(at, tone(500*time.Millisecond, -14, 1100))
		fax.put(at+3500*time.Millisecond, tone(500*time.Millisecond, -14, 1100))
	}
	rings := newLine(dice, 5*time.Second)
	pcm := make([]int16, 5*media.NarrowbandHz)
	media.Ringback([]string{"US", "DE", "GB"}[i%3], media.NarrowbandHz).Fill(pcm)
	rings.put(between(dice, 0, time.Second), pcm)
	return []sample{
		{fmt.Sprintf("silence, noise %.0f", quiet.noise), Unknown, quiet.pcm, 0},
		{fmt.Sprintf("fax %d, noise %.0f, gain %.2f", i%2, fax.noise, fax.gain), Fax, fax.pcm, 0},
		{fmt.Sprintf("ringing, noise %.0f, gain %.2f", rings.noise, rings.gain), Unknown, rings.pcm, 0},
	}
}
