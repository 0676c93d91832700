package bridge

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/transcode"
)

// whole fails where, since tick from of what a phone hears, 20 ms of a tone at
// the voice's level are not.
func whole(t *testing.T, name string, pcm []int16, from, to int, allowed int) {
	t.Helper()
	dips := 0
	for at := from; at+160 <= to; at += 160 {
		if media.Level(pcm[at:at+160]) < -21.5 { // the tone is at -17.7 dBov
			dips++
		}
	}
	if dips > allowed {
		t.Errorf("%s: %d frames are no tone, want at most %d", name, dips, allowed)
	}
}

func straight(int) fate { return fate{} }

// Each thing that a network or a sender may do in mid-call, and how many frames
// of 20 ms may suffer from it.
var corners = []struct {
	name  string
	does  func(v *voice)
	harms int
}{
	{"nothing", func(v *voice) { v.say(time.Second) }, 0},
	{"one packet overtaken by the next", func(v *voice) {
		v.carry(50, func(i int) fate { return fate{delay: map[bool]time.Duration{i == 20: 25 * time.Millisecond}[true]} })
	}, 1},
	{"packets overtaken again and again", func(v *voice) {
		v.carry(50, func(i int) fate {
			if i%10 == 5 {
				return fate{delay: 25 * time.Millisecond}
			}
			return fate{}
		})
	}, 1},
	{"a packet overtaken by two", func(v *voice) {
		v.carry(50, func(i int) fate {
			if i == 20 || i == 40 {
				return fate{delay: 45 * time.Millisecond}
			}
			return fate{}
		})
	}, 4},
	{"packets twice", func(v *voice) {
		v.carry(50, func(i int) fate { return fate{twice: i%7 == 3} })
	}, 0},
	{"a burst of packets twice, later", func(v *voice) {
		v.carry(25, straight)
		seq, ts, n := v.seq, v.ts, v.n
		v.carry(25, straight)
		again, at, m := v.seq, v.ts, v.n
		v.seq, v.ts, v.n = seq, ts, n
		for range 5 {
			v.src.Push(v.next())
		}
		v.seq, v.ts, v.n = again, at, m
		v.say(500 * time.Millisecond)
	}, 0},
	{"sequence 5000 ahead and back", func(v *voice) {
		v.say(300 * time.Millisecond)
		v.seq += 5000
		v.say(300 * time.Millisecond)
		v.seq -= 5000
		v.say(300 * time.Millisecond)
	}, 0},
	{"sequence 200 ahead", func(v *voice) { v.seq += 200; v.say(300 * time.Millisecond) }, 0},
	{"sequence 50 back", func(v *voice) { v.seq -= 50; v.say(time.Second) }, 0},
	{"timestamps hours ahead", func(v *voice) {
		v.ts += uint32(5 * 3600 * v.codec.ClockRate())
		v.say(300 * time.Millisecond)
	}, 0},
	{"timestamps a second ahead", func(v *voice) { v.ts += uint32(v.codec.ClockRate()); v.say(300 * time.Millisecond) }, 0},
	{"timestamps an hour back", func(v *voice) {
		v.ts -= uint32(3600 * v.codec.ClockRate())
		v.say(300 * time.Millisecond)
	}, 0},
	{"timestamps 100 ms back", func(v *voice) { v.ts -= uint32(v.codec.ClockRate() / 10); v.say(300 * time.Millisecond) }, 0},
	{"a new SSRC: numbers and timestamps elsewhere", func(v *voice) {
		v.seq, v.ts = v.seq+31000, v.ts+1<<31-77777
		v.say(300 * time.Millisecond)
	}, 0},
	{"packets of 60, of 10 and of 20 ms", func(v *voice) {
		samples := v.samples
		for _, ms := range []int{60, 10, 20} {
			v.samples = ms * v.rateHz / 1000
			v.say(600 * time.Millisecond)
		}
		v.samples = samples
		v.say(600 * time.Millisecond)
	}, 0},
	{"a marker in the middle", func(v *voice) {
		p := v.next()
		p.Marker = true
		v.src.Push(p)
		time.Sleep(v.packetTime())
		v.say(300 * time.Millisecond)
	}, 0},
}

func TestCornersOfTheDirectRoad(t *testing.T) {
	for _, line := range lines {
		for _, corner := range corners {
			c := line
			c.name += ", " + corner.name
			onALine(t, c, func(v *voice, w *wire) {
				before := len(decoded(t, w.all()))
				corner.does(v)
				harms := corner.harms * v.samples * 8000 / v.rateHz / 160
				whole(t, c.name, decoded(t, w.all()), before-800, len(decoded(t, w.all()))-800, harms)
			})
		}
	}
}

func TestAnyStartOfNumbersIsTheSame(t *testing.T) {
	for _, line := range lines {
		for _, start := range []struct {
			seq uint16
			ts  uint32
		}{{0, 0}, {65535, 0}, {65535, 1<<32 - 1}, {65500, 1<<32 - 8000}, {1, 1 << 31}, {0, 1<<31 - 160}} {
			withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
				w := &wire{}
				join(t, r, "phone", KindPhone).Listen(w, line.to, 20*time.Millisecond)
				v := newVoiceAt(t, join(t, r, "a", KindWHIP), line.from, 400, line.samples, line.rateHz)
				v.seq, v.ts = start.seq, start.ts
				first := time.Now()
				v.say(1200 * time.Millisecond)
				p := w.all()
				continuous(t, p, 160)
				if late := w.at[0].Sub(first); late > 0 {
					t.Errorf("%s from %+v: the first packet waits %v", line.name, start, late)
				}
				pcm := decoded(t, p)
				whole(t, line.name, pcm, 320, 1100*8, 0)
			})
		}
	}
}

// A sender whose clock is off by 300 parts in a million, for half an hour, with
// and without pauses: its sound goes on as it comes, in its own time.
func TestSkewAddsUpToNothing(t *testing.T) {
	for _, to := range []media.Codec{media.PCMA, media.Opus} {
		length := 30 * time.Minute
		switch {
		case testing.Short() || raceOn:
			length = time.Minute
		case to == media.Opus: // encoding takes its time
			length = 6 * time.Minute
		}
		for _, ppm := range []int{-300, 300} {
			for _, pause := range []time.Duration{0, 1500 * time.Millisecond} {
				name := fmt.Sprintf("to %s, %d ppm, pauses of %v", to, ppm, pause)
				withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
					x.Opus = transcode.OpusSettings{Bitrate: 12000}
					w := &tally{}
					join(t, r, "phone", KindPhone).Listen(w, to, 20*time.Millisecond)
					v := newVoice(t, join(t, r, "a", KindWHIP), media.PCMU, 400, 160)
					step := 20*time.Millisecond - time.Duration(ppm)*20*time.Nanosecond
					began, ts, last := time.Now(), v.ts, uint32(0)
					for i := 0; time.Since(began) < length; i++ {
						v.src.Push(v.next())
						last = v.ts - 160
						if !w.upToDate() {
							t.Fatalf("%s: after %v a packet waits", name, time.Since(began))
						}
						time.Sleep(step)
						if i%500 == 499 { // ten seconds
							v.ts += uint32(pause * 8000 / time.Second)
							time.Sleep(pause - time.Duration(ppm)*pause/1e6)
						}
					}
					said, heard := int64(last-ts), int64(w.latest())*8000/int64(to.ClockRate())
					if off := heard - said; off < -160 || off > 160 {
						t.Errorf("%s: the stream is %d ms off its sender's time after %v", name, off/8, length)
					}
					if v.src.Hearing().Concealed > 0 {
						t.Errorf("%s: %v were made up", name, v.src.Hearing().Concealed)
					}
					if broken := w.broken(); pause == 0 && broken > 0 {
						t.Errorf("%s: %d packets do not follow the one before them", name, broken)
					}
				})
			}
		}
	}
}

// tally is a wire that keeps no packets.
type tally struct {
	mu              sync.Mutex
	first, last     uint32
	seq             uint16
	at              time.Time
	packets, inTurn int
}

func (w *tally) WritePacket(p *media.Packet) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.packets == 0 {
		w.first = p.Timestamp
	} else if p.SequenceNumber == w.seq+1 && p.Timestamp-w.last == uint32(p.Codec.ClockRate()/50) {
		w.inTurn++
	}
	w.packets++
	w.last, w.seq, w.at = p.Timestamp, p.SequenceNumber, time.Now()
	return nil
}

// upToDate reports whether a packet has been sent at this very moment.
func (w *tally) upToDate() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Since(w.at) == 0
}

// broken is how many packets do not follow the one before them.
func (w *tally) broken() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.packets - w.inTurn - 1
}

// latest is the time on the stream of the last packet, from the first one on.
func (w *tally) latest() uint32 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last - w.first
}
