package bridge

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/roomline/roomline/media"
)

// fate is what a network does to one packet.
type fate struct {
	delay time.Duration
	lost  bool
	twice bool
}

// carry sends n packets over a network: packet i takes fate(i).
func (v *voice) carry(n int, network func(i int) fate) {
	v.t.Helper()
	type arrival struct {
		at     time.Time
		packet *media.Packet
	}
	var arrivals []arrival
	start := time.Now()
	for i := range n {
		step := v.packetTime()
		p, sent := v.next(), start.Add(time.Duration(i)*step)
		switch f := network(i); {
		case f.lost:
		case f.twice:
			arrivals = append(arrivals, arrival{sent.Add(f.delay), p})
			fallthrough
		default:
			arrivals = append(arrivals, arrival{sent.Add(f.delay), p})
		}
	}
	slices.SortStableFunc(arrivals, func(a, b arrival) int { return a.at.Compare(b.at) })
	for _, a := range arrivals {
		time.Sleep(time.Until(a.at))
		a.packet.Arrived = time.Now()
		v.src.Push(a.packet)
	}
	time.Sleep(time.Until(start.Add(time.Duration(n) * v.packetTime())))
}

func (v *voice) packetTime() time.Duration {
	return time.Duration(v.samples) * time.Second / time.Duration(v.rateHz)
}

// mark says 200 ms of silence and then the tone again, and returns where in the
// voice's own sound, in ticks, the tone begins, and when.
func (v *voice) mark() (tick int, at time.Time) {
	freq := v.freq
	v.freq = 0
	v.say(200 * time.Millisecond)
	v.freq = freq
	tick, at = v.n*8000/v.rateHz, time.Now()
	v.n = 0 // the sine begins at its zero
	v.say(400 * time.Millisecond)
	v.n += tick * v.rateHz / 8000
	return tick, at
}

// heardAt finds where in sound, from tick from on, a tone begins after silence.
func heardAt(t *testing.T, pcm []int16, from int) int {
	t.Helper()
	quiet := 0
	for i := from; i < len(pcm); i++ {
		switch loud := math.Abs(float64(pcm[i])) > 1500; {
		case loud && quiet >= 800:
			return i
		case loud:
			quiet = 0
		default:
			quiet++
		}
	}
	t.Fatalf("no tone begins after tick %d of %d", from, len(pcm))
	return 0
}

// sentAt is when the sound at a tick of a stream went out.
func (w *wire) sentAt(tick int) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	first := w.packets[0].Timestamp
	for i, p := range w.packets {
		if int(p.Timestamp-first) > tick {
			return w.at[i-1]
		}
	}
	return w.at[len(w.at)-1]
}

// longestPause is the longest time since then in which nothing was sent.
func (w *wire) longestPause(since time.Time) (worst time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := 1; i < len(w.at); i++ {
		if w.at[i].After(since) {
			worst = max(worst, w.at[i].Sub(w.at[i-1]))
		}
	}
	return worst
}

type lineCase struct {
	name     string
	from, to media.Codec
	rateHz   int
	samples  int // per packet
}

var lines = []lineCase{
	{"PCMU to PCMA", media.PCMU, media.PCMA, 8000, 160},
	{"PCMU untouched", media.PCMU, media.PCMU, 8000, 160},
	{"Opus to PCMU", media.Opus, media.PCMU, 8000, 160},
	{"Opus in 60 ms to PCMU", media.Opus, media.PCMU, 8000, 480},
	{"G722 to PCMU", media.G722, media.PCMU, 16000, 320},
}

// onALine runs f with a voice that a phone hears, and sees to it that the phone
// hears a whole stream without a click, and no later after f than before it.
func onALine(t *testing.T, c lineCase, f func(v *voice, w *wire)) {
	withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
		w := &wire{}
		join(t, r, "phone", KindPhone).Listen(w, c.to, 20*time.Millisecond)
		v := newVoiceAt(t, join(t, r, "a", KindWHIP), c.from, 400, c.samples, c.rateHz)
		v.say(time.Second)
		before, at := v.mark()
		delay := w.sentAt(heardAt(t, decoded(t, w.all()), before-1600)).Sub(at)
		shift := heardAt(t, decoded(t, w.all()), before-1600) - before
		f(v, w)
		v.say(2 * time.Second)
		after, at := v.mark()
		p := w.all()
		continuous(t, p, 160)
		pcm := decoded(t, p)
		from := len(pcm) - 10*400
		now := heardAt(t, pcm, from)
		if got := now - after; got < shift-8 || got > shift+8 {
			t.Errorf("%s: the stream is %.1f ms behind, before it was %.1f", c.name, float64(got)/8, float64(shift)/8)
		}
		if got := w.sentAt(now).Sub(at); got > delay+time.Millisecond {
			t.Errorf("%s: the packet goes out %v after its sound came in, before it was %v", c.name, got, delay)
		}
		if got := worstStep(pcm[800:]); got > 4500 { // a sine of 6000 at 400 Hz steps by 1,900
			t.Errorf("%s: a step of %d between two samples: a click", c.name, got)
		}
	})
}

// unbroken fails where a phone was left without packets or without any sound.
func (v *voice) unbroken(name string, w *wire, since time.Time) {
	t, length := v.t, v.packetTime()
	t.Helper()
	p := w.all()
	if worst := w.longestPause(since); worst > length+85*time.Millisecond {
		t.Errorf("%s: nothing was sent for %v", name, worst)
	}
	if v.codec == media.Opus { // its decoder has heard this line in perfect silence
		return
	}
	pcm := decoded(t, p)
	for at := len(pcm) - 400*8; at+160 < len(pcm); at += 160 {
		if db := media.Level(pcm[at : at+160]); db < -75 {
			t.Fatalf("%s: at %d ms the line is dead: %.0f dBov", name, at/8, db)
		}
	}
}

func TestAStallOnTheDirectRoadLeavesNothingBehind(t *testing.T) {
	for _, c := range lines {
		for _, stall := range []time.Duration{50, 100, 200, 500, 2500} {
			for _, lost := range []bool{false, true} {
				if raceOn && stall > 200 {
					continue
				}
				c := c
				stall := stall * time.Millisecond
				c.name = fmt.Sprintf("%s, %v, lost: %v", c.name, stall, lost)
				onALine(t, c, func(v *voice, w *wire) {
					began := time.Now()
					n := int(stall / v.packetTime())
					v.carry(n+5, func(i int) fate {
						late := stall - time.Duration(i)*v.packetTime()
						return fate{delay: max(0, late), lost: lost && i < n}
					})
					v.unbroken(c.name, w, began)
				})
			}
		}
	}
}

// Towards an Opus trunk a gap stays a gap; only a long one is filled, with silence.
func TestAStallTowardsAnOpusTrunkLeavesNothingBehind(t *testing.T) {
	for _, from := range []media.Codec{media.Opus, media.PCMU} {
		for _, stall := range []time.Duration{50, 100, 200, 500, 2500} {
			for _, lost := range []bool{false, true} {
				if raceOn && stall > 200 {
					continue
				}
				stall := stall * time.Millisecond
				name := fmt.Sprintf("%s, %v, lost: %v", from, stall, lost)
				withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
					w := &wire{}
					join(t, r, "trunk", KindPhone).Listen(w, media.Opus, 0)
					v := newVoice(t, join(t, r, "a", KindWHIP), from, 400, 160)
					v.say(time.Second)
					before, at := v.mark()
					was := heardAt(t, decoded(t, w.all()), before-1600)
					delay := w.sentAt(was).Sub(at)
					n := int(stall / v.packetTime())
					v.carry(n+5, func(i int) fate {
						return fate{delay: max(0, stall-time.Duration(i)*v.packetTime()), lost: lost && i < n}
					})
					v.say(2 * time.Second)
					after, at := v.mark()
					pcm := decoded(t, w.all())
					now := heardAt(t, pcm, len(pcm)-4000)
					if got := now - after - was + before; got < -8 || got > 8 {
						t.Errorf("%s: the stream is %.1f ms later than before", name, float64(got)/8)
					}
					if got := w.sentAt(now).Sub(at); got > delay+time.Millisecond {
						t.Errorf("%s: the packet goes out %v after its sound came in, before it was %v", name, got, delay)
					}
				})
			}
		}
	}
}

// How much is made up of a minute of sound on a line with jitter, in percent.
func TestJitterIsNotTakenForLoss(t *testing.T) {
	for _, c := range []struct {
		jitter  time.Duration // each packet takes up to that
		inOrder bool          // none overtakes another
		loss    int           // percent
		most    float64
	}{
		{0, true, 0, 0}, {30, true, 0, 0}, {60, true, 0, 0.1}, {90, true, 0, 0.5},
		{30, false, 0, 0.1}, {60, false, 0, 0.1}, {90, false, 0, 1},
		{0, true, 2, 2.1}, {30, true, 2, 2.2}, {60, false, 2, 2.6},
	} {
		withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
			w := &wire{}
			join(t, r, "phone", KindPhone).Listen(w, media.PCMA, 20*time.Millisecond)
			v := newVoice(t, join(t, r, "a", KindPhone), media.PCMU, 400, 160)
			dice := rand.New(rand.NewPCG(3, 4))
			last, lost := time.Duration(0), 0
			v.carry(3000, func(i int) fate {
				sent := time.Duration(i) * v.packetTime()
				arrives := sent + time.Duration(dice.Int64N(int64(c.jitter*time.Millisecond)+1))
				if c.inOrder {
					arrives = max(arrives, last)
				}
				last = arrives
				f := fate{delay: arrives - sent, lost: dice.IntN(100) < c.loss}
				if f.lost {
					lost++
				}
				return f
			})
			h := v.src.Hearing()
			made := 100 * float64(h.Concealed) / float64(h.Heard)
			most := c.most - float64(c.loss) + 100*float64(lost)/3000
			if made > most {
				t.Errorf("%+v: %.2f %% were made up, want at most %.2f", c, made, most)
			}
			continuous(t, w.all(), 160)
		})
	}
}

// A longer way through the network is followed; once it is short again, the next
// pause takes back what it cost.
func TestALongerWayIsTakenBackAtTheNextPause(t *testing.T) {
	for _, way := range []time.Duration{100, 140} {
		c := lines[0]
		c.name = fmt.Sprintf("%s, %v ms longer", c.name, int(way))
		onALine(t, c, func(v *voice, w *wire) {
			began, n := time.Now(), 100
			v.carry(n, func(i int) fate {
				if i < 30 {
					return fate{}
				}
				return fate{delay: way * time.Millisecond}
			})
			if debt := v.src.debt(); debt == 0 {
				t.Errorf("%s: nothing stood in", c.name)
			}
			const pause = 400 * time.Millisecond
			v.ts += uint32(pause * 8000 / time.Second)
			v.n += int(pause * 8000 / time.Second)
			time.Sleep(time.Until(began.Add(time.Duration(n)*v.packetTime() + pause)))
			v.say(200 * time.Millisecond)
			if debt := v.src.debt(); debt != 0 {
				t.Errorf("%s: %d ms are left after a pause", c.name, debt/8)
			}
		})
	}
}

func (s *Source) debt() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lull.debt
}
