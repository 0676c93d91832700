package bridge

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/transcode"
)

// What counts as a click: a bend of the curve that stands out from all others within
// 20 ms to either side by more than any in recorded speech does.
const (
	clickNear = 12    // ticks that belong to the bend itself
	clickFar  = 160   // and how far its neighbourhood reaches
	toneFloor = 600.0 // bends that G.711 makes of itself where sound is loud
	// speechFloor is what one bend in two hundred of recorded speech reaches: where somebody
	// begins or ends within a word, all that has been its neighbourhood is missing.
	speechFloor = 6400.0
)

// worstClick returns how far the sharpest bend stands out from its neighbourhood, and where.
func worstClick(pcm []int16, rateHz int, least float64) (worst float64, at int) {
	n := rateHz / 8000
	bend := make([]float64, len(pcm))
	for i := n; i < len(pcm)-n; i++ {
		bend[i] = math.Abs(float64(pcm[i-n]) - 2*float64(pcm[i]) + float64(pcm[i+n]))
	}
	for i, b := range bend {
		if b < worst*least {
			continue
		}
		around := least
		for d := clickNear * n; d <= clickFar*n; d++ {
			if i >= d {
				around = max(around, bend[i-d])
			}
			if i+d < len(bend) {
				around = max(around, bend[i+d])
			}
		}
		if b/around > worst {
			worst, at = b/around, i
		}
	}
	return worst, at
}

// recorded is recorded speech at a rate.
func recorded(rateHz int) []int16 {
	pcm := make([]int16, len(media.Speech()))
	dec, _ := transcode.NewDecoder(media.PCMU, 8000)
	dec.Decode(media.Speech(), pcm)
	if rateHz == 8000 {
		return pcm
	}
	var up transcode.Upsampler
	wide := make([]int16, 2*len(pcm))
	return wide[:up.Process(pcm, wide)]
}

func sine(freq, amplitude float64, n int) []int16 {
	pcm := make([]int16, n)
	for i := range pcm {
		pcm[i] = int16(amplitude * math.Sin(2*math.Pi*freq*float64(i)/8000))
	}
	return pcm
}

// clickMost is what speech, and what everybody does to it, stays below; where G.722 is
// heard, whose coders ring at a seam, everything stays below wideMost.
const clickMost, wideMost = 2.6, 4.0

// TestAClickIsFound holds the measure to clicks of known size: it must hear them,
// and must not take speech for them.
func TestAClickIsFound(t *testing.T) {
	for rate, speech := range map[int][]int16{8000: recorded(8000), 16000: recorded(16000)} {
		if worst, at := worstClick(speech, rate, speechFloor); worst > clickMost {
			t.Errorf("at %d Hz, speech itself has a click of %.2f at %d", rate, worst, at)
		} else {
			t.Logf("speech at %d Hz: %.2f", rate, worst)
		}
	}
	for name, pcm := range map[string][]int16{"tone": sine(440, 6000, 16000), "silence": make([]int16, 16000), "speech": recorded(8000)} {
		least, sizes := toneFloor, []int16{1500, 3000, 6000}
		if name == "speech" {
			least, sizes = speechFloor, []int16{9000, 12000}
		}
		for _, size := range sizes {
			found, of := 0, 0
			for at := 1000; at+400 < len(pcm); at += 331 {
				if name == "speech" && media.Level(pcm[at-160:at+160]) > -35 { // it drowns in loud speech, for people too
					continue
				}
				was := pcm[at]
				pcm[at] += size
				if worst, where := worstClick(pcm[at-400:at+400], 8000, least); worst > clickMost && max(where-400, 400-where) <= 1 {
					found++
				}
				of++
				pcm[at] = was
			}
			t.Logf("%s, one sample off by %d: %d of %d found", name, size, found, of)
			if found < of*8/10 {
				t.Errorf("%s: %d of %d clicks of %d are found", name, found, of, size)
			}
		}
	}
	found, of := 0, 0
	for end := 4000; end < 4100; end++ { // cut off anywhere
		pcm := sine(440, 6000, 8000)
		clear(pcm[end:])
		if worst, _ := worstClick(pcm, 8000, toneFloor); worst > clickMost {
			found++
		}
		of++
	}
	t.Logf("a tone cut off: %d of %d found", found, of)
	if found < of/2 {
		t.Errorf("%d of %d tones that are cut off are found", found, of)
	}
}

// crowd is a listening phone, and others who come, go, and are silenced.
type crowd struct {
	*rand.Rand
	t        *testing.T
	r        *Room
	speak    []media.Codec // what speakers speak
	hears    media.Codec
	text     bool
	wire     *wire
	listener *Participant
	sink     *Sink
	stop     func()
	speakers []*speaker
	wg       sync.WaitGroup
	done     []string
}

type speaker struct {
	*Participant
	muted bool
	gone  chan struct{}
}

// enter lets somebody join in the middle of what they say.
func (c *crowd) enter() {
	n := len(c.done)
	s := &speaker{Participant: join(c.t, c.r, fmt.Sprint("speaker", n), KindWHIP), gone: make(chan struct{})}
	codec := c.speak[c.IntN(len(c.speak))]
	v := bandVoice(c.t, s.Participant, codec, 300+100*float64(c.IntN(5)))
	v.n = c.IntN(100000)
	if c.text {
		text := recorded(v.rateHz)
		v.sound = func(at int) int16 { return text[at%len(text)] }
	}
	c.speakers = append(c.speakers, s)
	c.wg.Go(func() {
		for {
			select {
			case <-s.gone:
				return
			default:
				v.say(20 * time.Millisecond)
			}
		}
	})
}

func (c *crowd) did(format string, a ...any) {
	at := 0
	if p := c.wire.all(); len(p) > 0 {
		at = int(p[len(p)-1].Timestamp-p[0].Timestamp) / 8
	}
	c.done = append(c.done, fmt.Sprintf("%d ms ", at)+fmt.Sprintf(format, a...))
}

func (c *crowd) step() {
	i := 0
	if len(c.speakers) > 0 {
		i = c.IntN(len(c.speakers))
	}
	switch n := c.IntN(10); {
	case len(c.speakers) == 0 || n < 2 && len(c.speakers) < 3:
		c.did("somebody joins")
		c.enter()
	case n < 3:
		c.did("%d leaves", i)
		s := c.speakers[i]
		c.speakers = append(c.speakers[:i:i], c.speakers[i+1:]...)
		s.Leave()
		close(s.gone)
	case n < 6:
		s := c.speakers[i]
		s.muted = !s.muted
		c.did("%d muted: %v", i, s.muted)
		s.Mute(s.muted)
	case n < 7:
		on := !c.listener.Record().Held
		c.did("hold: %v", on)
		c.listener.hold(on)
	default:
		if c.stop != nil {
			c.did("Play stops")
			c.stop()
			c.stop = nil
			return
		}
		c.did("Play starts")
		c.stop, _ = c.sink.Play(media.Sine(500, media.NarrowbandHz, -15), time.Duration(c.IntN(2))*150*time.Millisecond)
	}
}

// TestNoClickWhateverHappens lets a phone listen while others join, leave, are muted
// and put on hold, and while the gateway plays, in random orders. -run
// TestNoClickWhateverHappens/7 runs one seed alone.
func TestNoClickWhateverHappens(t *testing.T) {
	last := uint64(200)
	if testing.Short() || raceOn {
		last = 20
	}
	clicks := 0
	for seed := range last {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			withRoom(t, func(t *testing.T, _ *Exchange, r *Room) { clicks += newCrowd(t, r, seed).live() })
		})
	}
	// A source that comes back to a mix after seconds may step once: what its jitter
	// buffer held is from before.
	if clicks > 1+int(last)/100 {
		t.Errorf("in %d of %d orders there is a click", clicks, last)
	}
}

func newCrowd(t *testing.T, r *Room, seed uint64) *crowd {
	c := &crowd{
		Rand: rand.New(rand.NewPCG(seed, 11)), t: t, r: r, text: seed%3 == 0, wire: &wire{},
		hears: []media.Codec{media.PCMU, media.PCMA, media.PCMU, media.G722}[seed%4], speak: []media.Codec{media.PCMU, media.PCMA},
	}
	c.listener = join(t, r, "phone", KindPhone)
	c.sink = c.listener.Listen(c.wire, c.hears, 20*time.Millisecond)
	return c
}

// live returns how many of its clicks are heard: 0 or 1.
func (c *crowd) live() int {
	time.Sleep(100 * time.Millisecond)
	for range 12 {
		c.step()
		time.Sleep(time.Duration(50+c.IntN(350)) * time.Millisecond)
		if c.IntN(8) == 0 {
			time.Sleep(2500 * time.Millisecond) // until a mix is given up
		}
	}
	for _, s := range c.speakers {
		s.Leave()
		close(s.gone)
	}
	c.wg.Wait()
	rate := bands[c.hears]
	least := toneFloor
	if c.text {
		least = speechFloor
	}
	most := clickMost
	if c.hears == media.G722 {
		most = wideMost
	}
	if worst, at := worstClick(decodedAt(c.t, c.wire.all(), rate), rate, least); worst > most {
		c.t.Logf("%s, speech %v: a click of %.2f at %d ms\n%q", c.hears, c.text, worst, at*1000/rate, c.done)
		return 1
	}
	return 0
}
