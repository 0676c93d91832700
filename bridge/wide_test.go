package bridge

import (
	"math"
	"sync"
	"testing"
	"time"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/rtp"
)

// bands are codecs with the rates that they are heard at.
var bands = map[media.Codec]int{media.PCMU: 8000, media.PCMA: 8000, media.G722: 16000, media.Opus: 16000}

// voiceLevel is the level of a voice's sine in dBov.
var voiceLevel = voiceDB - 3.01

func bandVoice(t *testing.T, p *Participant, codec media.Codec, freq float64) *voice {
	t.Helper()
	return newVoiceAt(t, p, codec, freq, bands[codec]/50, bands[codec])
}

// closeTo fails unless the tone is within db of what was said. Opus is a
// perceptual codec: it is not held to half a decibel on a lone high tone.
func closeTo(t *testing.T, what string, pcm []int16, rateHz int, freq, db float64) {
	t.Helper()
	if got := media.ToneLevel(pcm, rateHz, freq); math.Abs(got-voiceLevel) > db {
		t.Errorf("%s: %.0f Hz at %.2f dBov, want %.2f", what, freq, got, voiceLevel)
	}
}

func TestWidebandReachesWhoeverCanHearIt(t *testing.T) {
	withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
		speaker := join(t, r, "phone", KindPhone)
		v := bandVoice(t, speaker, media.G722, 5000)
		wires := map[string]*wire{}
		listen := func(name string, codec media.Codec) {
			wires[name] = &wire{}
			join(t, r, name, KindPhone).Listen(wires[name], codec, 20*time.Millisecond)
		}
		listen("G722", media.G722)
		listen("PCMU", media.PCMU)
		listen("opus", media.Opus)
		wires["browser"] = &wire{}
		v.src.Forward(wires["browser"], media.Opus, join(t, r, "browser", KindBrowser))
		v.say(3 * time.Second)
		for name, w := range wires {
			p := w.all()
			rate := bands[p[0].Codec]
			pcm := decodedAt(t, p, rate)
			pcm = pcm[len(pcm)-rate:]
			if name == "PCMU" {
				// G.722's own noise, 36 dB down, is all that is left beside it.
				if db := media.ToneLevel(pcm, rate, 3000); db > voiceLevel-50 {
					t.Errorf("on the narrowband phone 5 kHz comes back as 3 kHz at %.1f dBov", db)
				}
				if db := media.Level(pcm); db > voiceLevel-35 {
					t.Errorf("on the narrowband phone 5 kHz leaves %.1f dBov", db)
				}
				continue
			}
			closeTo(t, name, pcm, rate, 5000, 0.5)
		}
	})
}

func TestWidebandAndNarrowbandAreMixedForBoth(t *testing.T) {
	withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
		wires := map[media.Codec]*wire{media.G722: {}, media.PCMU: {}, media.Opus: {}}
		for codec, w := range wires {
			join(t, r, "listener", KindPhone).Listen(w, codec, 20*time.Millisecond)
		}
		wide := bandVoice(t, join(t, r, "a", KindPhone), media.G722, 5000)
		narrow := bandVoice(t, join(t, r, "b", KindPhone), media.PCMU, 700)
		var wg sync.WaitGroup
		wg.Go(func() { narrow.say(3 * time.Second) })
		wide.say(3 * time.Second)
		wg.Wait()
		for codec, w := range wires {
			rate, p := bands[codec], w.all()
			continuous(t, p, uint32(codec.ClockRate()/50))
			pcm := decodedAt(t, p, rate)
			pcm = pcm[rate : 2*rate]
			within := 0.5
			if codec == media.Opus {
				within = 3
			}
			closeTo(t, codec.String(), pcm, rate, 700, within)
			if codec != media.PCMU {
				closeTo(t, codec.String(), pcm, rate, 5000, within)
			} else if db := media.ToneLevel(pcm, rate, 3000); db > voiceLevel-50 {
				t.Errorf("5 kHz comes back as 3 kHz at %.1f dBov", db)
			}
		}
	})
}

func TestSameCodecIsNotTouched(t *testing.T) {
	for _, codec := range []media.Codec{media.G722, media.Opus} {
		withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
			w := &wire{}
			phone, browser := join(t, r, "phone", KindPhone), join(t, r, "browser", KindWHIP)
			phone.Listen(w, codec, 20*time.Millisecond)
			v := bandVoice(t, browser, codec, 1000)
			var said [][]byte
			for range 50 {
				p := v.next()
				said = append(said, p.Payload)
				v.src.Push(p)
				time.Sleep(20 * time.Millisecond)
			}
			heard := w.all()
			if len(heard) < len(said) {
				t.Fatalf("%s: %d packets of %d", codec, len(heard), len(said))
			}
			heard = heard[len(heard)-len(said):] // silence may have come before
			for i := range said {
				if string(heard[i].Payload) != string(said[i]) {
					t.Fatalf("%s: packet %d was touched", codec, i)
				}
			}
		})
	}
}

func TestAPhoneThatChangesBetweenBandsIsHeardOn(t *testing.T) {
	steps := []media.Codec{media.PCMU, media.G722, media.Opus, media.PCMA, media.Opus, media.G722}
	withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
		phone := join(t, r, "phone", KindPhone)
		own := &wire{}
		sink := phone.Listen(own, steps[0], 20*time.Millisecond)
		v := bandVoice(t, phone, steps[0], 400)
		other := bandVoice(t, join(t, r, "a", KindWHIP), media.Opus, 700)
		wires := map[media.Codec]*wire{media.PCMU: {}, media.G722: {}}
		for codec, w := range wires {
			join(t, r, "listener", KindWHEP).Listen(w, codec, 20*time.Millisecond)
		}
		var wg sync.WaitGroup
		wg.Go(func() { time.Sleep(7 * time.Millisecond); other.say(6 * time.Second) })
		for i, codec := range steps {
			if i > 0 {
				sink.Recode(codec, 20*time.Millisecond)
				v.src.Recode(codec)
				v.ts = uint32(i) * 1e8 // the phone's clock starts anew with the codec
				v.recode(codec, bands[codec]/50, bands[codec])
			}
			v.say(time.Second)
		}
		wg.Wait()
		for codec, w := range wires { // they hear both voices, mixed
			p := w.all()
			continuous(t, p, 160)
			pcm := decodedAt(t, p, bands[codec])
			rate := bands[codec]
			for second := range len(steps) {
				part := pcm[second*rate+rate/4 : second*rate+rate*9/10]
				if db := media.ToneLevel(part, rate, 400); math.Abs(db-voiceLevel) > 2 {
					t.Errorf("a listener on %s hears %s at %.1f dBov, want %.1f", codec, steps[second], db, voiceLevel)
				}
			}
			if step := worstStep(pcm[rate/2:]); step > 6500*8000/rate+2500 {
				t.Errorf("a listener on %s hears a step of %d", codec, step)
			}
		}
		at := 0
		packets := own.all()
		for i, p := range packets[1:] {
			if p.SequenceNumber != packets[i].SequenceNumber+1 {
				t.Errorf("the phone's sequence breaks at %d", i)
			}
			if p.Codec != packets[i].Codec {
				if step := int32(p.Timestamp - packets[i].Timestamp); step <= 0 || step > 5000 {
					t.Errorf("the phone's timestamps step by %d from %s to %s", step, packets[i].Codec, p.Codec)
				}
				pcm := decodedAt(t, packets[at:i+1], bands[packets[i].Codec])
				closeTo(t, "the phone on "+packets[i].Codec.String(), pcm[len(pcm)/3:], bands[packets[i].Codec], 700, 2)
				at = i + 1
			}
		}
		if at == 0 {
			t.Error("the phone's codec never changed")
		}
	})
}

func TestNoClickWhereWidebandRoadsChange(t *testing.T) {
	for _, c := range []struct{ from, to media.Codec }{
		{media.Opus, media.G722}, {media.PCMU, media.G722}, {media.G722, media.G722}, {media.G722, media.PCMU}, {media.G722, media.Opus},
	} {
		withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
			w, rate := &wire{}, bands[c.to]
			sink := join(t, r, "phone", KindPhone).Listen(w, c.to, 20*time.Millisecond)
			a := bandVoice(t, join(t, r, "a", KindWHIP), c.from, 400)
			b := bandVoice(t, join(t, r, "b", KindWHIP), media.G722, 1000)
			var second sync.WaitGroup
			second.Go(func() {
				time.Sleep(1003 * time.Millisecond)
				b.say(2 * time.Second)
			})
			a.say(7 * time.Second)
			second.Wait()
			if road := sink.Road(); road != "direct" {
				t.Errorf("at the end the road is %s", road)
			}
			pcm := decodedAt(t, w.all(), rate)
			for at := rate / 10; at+rate/25 < len(pcm)-rate/10; at += rate / 100 {
				// Coders and resamplers move the sound by 1 to 2 ms, so that its phase is no measure.
				if db := media.Level(pcm[at : at+rate/25]); db < voiceLevel-3 {
					t.Errorf("%s to %s: at %d ms the sound falls to %.1f dBov", c.from, c.to, at*1000/rate, db)
				}
			}
			// Two sines of 6000 step by at most 1 rad · f/rate each.
			most := int(2 * math.Pi * (400 + 1000) * 6000 / float64(rate) * 1.25)
			if step := worstStep(pcm[rate/10:]); step > most {
				t.Errorf("%s to %s: a step of %d between two samples, want %d at most", c.from, c.to, step, most)
			}
		})
	}
}

func TestAWidebandListenerWhoComesDoesNotDisturbTheOthers(t *testing.T) {
	withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
		w := &wire{}
		join(t, r, "phone", KindPhone).Listen(w, media.PCMU, 20*time.Millisecond)
		v := bandVoice(t, join(t, r, "a", KindWHIP), media.Opus, 400)
		v.say(time.Second)
		late := join(t, r, "late", KindPhone)
		late.Listen(&wire{}, media.G722, 20*time.Millisecond)
		v.say(time.Second)
		late.Leave()
		v.say(time.Second)
		p := w.all()
		continuous(t, p, 160)
		pcm := decoded(t, p)
		for at := 800; at+320 < len(pcm)-800; at += 80 {
			// Its resamplers move the sound by 2 ms, so that its phase is no measure.
			if db := media.Level(pcm[at : at+320]); db < voiceLevel-1.5 {
				t.Errorf("at %d ms the voice falls to %.1f dBov", at/8, db)
			}
		}
		if step := worstStep(pcm[800:]); step > 2400 { // the sine itself steps by 1,900
			t.Errorf("a step of %d between two samples", step)
		}
	})
}

func TestAnOpusPhoneGetsNoMoreThanItAsksFor(t *testing.T) {
	for _, mixed := range []bool{false, true} {
		withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
			w := &wire{}
			sink := join(t, r, "phone", KindPhone).Listen(w, media.Opus, 20*time.Millisecond)
			sink.Ask(rtp.Opus{MaxPlaybackHz: 8000, MaxBitrate: 12000})
			v := bandVoice(t, join(t, r, "a", KindPhone), media.G722, 1000)
			if mixed {
				other := bandVoice(t, join(t, r, "b", KindPhone), media.PCMA, 300)
				var wg sync.WaitGroup
				wg.Go(func() { other.say(2 * time.Second) })
				defer wg.Wait()
			}
			v.say(2 * time.Second)
			bytes, packets := 0, w.all()
			for _, p := range packets[len(packets)-50:] {
				bytes += len(p.Payload)
				if config := p.Payload[0] >> 3; config > 3 { // RFC 6716 table 2: 0 to 3 are narrowband SILK
					t.Fatalf("mixed %v: an Opus packet of configuration %d, want narrowband", mixed, config)
				}
			}
			if bytes*8 > 13500 {
				t.Errorf("mixed %v: %d bit/s, want 12,000", mixed, bytes*8)
			}
		})
	}
}

func TestAG722PhoneHearsABrowserInFull(t *testing.T) {
	withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
		wide, narrow := &wire{}, &wire{}
		join(t, r, "wide", KindPhone).Listen(wide, media.G722, 20*time.Millisecond)
		join(t, r, "narrow", KindPhone).Listen(narrow, media.PCMU, 20*time.Millisecond)
		browser := join(t, r, "browser", KindBrowser)
		v := newVoiceAt(t, browser, media.Opus, 5000, 960, 48000)
		v.say(2 * time.Second)
		pcm := decodedAt(t, wide.all(), 16000)
		closeTo(t, "the G.722 phone", pcm[8000:], 16000, 5000, 0.5)
		pcm = decoded(t, narrow.all())
		if db := media.ToneLevel(pcm[4000:], 8000, 3000); db > voiceLevel-50 {
			t.Errorf("on the narrowband phone 5 kHz comes back as 3 kHz at %.1f dBov", db)
		}
	})
}
