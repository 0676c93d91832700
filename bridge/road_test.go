package bridge

import (
	"context"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/transcode"
)

// wire is a media.Writer that keeps what was written.
type wire struct {
	mu      sync.Mutex
	packets []media.Packet
	at      []time.Time
}

func (w *wire) WritePacket(p *media.Packet) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	q := *p
	q.Payload = append([]byte(nil), p.Payload...)
	w.packets = append(w.packets, q)
	w.at = append(w.at, time.Now())
	return nil
}

func (w *wire) all() []media.Packet {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]media.Packet(nil), w.packets...)
}

// voice publishes a sine as a stream of packets.
type voice struct {
	t       *testing.T
	src     *Source
	sound   func(sample int) int16 // instead of the sine; nil: the sine
	codec   media.Codec
	freq    float64
	samples int // per packet
	rateHz  int
	enc     transcode.Encoder
	hiss    float64 // RMS of noise under the sine
	dice    *rand.Rand
	n       int // samples made
	seq     uint16
	ts      uint32
}

func newVoice(t *testing.T, p *Participant, codec media.Codec, freq float64, samples int) *voice {
	t.Helper()
	return newVoiceAt(t, p, codec, freq, samples, 8000)
}

func newVoiceAt(t *testing.T, p *Participant, codec media.Codec, freq float64, samples, rateHz int) *voice {
	t.Helper()
	s, err := p.Publish(TrackSpec{ID: "voice", Codec: codec})
	if err != nil {
		t.Fatal(err)
	}
	v := &voice{t: t, src: s, freq: freq, seq: 65533, ts: math.MaxUint32 - 900, dice: rand.New(rand.NewPCG(1, 2))}
	v.recode(codec, samples, rateHz)
	return v
}

// recode makes the voice go on in another codec.
func (v *voice) recode(codec media.Codec, samples, rateHz int) {
	v.t.Helper()
	enc, err := transcode.NewEncoder(codec, rateHz, transcode.DefaultOpus())
	if err != nil {
		v.t.Fatal(err)
	}
	v.t.Cleanup(enc.Close)
	if v.rateHz > 0 {
		v.n = v.n * rateHz / v.rateHz
	}
	v.codec, v.samples, v.rateHz, v.enc = codec, samples, rateHz, enc
}

func (v *voice) next() *media.Packet {
	pcm := make([]int16, v.samples)
	for i := range pcm {
		if v.sound != nil {
			pcm[i] = v.sound(v.n + i)
			continue
		}
		pcm[i] = int16(6000*math.Sin(2*math.Pi*v.freq*float64(v.n+i)/float64(v.rateHz)) + v.hiss*v.dice.NormFloat64())
	}
	out := make([]byte, transcode.MaxPayload)
	n, err := v.enc.Encode(pcm, out)
	if err != nil {
		v.t.Fatal(err)
	}
	p := &media.Packet{Codec: v.codec, SequenceNumber: v.seq, Timestamp: v.ts, Payload: out[:n], Arrived: time.Now()}
	v.n += v.samples
	v.seq++
	v.ts += uint32(v.samples * v.codec.ClockRate() / v.rateHz)
	return p
}

func (v *voice) say(d time.Duration) {
	step := time.Duration(v.samples) * time.Second / time.Duration(v.rateHz)
	for range int(d / step) {
		v.src.Push(v.next())
		time.Sleep(step)
	}
}

// decoded turns a stream back into sound by its timestamps, silence where packets miss.
func decoded(t *testing.T, packets []media.Packet) []int16 {
	t.Helper()
	return decodedAt(t, packets, 8000)
}

func decodedAt(t *testing.T, packets []media.Packet, rateHz int) []int16 {
	t.Helper()
	var pcm []int16
	if len(packets) == 0 {
		return nil
	}
	dec, err := transcode.NewDecoder(packets[0].Codec, rateHz)
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	first := packets[0].Timestamp
	buf := make([]int16, 1920)
	for _, p := range packets {
		if !p.Codec.Audio() {
			continue
		}
		at := int(p.Timestamp-first) * rateHz / p.Codec.ClockRate()
		n, err := dec.Decode(p.Payload, buf)
		if err != nil {
			t.Fatal(err)
		}
		for len(pcm) < at {
			pcm = append(pcm, 0)
		}
		pcm = append(pcm[:min(at, len(pcm))], buf[:n]...)
	}
	return pcm
}

// toneDB is the level of one frequency in dB relative to full scale.
func toneDB(pcm []int16, freq float64) float64 {
	var re, im float64
	for i, v := range pcm {
		w := 2 * math.Pi * freq * float64(i) / 8000
		h := 0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/float64(len(pcm))) // Hann
		re += h * float64(v) * math.Cos(w)
		im += h * float64(v) * math.Sin(w)
	}
	amplitude := 4 * math.Hypot(re, im) / float64(len(pcm))
	return 20 * math.Log10(amplitude/32768+1e-9)
}

// voiceDB is the level of a voice's sine at the source.
var voiceDB = 20 * math.Log10(6000.0/32768)

// withRoom runs f in a bubble of simulated time with a live Exchange.
func withRoom(t *testing.T, f func(t *testing.T, x *Exchange, r *Room)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		x := &Exchange{}
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() { x.Run(ctx) })
		defer wg.Wait()
		defer cancel()
		r, err := x.OpenRoom("lobby")
		if err != nil {
			t.Fatal(err)
		}
		f(t, x, r)
	})
}

func join(t *testing.T, r *Room, identity, kind string) *Participant {
	t.Helper()
	p, err := r.Join(JoinSpec{Identity: identity, Kind: kind, Role: RoleGuest})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// continuous fails unless every packet follows the one before in sequence and
// by its own length in time.
func continuous(t *testing.T, packets []media.Packet, samples uint32) {
	t.Helper()
	for i := 1; i < len(packets); i++ {
		a, b := packets[i-1], packets[i]
		if b.SequenceNumber != a.SequenceNumber+1 {
			t.Fatalf("packet %d: sequence %d after %d", i, b.SequenceNumber, a.SequenceNumber)
		}
		if step := b.Timestamp - a.Timestamp; step%samples != 0 || step == 0 || step > 5*samples {
			t.Fatalf("packet %d: timestamp step %d", i, step)
		}
	}
}

func TestDirectPhoneToListenerKeepsToneAndLevel(t *testing.T) {
	for _, c := range []struct {
		name     string
		from, to media.Codec
	}{
		{"PCMU to Opus", media.PCMU, media.Opus}, {"PCMA to Opus", media.PCMA, media.Opus},
		{"Opus to PCMU", media.Opus, media.PCMU}, {"PCMU to PCMA", media.PCMU, media.PCMA}, {"PCMU untouched", media.PCMU, media.PCMU},
	} {
		t.Run(c.name, func(t *testing.T) {
			withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
				w := &wire{}
				sink := join(t, r, "b", KindWHEP).Listen(w, c.to, 0)
				v := newVoice(t, join(t, r, "a", KindWHIP), c.from, 440, 160)
				v.say(time.Second)
				if road := sink.Road(); road != "direct" {
					t.Errorf("road %s, want direct", road)
				}
				p := w.all()
				if len(p) != 50 {
					t.Fatalf("%d packets, want 50: one out for one in", len(p))
				}
				continuous(t, p, uint32(160*c.to.ClockRate()/8000))
				if db := toneDB(decoded(t, p)[2000:], 440); math.Abs(db-voiceDB) > 1 {
					t.Errorf("tone at %.1f dB, want %.1f", db, voiceDB)
				}
			})
		})
	}
}

func TestDirectLossStaysAGapTowardsOpus(t *testing.T) {
	withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
		w := &wire{}
		join(t, r, "b", KindWHEP).Listen(w, media.Opus, 0)
		v := newVoice(t, join(t, r, "a", KindWHIP), media.PCMU, 440, 160)
		v.say(200 * time.Millisecond)
		v.next() // lost
		time.Sleep(20 * time.Millisecond)
		v.say(200 * time.Millisecond)
		time.Sleep(100 * time.Millisecond)
		p := w.all()
		if len(p) != 20 {
			t.Fatalf("%d packets, want 20", len(p))
		}
		gap := p[10].SequenceNumber - p[9].SequenceNumber
		if step := p[10].Timestamp - p[9].Timestamp; gap != 2 || step != 1920 {
			t.Errorf("over the loss sequence went on by %d and time by %d, want 2 and 1920", gap, step)
		}
	})
}

func TestDirectLossIsMendedTowardsAPhone(t *testing.T) {
	withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
		w := &wire{}
		join(t, r, "b", KindPhone).Listen(w, media.PCMU, 20*time.Millisecond)
		v := newVoice(t, join(t, r, "a", KindWHIP), media.Opus, 440, 160)
		v.say(200 * time.Millisecond)
		v.next()
		time.Sleep(20 * time.Millisecond)
		before := len(w.all())
		v.src.Push(v.next())
		time.Sleep(20 * time.Millisecond)
		v.src.Push(v.next())
		if got := len(w.all()) - before; got != 3 {
			t.Fatalf("%d packets after the gap was given up, want the mended one and two", got)
		}
		v.say(200 * time.Millisecond)
		p := w.all()
		for i := 1; i < len(p); i++ {
			if p[i].SequenceNumber != p[i-1].SequenceNumber+1 {
				t.Fatalf("sequence broke at %d", i)
			}
		}
		if db := toneDB(decoded(t, p[8:14]), 440); db < voiceDB-4 {
			t.Errorf("around the loss the tone fell to %.1f dB from %.1f", db, voiceDB)
		}
	})
}

func TestThreePeopleHearEachOtherAndNotThemselves(t *testing.T) {
	withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
		freqs := []float64{600, 900, 1300}
		codecs := []media.Codec{media.PCMU, media.PCMA, media.Opus}
		kinds := []string{KindPhone, KindPhone, KindWHIP}
		var wires []*wire
		var voices []*voice
		for i, k := range kinds {
			p := join(t, r, k, k)
			if kinds[i] == KindPhone {
				p, _ = r.Join(JoinSpec{Identity: "+15550100", CallID: NewID("call"), Kind: k, Role: RoleGuest})
			}
			w := &wire{}
			p.Listen(w, codecs[i], 0)
			wires, voices = append(wires, w), append(voices, newVoice(t, p, codecs[i], freqs[i], 160))
		}
		for range 150 {
			for _, v := range voices {
				v.src.Push(v.next())
			}
			time.Sleep(20 * time.Millisecond)
		}
		for i, w := range wires {
			pcm := decoded(t, w.all())
			pcm = pcm[len(pcm)-8000:]
			for j, f := range freqs {
				db, within := toneDB(pcm, f), 1.0
				if codecs[i] == media.Opus {
					within = 3 // after seconds of two steady sines its encoder takes one for noise
				}
				switch {
				case i == j && db > voiceDB-50:
					t.Errorf("%d hears itself at %.1f dB", i, db)
				case i != j && math.Abs(db-voiceDB) > within:
					t.Errorf("%d hears %d at %.1f dB, want %.1f", i, j, db, voiceDB)
				}
			}
		}
	})
}

func TestOneSourceBecomesTwoAndOneAgain(t *testing.T) {
	withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
		w := &wire{}
		sink := join(t, r, "phone", KindPhone).Listen(w, media.PCMU, 20*time.Millisecond)
		a := newVoice(t, join(t, r, "a", KindWHIP), media.Opus, 400, 160)
		b := newVoice(t, join(t, r, "b", KindWHIP), media.Opus, 1000, 160)
		var second sync.WaitGroup
		second.Go(func() {
			time.Sleep(1003 * time.Millisecond)
			b.say(2 * time.Second)
		})
		a.say(2 * time.Second)
		if road := sink.Road(); road != "mixed" {
			t.Errorf("with two sources the road is %s", road)
		}
		a.say(5 * time.Second)
		second.Wait()
		if road := sink.Road(); road != "direct" {
			t.Errorf("with one source again the road is %s", road)
		}
		p := w.all()
		continuous(t, p, 160)
		pcm := decoded(t, p)
		for at := 800; at+320 < len(pcm)-800; at += 80 { // every 40 ms window holds the tone
			if db := toneDB(pcm[at:at+320], 400); db < voiceDB-6 {
				t.Errorf("at %d ms the first voice falls to %.1f dB", at/8, db)
			}
		}
		if got := worstStep(pcm[800:]); got > 9000 { // two sines of 6000 step by at most 7,300 between samples
			t.Errorf("a step of %d between two samples: a click", got)
		}
		if db := toneDB(pcm[1800*8:2800*8], 1000); math.Abs(db-voiceDB) > 1 {
			t.Errorf("the second voice is at %.1f dB, want %.1f", db, voiceDB)
		}
	})
}

func worstStep(pcm []int16) int {
	worst := 0
	for i := 1; i < len(pcm); i++ {
		worst = max(worst, int(math.Abs(float64(pcm[i])-float64(pcm[i-1]))))
	}
	return worst
}

func TestAPhoneThatChangesItsLawIsHeardOn(t *testing.T) {
	withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
		phone := join(t, r, "phone", KindPhone)
		v := newVoice(t, phone, media.PCMU, 400, 160)
		browser, listener := join(t, r, "browser", KindBrowser), join(t, r, "other", KindPhone)
		wires := map[string]*wire{"a browser on PCMU": {}, "a browser on Opus": {}, "a phone on PCMU": {}}
		v.src.Forward(wires["a browser on PCMU"], media.PCMU, browser)
		v.src.Forward(wires["a browser on Opus"], media.Opus, browser)
		listener.Listen(wires["a phone on PCMU"], media.PCMU, 0)
		v.say(time.Second)
		v.recode(media.PCMA, 160, 8000)
		v.say(time.Second)
		for name, w := range wires {
			p := w.all()
			if len(p) < 99 || len(p) > 101 {
				t.Errorf("%s got %d packets, want 100", name, len(p))
				continue
			}
			continuous(t, p, p[1].Timestamp-p[0].Timestamp)
			if db := toneDB(decoded(t, p)[8800:15200], 400); math.Abs(db-voiceDB) > 1 {
				t.Errorf("%s hears %.1f dB after the change, want %.1f", name, db, voiceDB)
			}
		}
	})
}

func TestAPhoneAlwaysGetsRTP(t *testing.T) {
	withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
		w := &wire{}
		sink := join(t, r, "phone", KindPhone).Listen(w, media.PCMA, 20*time.Millisecond)
		time.Sleep(time.Second)
		if n := len(w.all()); n < 48 || n > 51 {
			t.Errorf("%d packets in a second of an empty room", n)
		}
		if road := sink.Road(); road != "paced" {
			t.Errorf("road %s", road)
		}
		v := newVoice(t, join(t, r, "a", KindWHIP), media.Opus, 440, 160)
		v.say(time.Second)
		time.Sleep(time.Second) // it falls silent
		v.ts += 48000           // as a browser's clock does
		v.say(time.Second)
		p := w.all()
		continuous(t, p, 160)
		if n := len(p); n < 190 || n > 203 {
			t.Errorf("%d packets in four seconds", n)
		}
	})
}

func TestDigitsToAPhone(t *testing.T) {
	withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
		w := &wire{}
		sink := join(t, r, "phone", KindPhone).Listen(w, media.PCMU, 20*time.Millisecond)
		v := newVoice(t, join(t, r, "a", KindWHIP), media.Opus, 440, 160)
		v.say(200 * time.Millisecond)
		if err := sink.SendDigits("1#"); err != nil {
			t.Fatal(err)
		}
		if err := sink.SendDigits("1x"); err == nil {
			t.Error("x passes for a key")
		}
		v.say(time.Second)
		keys, starts := "", map[uint32]bool{}
		for i, p := range w.all() {
			if i > 0 && p.SequenceNumber != w.packets[i-1].SequenceNumber+1 {
				t.Fatalf("sequence broke at %d", i)
			}
			if p.Codec != media.TelephoneEvent {
				continue
			}
			if !starts[p.Timestamp] {
				starts[p.Timestamp] = true
				if !p.Marker {
					t.Error("the first packet of a key has no marker")
				}
				keys += string("0123456789*#"[p.Payload[0]])
			}
		}
		if keys != "1#" {
			t.Errorf("keys %q on the wire, want 1#", keys)
		}
		if last := w.packets[len(w.packets)-1]; last.Codec != media.PCMU {
			t.Error("sound does not come back after the keys")
		}
	})
}

func TestPeerDefect02LongPacketsHaveNoInjectedSilence(t *testing.T) {
	for _, samples := range []int{80, 160, 240, 320, 480} {
		for _, mixed := range []bool{false, true} {
			withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
				w := &wire{}
				join(t, r, "phone", KindPhone).Listen(w, media.PCMU, 20*time.Millisecond)
				v := newVoice(t, join(t, r, "a", KindPhone), media.PCMA, 400, samples)
				if mixed {
					other := newVoice(t, join(t, r, "b", KindPhone), media.PCMA, 1200, 160)
					var wg sync.WaitGroup
					wg.Go(func() { other.say(2 * time.Second) })
					defer wg.Wait()
				}
				v.say(2 * time.Second)
				pcm := decoded(t, w.all())
				for at := 4000; at+320 < len(pcm)-1600; at += 160 {
					if db := toneDB(pcm[at:at+320], 400); db < voiceDB-3 {
						t.Fatalf("%d ms packets, mixed %v: %.1f dB at %d ms", samples/8, mixed, db, at/8)
					}
				}
			})
		}
	}
}

func TestPeerDefect07StallLeavesNothingBehind(t *testing.T) {
	withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
		join(t, r, "phone", KindPhone).Listen(&wire{}, media.PCMU, 0)
		v := newVoice(t, join(t, r, "a", KindPhone), media.PCMU, 440, 160)
		other := newVoice(t, join(t, r, "b", KindPhone), media.PCMU, 900, 160)
		var wg sync.WaitGroup
		wg.Go(func() { other.say(9 * time.Second) })
		v.say(2 * time.Second)
		before := v.leastDepthMS()
		time.Sleep(50 * time.Millisecond) // the stall; its packets come in a burst
		for range 3 {
			v.src.Push(v.next())
		}
		v.say(5 * time.Second)
		if after := v.leastDepthMS(); after > before+11 {
			t.Errorf("jitter buffer was %d ms deep before the stall and is %d ms after it", before, after)
		}
		wg.Wait()
	})
}

// leastDepthMS says half a second and returns the least that waited in the
// jitter buffer meanwhile: delay that is of no use.
func (v *voice) leastDepthMS() int {
	least := playoutSize
	for range 25 {
		v.say(20 * time.Millisecond)
		v.src.mu.Lock()
		least = min(least, v.src.playout.depth()/8)
		v.src.mu.Unlock()
	}
	return least
}
