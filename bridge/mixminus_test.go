package bridge

import (
	"fmt"
	"math"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/roomline/roomline/media"
)

// conference lets phones speak at once, each its own part of recorded speech, and
// returns what each of them was sent. One of them may be muted (-1: none), and
// another one may hold its earpiece to the microphone: it says what phone 0 says, too,
// by so many dB lower (0: it does not).
type conference struct {
	phones   int
	codec    func(phone int) media.Codec
	muted    int
	echoesDB float64
	length   time.Duration // of what is said
}

func (c conference) hold(t *testing.T) (wires []*wire) {
	t.Helper()
	for range 2 { // empties sync.Pools: a used Opus encoder makes other bytes than a new one
		runtime.GC()
	}
	withRoom(t, func(t *testing.T, _ *Exchange, r *Room) {
		speech := spoken(t)
		said := func(phone, at int) int { // speech is recorded at 8 kHz
			if phone == c.muted {
				return 0
			}
			return int(speech(at + phone*17000))
		}
		var talk sync.WaitGroup
		for i := range c.phones {
			p, codec, w := join(t, r, fmt.Sprint("phone", i), KindPhone), c.codec(i), &wire{}
			time.Sleep(1100 * time.Microsecond) // the first one has started the beat, whose moments are multiples of 5 ms: nothing else happens then
			p.Listen(w, codec, 20*time.Millisecond)
			v := bandVoice(t, p, codec, 0)
			v.sound = func(at int) int16 {
				at /= v.rateHz / 8000
				sum := said(i, at)
				if i == 1 && c.echoesDB < 0 {
					sum += int(float64(said(0, at)) * math.Pow(10, c.echoesDB/20))
				}
				return int16(sum)
			}
			wires = append(wires, w)
			talk.Go(func() {
				time.Sleep(time.Duration(100+i) * time.Millisecond)
				v.say(c.length)
			})
		}
		talk.Wait()
	})
	return wires
}

// TestNobodyHearsThemselves holds each conference twice: what a phone is sent must be
// the same whether it speaks or is muted. A codec's noise would hide a faint echo from
// a measure of level, and hides none from this one: an encoder whose input differs
// by a little makes other packets.
func TestNobodyHearsThemselves(t *testing.T) {
	all := []media.Codec{media.PCMU, media.G722, media.Opus, media.PCMA, media.Opus}
	for _, codec := range []media.Codec{media.PCMU, media.G722, media.Opus, 0} {
		name, of := codec.String(), func(int) media.Codec { return codec }
		if codec == 0 {
			name, of = "one of each", func(phone int) media.Codec { return all[phone] }
		}
		for phones := 2; phones <= 5; phones++ {
			if raceOn && phones%2 == 0 {
				continue
			}
			t.Run(fmt.Sprintf("%d phones, %s", phones, name), func(t *testing.T) {
				c := conference{phones: phones, codec: of, muted: -1, length: 3 * time.Second}
				whole := c.hold(t)
				c.muted = 0
				for i, w := range c.hold(t) {
					db := difference(t, whole[i].all(), w.all())
					if i == 0 && db > identical {
						t.Errorf("what a phone says changes what it hears by %.1f dB", db)
					}
					if i > 0 && db < -10 {
						t.Errorf("phone %d hears phone 0 at %.1f dB of the whole only", i, db)
					}
				}
			})
		}
	}
}

func TestTheMeasureOfEchoSeesAFaintOne(t *testing.T) {
	for _, codec := range []media.Codec{media.PCMU, media.G722, media.Opus} {
		c := conference{phones: 3, codec: func(int) media.Codec { return codec }, muted: -1, echoesDB: -60, length: 3 * time.Second}
		whole := c.hold(t)
		c.muted = 0
		db := difference(t, whole[0].all(), c.hold(t)[0].all())
		t.Logf("%s: an echo 60 dB down is seen as %.1f dB", codec, db)
		if db <= identical {
			t.Errorf("%s: an echo 60 dB down is not seen", codec)
		}
	}
}

// identical is the difference between two sounds that have none.
const identical = -200.0

// difference is how much of what was heard is different, in dB of the whole.
func difference(t *testing.T, whole, without []media.Packet) float64 {
	t.Helper()
	rate := bands[whole[0].Codec]
	a, b := decodedAt(t, whole, rate), decodedAt(t, without, rate)
	var all, differs float64
	if len(a) != len(b) {
		t.Fatalf("%d samples and %d", len(a), len(b))
	}
	for i, v := range a {
		d := float64(v) - float64(b[i])
		all, differs = all+float64(v)*float64(v), differs+d*d
	}
	return 10 * math.Log10(max(differs/all, math.Pow(10, identical/10)))
}
