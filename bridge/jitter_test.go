package bridge

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/roomline/roomline/media"
)

// begin is what a stream begins with.
type begin struct {
	seq uint16
	ts  uint32
}

// hearMixed lets a voice say a tone to a phone on the mixed road, beside somebody
// who says nothing, and returns what the phone hears. say gets the voice after its
// first two seconds.
func hearMixed(t *testing.T, b begin, say func(v *voice)) (pcm []int16) {
	t.Helper()
	return hearMixedIn(t, media.PCMU, b, say)
}

func hearMixedIn(t *testing.T, codec media.Codec, b begin, say func(v *voice)) (pcm []int16) {
	t.Helper()
	withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
		w := &wire{}
		sink := join(t, r, "phone", KindPhone).Listen(w, media.PCMU, 20*time.Millisecond)
		mute := newVoice(t, join(t, r, "b", KindWHIP), media.PCMU, 0, 160)
		v := bandVoice(t, join(t, r, "a", KindWHIP), codec, 440)
		v.seq, v.ts = b.seq, b.ts
		var wg sync.WaitGroup
		done := make(chan struct{})
		wg.Go(func() {
			time.Sleep(3 * time.Millisecond)
			for {
				select {
				case <-done:
					return
				default:
					mute.say(20 * time.Millisecond)
				}
			}
		})
		v.say(2 * time.Second)
		say(v)
		if road := sink.Road(); road != "mixed" {
			t.Errorf("the road is %s, want mixed", road)
		}
		close(done)
		wg.Wait()
		continuous(t, w.all(), 160)
		pcm = decoded(t, w.all())
	})
	return pcm
}

// oddities are what streams do in mid-call.
var oddities = []struct {
	name      string
	do        func(v *voice)
	concealed time.Duration // at most
	silence   time.Duration // that the listener is to hear
}{
	{"nothing", func(v *voice) {}, 0, 0},
	{"reordering", func(v *voice) {
		for range 20 {
			first, second := v.next(), v.next()
			v.push(second)
			time.Sleep(5 * time.Millisecond)
			v.push(first)
			time.Sleep(35 * time.Millisecond)
		}
	}, 40 * time.Millisecond, 0},
	{"duplicates", func(v *voice) {
		for range 50 {
			p := v.next()
			v.push(p)
			v.push(p)
			time.Sleep(20 * time.Millisecond)
		}
	}, 0, 0},
	{"sequence jumps ahead", func(v *voice) { v.seq += 5000 }, 0, 0},
	{"sequence jumps a little", func(v *voice) { v.seq += 500 }, 60 * time.Millisecond, 0},
	{"sequence jumps back", func(v *voice) { v.seq -= 300 }, 0, 0},
	{"time jumps ahead", func(v *voice) { v.ts += 1e6 }, 0, 0},
	{"time jumps a little", func(v *voice) { v.ts += 1600 }, 0, 50 * time.Millisecond},
	{"time jumps back", func(v *voice) { v.ts -= 1e6 }, 0, 0},
	{"time jumps back a little", func(v *voice) { v.ts -= 1600 }, 5 * time.Millisecond, 0},
	{"another SSRC", func(v *voice) { v.seq, v.ts = v.seq+12345, v.ts+987654321 }, 0, 0},
	{"packets of other lengths", func(v *voice) {
		for _, samples := range []int{80, 240, 480, 160, 320} {
			v.samples = samples
			v.say(960 * time.Millisecond)
		}
		v.samples = 160
	}, 100 * time.Millisecond, 0},
	{"pauses that the clock goes through", func(v *voice) {
		for range 5 {
			time.Sleep(400 * time.Millisecond)
			v.ts += 3200
			v.say(400 * time.Millisecond)
		}
	}, 0, 2 * time.Second},
	{"hold, and the clock stands still", func(v *voice) { time.Sleep(5 * time.Second) }, 20 * time.Millisecond, 5 * time.Second},
	{"hold, and the clock goes on", func(v *voice) {
		time.Sleep(5 * time.Second)
		v.ts += 40000
	}, 20 * time.Millisecond, 5 * time.Second},
}

func (v *voice) push(p *media.Packet) {
	p.Arrived = time.Now()
	v.src.Push(p)
}

func TestOddStreamsLeaveNothingBehind(t *testing.T) {
	for _, odd := range oddities {
		t.Run(odd.name, func(t *testing.T) {
			var before, after Hearing
			pcm := hearMixed(t, begin{}, func(v *voice) {
				before = v.src.Hearing()
				odd.do(v)
				v.say(2 * time.Second)
				after = v.src.Hearing()
			})
			if before.Buffer < time.Millisecond || before.Buffer > 21*time.Millisecond || after.Buffer > before.Buffer+2*time.Millisecond {
				t.Errorf("sound waits %v before and %v two seconds after", before.Buffer, after.Buffer)
			}
			if c := after.Concealed - before.Concealed; c > odd.concealed {
				t.Errorf("%v concealed, want %v at most", c, odd.concealed)
			}
			clean(t, pcm)
			// Sound fades out in 60 ms, and the length of a silence may be changed.
			if s := silence(pcm[1600:]); s > odd.silence || s < odd.silence*4/5-60*time.Millisecond {
				t.Errorf("%v of silence, want %v", s, odd.silence)
			}
		})
	}
}

func TestStartValuesAreNotSpecial(t *testing.T) {
	for _, b := range []begin{{}, {seq: 65535}, {ts: 1<<32 - 100}, {seq: 65535, ts: 1<<32 - 160}, {seq: 1, ts: 1 << 31}} {
		pcm := hearMixed(t, b, func(v *voice) { v.say(time.Second) })
		clean(t, pcm)
		if s := silence(pcm[1600:]); s > 0 {
			t.Errorf("%+v: %v of silence", b, s)
		}
	}
}

func TestLossOnTheMixedRoadIsConcealedAndCountedOnce(t *testing.T) {
	for _, codec := range []media.Codec{media.PCMU, media.G722} {
		var before, after Hearing
		hearMixedIn(t, codec, begin{}, func(v *voice) {
			listener := join(t, v.src.owner.room, "direct too", KindPhone)
			listener.Listen(&wire{}, media.PCMU, 20*time.Millisecond)
			v.say(time.Second)
			before = v.src.Hearing()
			for i := range 500 {
				if p := v.next(); i%20 > 0 {
					v.push(p)
				}
				time.Sleep(20 * time.Millisecond)
			}
			after = v.src.Hearing()
		})
		// Whoever waits for the missing packet waits for the next one too, a little.
		if c := after.Concealed - before.Concealed; c < 460*time.Millisecond || c > 560*time.Millisecond {
			t.Errorf("%s: of 10 s that lack 500 ms %v are concealed", codec, c)
		}
		if h := after.Heard - before.Heard; h < 9900*time.Millisecond || h > 10100*time.Millisecond {
			t.Errorf("%s: of 10 s %v are heard", codec, h)
		}
		if after.Buffer > 65*time.Millisecond {
			t.Errorf("%s: sound waits %v", codec, after.Buffer)
		}
	}
}

func TestAnnouncedPausesLeaveNothingBehindOnTheMixedRoad(t *testing.T) {
	for codec, says := range map[media.Codec]media.Packet{
		media.PCMU: {Codec: media.ComfortNoise, Payload: []byte{60}},
		media.Opus: {Codec: media.Opus, Payload: []byte{11 << 3}}, // a frame of 20 ms that holds nothing
	} {
		var before, after Hearing
		hearMixedIn(t, codec, begin{}, func(v *voice) {
			before = v.src.Hearing()
			for range 8 {
				says.SequenceNumber, says.Timestamp = v.seq, v.ts
				v.push(&says)
				v.seq++
				time.Sleep(410 * time.Millisecond)
				v.ts += uint32(410 * codec.ClockRate() / 1000)
				v.say(600 * time.Millisecond)
			}
			v.say(2 * time.Second)
			after = v.src.Hearing()
		})
		t.Logf("%s: %v, %v; concealed %v", codec, before.Buffer, after.Buffer, after.Concealed-before.Concealed)
		if after.Buffer > before.Buffer+2*time.Millisecond {
			t.Errorf("%s: sound waits %v before the pauses and %v after them", codec, before.Buffer, after.Buffer)
		}
		// Packets fall otherwise between the beats after each pause, by up to 10 ms.
		if c := after.Concealed - before.Concealed; c > 80*time.Millisecond {
			t.Errorf("%s: %v concealed", codec, c)
		}
	}
}

func TestPacketsThatAreOvertakenAreWaitedForOnTheMixedRoad(t *testing.T) {
	for _, ms := range []float64{30, 60, 100} {
		type arrival struct {
			after time.Duration
			p     *media.Packet
		}
		var before, after Hearing
		hearMixed(t, begin{}, func(v *voice) {
			var all []arrival
			delay := uniform(ms)
			for n := range 1500 {
				all = append(all, arrival{time.Duration(n)*20*time.Millisecond + time.Duration(delay(n)*125e3), v.next()})
			}
			slices.SortFunc(all, func(a, b arrival) int { return int(a.after - b.after) })
			begun := time.Now()
			for n, a := range all {
				if n == 250 {
					before = v.src.Hearing()
				}
				time.Sleep(time.Until(begun.Add(a.after)))
				v.push(a.p)
			}
			after = v.src.Hearing()
		})
		share := (after.Concealed - before.Concealed).Seconds() / (after.Heard - before.Heard).Seconds()
		t.Logf("each packet by up to %.0f ms: sound waits %v, %.2f %% concealed", ms, after.Buffer, 100*share)
		if share > 0.01 { // 3 % at 60 ms and 22 % at 100 if only the next two were waited for
			t.Errorf("each packet by up to %.0f ms: %.2f %% concealed", ms, 100*share)
		}
	}
}

// clean fails if a voice's tone is heard with a click: a packet left out bends it
// by 6000 and more, G.711 by 1,024.
func clean(t *testing.T, pcm []int16) {
	t.Helper()
	if b := bend(pcm[1600:]); b > 1400 {
		t.Errorf("a click: the tone bends by %d", b)
	}
}

// silence is how much of a voice's tone is not there.
func silence(pcm []int16) (length time.Duration) {
	for ; len(pcm) >= 80; pcm = pcm[80:] {
		if media.Level(pcm[:80]) < voiceLevel-20 {
			length += 10 * time.Millisecond
		}
	}
	return length
}
