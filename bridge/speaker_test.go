package bridge

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/transcode"
)

// orator is an agent in a room whose voice tells what it does.
type orator struct {
	*Speaker
	t *testing.T

	mu            sync.Mutex
	marks         []string
	at            []time.Time
	began, rested []time.Time
}

func newOrator(t *testing.T, r *Room, identity string) *orator {
	t.Helper()
	g := &orator{t: t}
	note := func(times *[]time.Time) func() {
		return func() {
			g.mu.Lock()
			defer g.mu.Unlock()
			*times = append(*times, time.Now())
		}
	}
	v, err := join(t, r, identity, KindAgent).Speak(SpeakerSpec{ID: "voice", Codec: media.PCMU, Began: note(&g.began), Rested: note(&g.rested), Marked: func(name string) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.marks, g.at = append(g.marks, name), append(g.at, time.Now())
	}})
	if err != nil {
		t.Fatal(err)
	}
	g.Speaker = v
	return g
}

func (g *orator) write(sound []byte) {
	g.t.Helper()
	if err := g.Write(sound); err != nil {
		g.t.Fatal(err)
	}
}

func (g *orator) mark(name string) {
	g.t.Helper()
	if err := g.Mark(name); err != nil {
		g.t.Fatal(err)
	}
}

// turns is when it began to speak, and when it rested.
func (g *orator) turns() (began, rested []time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.began), slices.Clone(g.rested)
}

func (g *orator) told() ([]string, []time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.marks), slices.Clone(g.at)
}

// toneBytes is a tone in µ-law, a number of samples of it.
func toneBytes(t *testing.T, freq float64, n int) []byte {
	t.Helper()
	e, err := transcode.NewEncoder(media.PCMU, media.NarrowbandHz, transcode.OpusSettings{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	out := make([]byte, n)
	if _, err := e.Encode(sine(freq, 6000, n), out); err != nil {
		t.Fatal(err)
	}
	return out
}

// codeOf is what kind of refusal an error is.
func codeOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// digest is a wire that keeps the bytes alone.
type digest struct{ sound []byte }

func (w *digest) WritePacket(p *media.Packet) error {
	w.sound = append(w.sound, p.Payload...)
	return nil
}

// uneven is sound of which any 20 ms are told apart from all others.
func uneven(n int) []byte {
	dice, out := rand.New(rand.NewPCG(3, 4)), make([]byte, n)
	for i := range out {
		out[i] = byte(dice.IntN(100))
	}
	return out
}

func payloads(packets []media.Packet) []byte {
	var out []byte
	for _, p := range packets {
		if p.Codec.Audio() {
			out = append(out, p.Payload...)
		}
	}
	return out
}

// A phone in the agent's codec gets every byte as it was written, in packets of 20 ms
// without a hole, whatever the sizes in which it was written.
func TestAPhoneGetsTheAgentsBytes(t *testing.T) {
	for _, chunk := range []int{1, 77, 160, 161, 800, 16000, 40001} {
		withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
			w := &wire{}
			join(t, r, "phone", KindPhone).Listen(w, media.PCMU, media.FrameDuration)
			g := newOrator(t, r, "agent")
			time.Sleep(333 * time.Millisecond)
			said := uneven(40001)
			for part := range slices.Chunk(said, chunk) {
				g.write(part)
			}
			g.mark("end")
			time.Sleep(6 * time.Second)
			p := w.all()
			if !bytes.Contains(payloads(p), said) {
				t.Errorf("chunks of %d: what was written did not come out as it was", chunk)
			}
			continuous(t, p, 160)
			starts := 0
			for _, q := range p[1:] {
				if len(q.Payload) != 160 {
					t.Fatalf("a packet of %d bytes", len(q.Payload))
				}
				if q.Marker {
					starts++
				}
			}
			if starts != 1 {
				t.Errorf("%d packets have the marker, want the first of the talk", starts)
			}
			marks, _ := g.told()
			if began, rested := g.turns(); len(marks) != 1 || len(began) != 1 || len(rested) != 1 {
				t.Errorf("marks %v, begun %d times, rested %d times", marks, len(began), len(rested))
			}
		})
	}
}

// heardEnd is when the sound written so far, of so many samples in all, has been played out:
// when the packet with its end was sent, and the part of it before that.
func heardEnd(t *testing.T, w *wire, said []byte, end int) time.Time {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	from := -1
	for i, p := range w.packets {
		if bytes.Equal(p.Payload[:min(len(said), 160)], said[:min(len(said), 160)]) {
			from = i
			break
		}
	}
	if from < 0 {
		t.Fatal("the agent is not heard")
	}
	last := from + (end-1)/160
	return w.at[last].Add(lasting(end - (last-from)*160))
}

// Every mark is told when what was written before it has been played out: never before,
// and at most 20 ms after.
func TestAThousandMarks(t *testing.T) {
	withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
		w := &wire{}
		join(t, r, "phone", KindPhone).Listen(w, media.PCMU, media.FrameDuration)
		time.Sleep(100 * time.Millisecond)
		g := newOrator(t, r, "agent")
		dice, said := rand.New(rand.NewPCG(1, 1)), uneven(1000*400)
		var ends []int
		for at, i := 0, 0; i < 1000; i++ {
			n := dice.IntN(400)
			g.write(said[at : at+n])
			at += n
			ends = append(ends, at)
			g.mark(strconv.Itoa(i))
			if dice.IntN(20) == 0 {
				time.Sleep(time.Duration(dice.IntN(300)) * time.Millisecond)
			}
		}
		time.Sleep(g.Waiting() + time.Second)
		marks, at := g.told()
		if len(marks) != 1000 {
			t.Fatalf("%d of 1000 marks were told", len(marks))
		}
		var worst time.Duration
		for i, end := range ends {
			if marks[i] != strconv.Itoa(i) {
				t.Fatalf("mark %s comes as number %d", marks[i], i)
			}
			if end == 0 {
				continue
			}
			off := at[i].Sub(heardEnd(t, w, said, end))
			if off < 0 || off > media.FrameDuration {
				t.Fatalf("mark %d is told %s after its sound", i, off)
			}
			worst = max(worst, off)
		}
		t.Logf("the worst of 1000 marks is told %s after its sound", worst)
		if played := g.Played(); played != lasting(ends[999]) {
			t.Errorf("%s were played, want %s", played, lasting(ends[999]))
		}
	})
}

// What was said before Clear is not heard any more 20 ms later but for its fade, on
// every road, and it ends without a click.
func TestClearIsHeardAtOnce(t *testing.T) {
	for _, c := range []struct {
		codec media.Codec
		ptime time.Duration
		mixed bool
	}{
		{media.PCMU, 20 * time.Millisecond, false}, {media.PCMA, 20 * time.Millisecond, false}, {media.PCMU, 30 * time.Millisecond, false},
		{media.PCMU, 10 * time.Millisecond, false}, {media.PCMU, 40 * time.Millisecond, false}, {media.PCMU, 20 * time.Millisecond, true},
		{media.PCMA, 30 * time.Millisecond, true}, {media.Opus, 0, true}, {media.Opus, 0, false},
	} {
		t.Run(fmt.Sprintf("%s %s mixed %v", c.codec, c.ptime, c.mixed), func(t *testing.T) {
			for late := range 7 { // anywhere between two beats
				withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
					w := &wire{}
					join(t, r, "listener", KindPhone).Listen(w, c.codec, c.ptime)
					var wg sync.WaitGroup
					if c.mixed {
						other := newVoice(t, join(t, r, "other", KindPhone), media.PCMU, 0, 160)
						wg.Go(func() { other.say(2 * time.Second) })
					}
					g := newOrator(t, r, "agent")
					g.write(toneBytes(t, 440, 80000))
					g.mark("never played")
					time.Sleep(time.Second + time.Duration(late*3)*time.Millisecond)
					cleared := time.Now()
					dropped := g.Clear()
					if marks, at := g.told(); len(marks) != 1 || at[0] != cleared {
						t.Errorf("after Clear %v are told", marks)
					}
					if sum := dropped + g.Played().Round(media.FrameDuration); sum > 10*time.Second+media.FrameDuration || sum < 10*time.Second-media.FrameDuration {
						t.Errorf("%s dropped, %s played", dropped, g.Played())
					}
					time.Sleep(900 * time.Millisecond)
					wg.Wait()
					p, pcm := w.all(), []int16(nil)
					pcm = decoded(t, p)
					if worst, at := worstClick(pcm[4000:], 8000, toneFloor); worst > clickMost {
						t.Errorf("it ends with a click of %.2f at %d ms", worst, at/8+500)
					}
					w.mu.Lock()
					defer w.mu.Unlock()
					limit := cleared.Add(max(20*time.Millisecond, c.ptime) + 20*time.Millisecond)
					for i, at := range w.at[:len(p)] {
						from := int(p[i].Timestamp-p[0].Timestamp) * 8000 / c.codec.ClockRate()
						if at.After(limit) && from+80 <= len(pcm) && media.Level(pcm[from:from+80]) > -50 {
							t.Fatalf("%s after Clear it is heard at %.1f dB", at.Sub(cleared), media.Level(pcm[from:from+80]))
						}
					}
				})
			}
		})
	}
}

// Five minutes written at once come out whole, and take no memory once they have.
func TestFiveMinutesInOneSecond(t *testing.T) {
	withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
		w := &digest{}
		join(t, r, "phone", KindPhone).Listen(w, media.PCMU, media.FrameDuration)
		g := newOrator(t, r, "agent")
		said := uneven(5 * 60 * 8000)
		for part := range slices.Chunk(said, len(said)/1000) {
			g.write(part)
			time.Sleep(time.Millisecond)
		}
		g.mark("end")
		if err := g.Write(make([]byte, 6*60*8000)); codeOf(err) != LimitReached {
			t.Errorf("more than ten minutes: %v", err)
		}
		time.Sleep(5*time.Minute + time.Second)
		if marks, _ := g.told(); len(marks) != 1 {
			t.Error("its mark was not told")
		}
		synctest.Wait()
		if !bytes.Contains(w.sound, said) {
			t.Error("something was lost")
		}
		if blocks := cap(g.waiting.blocks); blocks > 64 {
			t.Errorf("the queue keeps room for %d blocks", blocks)
		}
	})
}

func TestMarksAreBounded(t *testing.T) {
	withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
		g := newOrator(t, r, "agent")
		g.write(make([]byte, 160))
		for i := range mostMarks {
			g.mark(strconv.Itoa(i))
		}
		if err := g.Mark("one more"); codeOf(err) != LimitReached {
			t.Errorf("one mark too many: %v", err)
		}
		g.Clear()
		if marks, _ := g.told(); len(marks) != mostMarks {
			t.Errorf("%d marks are told", len(marks))
		}
		if err := g.Mark(string(make([]byte, mostMarkBytes+1))); codeOf(err) != LimitReached {
			t.Errorf("a mark with an endless name: %v", err)
		}
		g.Close()
		if err := g.Mark("x"); codeOf(err) != Conflict {
			t.Errorf("a mark after the end: %v", err)
		}
		if err := g.Write(make([]byte, 1)); codeOf(err) != Conflict {
			t.Errorf("sound after the end: %v", err)
		}
	})
}

// Who sends as it sounds, over a network with jitter, is heard without gaps once the
// jitter is known, and next to none before; who is faster than time does not wait.
func TestAVoiceThatComesAsItSoundsHasNoGaps(t *testing.T) {
	for _, c := range []struct {
		chunk  int
		jitter time.Duration
		turns  int // before it is known
	}{{160, 5 * time.Millisecond, 0}, {160, 30 * time.Millisecond, 2}, {160, 80 * time.Millisecond, 2}, {400, 40 * time.Millisecond, 2}} {
		for phase := range 4 {
			withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
				w := &wire{}
				join(t, r, "phone", KindPhone).Listen(w, media.PCMU, media.FrameDuration)
				g := newOrator(t, r, "agent")
				dice := rand.New(rand.NewPCG(1, uint64(phase)))
				time.Sleep(time.Duration(phase*5) * time.Millisecond)
				for turn := range 6 {
					said := uneven(16000 / c.chunk * c.chunk)
					start, from := time.Now(), len(w.all())
					for i, last := 0, time.Duration(0); i < len(said)/c.chunk; i++ {
						last = max(last, time.Duration(i)*lasting(c.chunk)+time.Duration(dice.Int64N(int64(c.jitter))))
						time.Sleep(time.Until(start.Add(last)))
						g.write(said[i*c.chunk : (i+1)*c.chunk])
					}
					time.Sleep(time.Second)
					heard := payloads(w.all()[from:])
					if turn >= c.turns && !bytes.Contains(heard, said) {
						t.Errorf("chunks of %d, jitter %s, phase %d: turn %d has gaps", c.chunk, c.jitter, phase, turn)
					}
				}
			})
		}
	}
}

func TestWhoIsFasterThanTimeDoesNotWait(t *testing.T) {
	withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
		g := newOrator(t, r, "agent")
		for turn := range 20 {
			time.Sleep(time.Duration(turn) * 7 * time.Millisecond)
			at := time.Now()
			for range 50 {
				g.write(make([]byte, 160))
			}
			time.Sleep(1500 * time.Millisecond)
			began, _ := g.turns()
			if wait := began[turn].Sub(at); wait > media.FrameDuration {
				t.Errorf("turn %d waits for %s", turn, wait)
			}
		}
	})
}

// A word alone is heard, though nothing follows it.
func TestAShortWordIsHeard(t *testing.T) {
	withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
		w := &wire{}
		join(t, r, "phone", KindPhone).Listen(w, media.PCMA, 30*time.Millisecond)
		g := newOrator(t, r, "agent")
		time.Sleep(time.Second)
		g.write(toneBytes(t, 1000, 200))
		time.Sleep(time.Second)
		pcm := decoded(t, w.all())
		at := media.Onset(pcm, 8000, -30)
		if at < 0 || toneDB(pcm[at:at+190], 1000) < voiceDB-2 {
			t.Error("25 ms of sound are not heard whole")
		}
		if g.Played() != 25*time.Millisecond {
			t.Errorf("%s have been played", g.Played())
		}
	})
}

// Played is exact at any moment.
func TestPlayedIsExact(t *testing.T) {
	withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
		w := &wire{}
		join(t, r, "phone", KindPhone).Listen(w, media.PCMU, media.FrameDuration)
		g := newOrator(t, r, "agent")
		time.Sleep(500 * time.Millisecond)
		said := uneven(8000)
		g.write(said)
		time.Sleep(200 * time.Millisecond)
		began, _ := g.turns()
		for range 90 {
			time.Sleep(7 * time.Millisecond)
			want := min(time.Since(began[0]), time.Second)
			if off := g.Played() - want; max(off, -off) > time.Millisecond {
				t.Fatalf("%s played, want %s", g.Played(), want)
			}
		}
	})
}

// A late beat sends what is due with timestamps that go on; after a long stall they
// go with time, and nothing that was written is lost.
func TestAVoiceOutlivesStallsOfTheBeat(t *testing.T) {
	for _, stall := range []time.Duration{45 * time.Millisecond, 90 * time.Millisecond, 400 * time.Millisecond, 3 * time.Second} {
		x := &Exchange{}
		x.init()
		r, _ := x.OpenRoom("lobby")
		w := &wire{}
		phone := join(t, r, "phone", KindPhone)
		phone.Listen(w, media.PCMU, media.FrameDuration)
		p := join(t, r, "agent", KindAgent)
		v, err := p.Speak(SpeakerSpec{ID: "voice", Codec: media.PCMU})
		if err != nil {
			t.Fatal(err)
		}
		said := uneven(16000)
		if err := v.Write(said); err != nil {
			t.Fatal(err)
		}
		start := time.Now().Add(time.Second)
		for beat := uint64(0); beat < 400; beat++ {
			due := start.Add(time.Duration(beat) * media.FrameDuration)
			now := due
			if stalled := start.Add(20*media.FrameDuration + stall); beat >= 20 && due.Before(stalled) {
				now = stalled // as the lane does it
			}
			p.Room().tick(now, beat)
			if behind := now.Sub(due); behind > beatStall {
				beat += uint64(behind / media.FrameDuration)
			}
		}
		packets := w.all()
		if !bytes.Contains(payloads(packets), said) {
			t.Errorf("a stall of %s: sound was lost", stall)
		}
		for i, p := range packets[1:] {
			if step := int32(p.Timestamp - packets[i].Timestamp); step < 160 || p.SequenceNumber != packets[i].SequenceNumber+1 {
				t.Errorf("a stall of %s: packet %d is %d after the one before", stall, i+1, step)
			}
		}
		phone.Leave()
		p.Leave()
	}
}

func TestNoAllocationPerSpokenBeat(t *testing.T) {
	x := &Exchange{}
	x.init()
	r, _ := x.OpenRoom("lobby")
	w := &nowhere{}
	phone := join(t, r, "phone", KindPhone)
	phone.Listen(w, media.PCMU, media.FrameDuration)
	p := join(t, r, "agent", KindAgent)
	v, err := p.Speak(SpeakerSpec{ID: "voice", Codec: media.PCMU})
	if err != nil {
		t.Fatal(err)
	}
	frame, beat, now := make([]byte, 160), uint64(0), time.Now()
	step := func() {
		_ = v.Write(frame)
		beat++
		now = now.Add(media.FrameDuration)
		p.Room().tick(now, beat)
	}
	for range 500 {
		step()
	}
	if n := testing.AllocsPerRun(500, step); n >= 1 {
		t.Errorf("%.2f allocations per beat", n)
	}
	if w.n < 900 {
		t.Errorf("only %d packets came out", w.n)
	}
	p.Leave()
	phone.Leave()
}

// A mark's callback may do whatever it likes with the voice.
func TestAMarkMayClearAndSpeak(t *testing.T) {
	withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
		p := join(t, r, "agent", KindAgent)
		var v *Speaker
		var mu sync.Mutex
		var told []string
		v, err := p.Speak(SpeakerSpec{ID: "voice", Codec: media.PCMA, Marked: func(name string) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, name)
			if name == "a" {
				v.Clear()
				_ = v.Write(make([]byte, 160))
				_ = v.Mark("c")
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		_ = v.Write(make([]byte, 80))
		_ = v.Mark("a")
		_ = v.Write(make([]byte, 80))
		_ = v.Mark("b")
		time.Sleep(time.Second)
		mu.Lock()
		defer mu.Unlock()
		if !slices.Equal(told, []string{"a", "b", "c"}) {
			t.Errorf("told %v", told)
		}
	})
	if _, err := (&Participant{}).Speak(SpeakerSpec{Codec: media.Opus}); codeOf(err) != Invalid {
		t.Errorf("a speaker of Opus: %v", err)
	}
}

// What a stall has put off comes back: a voice that is sent as it sounds is soon heard
// as early as before it, and nothing but silence is left out for that.
func TestDelayAfterAStallComesBack(t *testing.T) {
	withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
		w := &wire{}
		join(t, r, "phone", KindPhone).Listen(w, media.PCMU, media.FrameDuration)
		g := newOrator(t, r, "agent")
		word, said := uneven(1600), []byte(nil)
		for range 100 { // 200 ms of sound, 100 ms of silence
			said = append(append(said, word...), bytes.Repeat([]byte{0xFF}, 800)...)
		}
		time.Sleep(3 * time.Millisecond)
		for i := 0; i*160 < len(said); i++ {
			if i == 100 {
				time.Sleep(150 * time.Millisecond)
			}
			g.write(said[i*160 : min((i+1)*160, len(said))])
			if i < 100 || i >= 108 { // what the stall held back comes at once
				time.Sleep(20 * time.Millisecond)
			}
		}
		if waits := g.Waiting(); waits > 40*time.Millisecond {
			t.Errorf("in the end %s wait", waits)
		}
		time.Sleep(time.Second)
		if words := bytes.Count(payloads(w.all()), word); words < 98 {
			t.Errorf("%d of 100 words were heard whole", words)
		}
	})
}
