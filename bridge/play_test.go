package bridge

import (
	"math"
	"testing"
	"time"

	"github.com/roomline/roomline/media"
)

func TestAPhoneHearsWhatIsPlayedAndThenItsRoom(t *testing.T) {
	for _, c := range []struct {
		codec media.Codec
		ptime time.Duration
	}{{media.PCMU, 20 * time.Millisecond}, {media.PCMA, 30 * time.Millisecond}} {
		withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
			w := &wire{}
			sink := join(t, r, "phone", KindPhone).Listen(w, c.codec, c.ptime)
			v := newVoice(t, join(t, r, "a", KindWHIP), media.Opus, 440, 160)
			v.say(500 * time.Millisecond)
			stop, err := sink.Play(media.Sine(1000, media.NarrowbandHz, -15), 0)
			if err != nil {
				t.Fatal(err)
			}
			v.say(time.Second)
			stop()
			stop()
			v.say(time.Second)
			p := w.all()
			continuous(t, p, uint32(c.ptime*8000/time.Second))
			pcm := decoded(t, p)
			during, after := pcm[6000:11000], pcm[13600:19000]
			if db := media.ToneLevel(during, 8000, 1000); math.Abs(db+15) > 0.5 {
				t.Errorf("the tone is heard at %.1f dB, want -15", db)
			}
			if db := toneDB(during, 440); db > -60 {
				t.Errorf("the room is heard through it at %.1f dB", db)
			}
			if db := toneDB(after, 440); math.Abs(db-voiceDB) > 1 {
				t.Errorf("the room is heard again at %.1f dB, want %.1f", db, voiceDB)
			}
			if step := worstStep(pcm[12000:13600]); step > 6500 {
				t.Errorf("it ends with a step of %d", step)
			}
		})
	}
}

func TestABeepEndsByItself(t *testing.T) {
	withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
		w := &wire{}
		sink := join(t, r, "phone", KindPhone).Listen(w, media.PCMU, 0)
		if _, err := join(t, r, "b", KindWHEP).Listen(&wire{}, media.Opus, 0).Play(media.Beep(8000), 0); err == nil {
			t.Error("a browser is played to")
		}
		time.Sleep(200 * time.Millisecond)
		if _, err := sink.Play(media.Beep(media.NarrowbandHz), 300*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		p := w.all()
		continuous(t, p, 160)
		pcm := decoded(t, p)
		at := media.Onset(pcm, 8000, -30)
		if at < 1400 || at > 1900 {
			t.Fatalf("the beep begins at sample %d", at)
		}
		if db := media.Level(pcm[at+1650:]); db > -60 {
			t.Errorf("after 200 ms it sounds on at %.1f dB", db)
		}
	})
}

func TestKeysAreHeardAsTones(t *testing.T) {
	withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
		w := &wire{}
		sink := join(t, r, "phone", KindPhone).Listen(w, media.PCMU, 0)
		v := newVoice(t, join(t, r, "a", KindWHIP), media.Opus, 440, 160)
		v.say(200 * time.Millisecond)
		if err := sink.PlayKeys("1"); err != nil {
			t.Fatal(err)
		}
		if err := sink.PlayKeys("1A#"); err != nil {
			t.Fatal(err)
		}
		if err := sink.PlayKeys("x"); err == nil {
			t.Error("x passes for a key")
		}
		v.say(time.Second)
		p := w.all()
		continuous(t, p, 160)
		var d media.KeyDetector
		keys, pcm := "", decoded(t, p)
		for ; len(pcm) >= 160; pcm = pcm[160:] {
			if key, ok := d.Hear(pcm[:160]); ok {
				keys += string(key)
			}
		}
		if keys != "11A#" {
			t.Errorf("heard %q, want 11A#", keys)
		}
	})
}

// A filler gives way to the agent that was waited for: nothing of what it says is
// lost, and there is no click.
func TestAFillerYieldsToAVoice(t *testing.T) {
	for _, mixed := range []bool{false, true} {
		withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
			w := &wire{}
			sink := join(t, r, "phone", KindPhone).Listen(w, media.PCMU, 20*time.Millisecond)
			g := newOrator(t, r, "agent")
			stop, err := sink.Fill(media.Sine(700, media.NarrowbandHz, -15))
			if err != nil {
				t.Fatal(err)
			}
			if mixed {
				v := newVoice(t, join(t, r, "other", KindPhone), media.PCMA, 0, 160)
				v.say(time.Second)
				go v.say(3 * time.Second)
			}
			time.Sleep(time.Second)
			g.write(toneBytes(t, 440, 8000))
			time.Sleep(2 * time.Second)
			stop()
			time.Sleep(2 * time.Second)
			p := w.all()
			continuous(t, p, 160)
			pcm := decoded(t, p)
			at := len(pcm)
			for i := 0; i+320 < len(pcm); i += 80 {
				if toneDB(pcm[i:i+320], 440) > voiceDB-12 {
					at = i
					break
				}
			}
			if at+8300 > len(pcm) || toneDB(pcm[at+320:at+7900], 440) < voiceDB-1 {
				t.Fatalf("mixed %v: the agent is not heard whole", mixed)
			}
			if db := toneDB(pcm[at-4000:at-400], 700); db < -13 {
				t.Errorf("mixed %v: the filler was heard at %.1f dB", mixed, db)
			}
			if db := toneDB(pcm[at+400:at+4000], 700); db > -50 {
				t.Errorf("mixed %v: the filler is still heard at %.1f dB", mixed, db)
			}
			if worst, where := worstClick(pcm[at-2000:at+4000], 8000, toneFloor); worst > clickMost {
				t.Errorf("mixed %v: a click of %.2f at %d", mixed, worst, where)
			}
		})
	}
}
