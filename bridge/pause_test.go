package bridge

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/transcode"
)

// sayDTX says d as a browser in discontinuous transmission does: of packets that
// hold nothing only the first is sent. It returns how many packets were.
func (v *voice) sayDTX(d time.Duration) (sent int) {
	empty := false
	for range int(d / v.packetTime()) {
		p := v.next()
		if nothing := len(p.Payload) <= 2; nothing && empty {
			v.seq--
		} else {
			v.src.Push(p)
			empty = nothing
			sent++
		}
		time.Sleep(v.packetTime())
	}
	return sent
}

// levels returns the lowest and the highest level of 100 ms in pcm.
func levels(pcm []int16) (low, high float64) {
	low, high = 0, -200
	for ; len(pcm) >= 800; pcm = pcm[800:] {
		db := media.Level(pcm[:800])
		low, high = min(low, db), max(high, db)
	}
	return low, high
}

// hissDB is the level of white noise with an RMS.
func hissDB(rms float64) float64 { return 20 * math.Log10(rms/32768) }

func TestAPauseOfOpusSoundsLikeTheLine(t *testing.T) {
	for _, mixed := range []bool{false, true} {
		for _, rateHz := range []int{8000, 16000} {
			name := fmt.Sprintf("mixed %v, %d Hz", mixed, rateHz)
			withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
				w := &wire{}
				phone := join(t, r, "phone", KindPhone)
				phone.Listen(w, media.PCMU, 20*time.Millisecond)
				v := newVoiceAt(t, join(t, r, "a", KindBrowser), media.Opus, 0, rateHz/50, rateHz)
				settings := transcode.DefaultOpus()
				settings.DTX = true
				v.enc, _ = transcode.NewEncoder(media.Opus, rateHz, settings)
				defer v.enc.Close()
				v.hiss = 20
				if mixed {
					quiet := newVoice(t, join(t, r, "b", KindPhone), media.PCMA, 0, 160)
					done := make(chan struct{})
					go func() { defer close(done); quiet.say(12 * time.Second) }()
					defer func() { <-done }()
				}
				v.freq = 400
				v.say(time.Second)
				v.freq = 0
				sent := v.sayDTX(8 * time.Second)
				if sent > 250 {
					t.Errorf("%s: %d of 400 packets were sent: that is no discontinuous transmission", name, sent)
				}
				v.unbroken(name, w, time.Now().Add(-6*time.Second))
				p := w.all()
				continuous(t, p, 160)
				pcm := decoded(t, p)
				low, high := levels(pcm[len(pcm)-6*8000:])
				want := hissDB(20) - 3*float64(rateHz/8000-1) // the upper half of the band is not heard
				if low < want-6 || high > want+4 {
					t.Errorf("%s: the pause sounds at %.1f to %.1f dBov, the line at %.1f", name, low, high, want)
				}
				if c := v.src.Hearing().Concealed; !mixed && c > 0 {
					t.Errorf("%s: %v count as made up", name, c)
				}
				v.freq = 400
				v.say(time.Second)
				pcm = decoded(t, w.all())
				if db := toneDB(pcm[len(pcm)-4000:], 400); math.Abs(db-voiceDB) > 1 {
					t.Errorf("%s: after the pause the voice is at %.1f dB", name, db)
				}
			})
		}
	}
}

// hush sends a packet of comfort noise and nothing for d.
func (v *voice) hush(d time.Duration, sid ...byte) {
	v.src.Push(&media.Packet{Codec: media.ComfortNoise, SequenceNumber: v.seq, Timestamp: v.ts, Payload: sid, Arrived: time.Now()})
	v.seq++
	v.ts += uint32(d * 8000 / time.Second)
	v.n += int(d * time.Duration(v.rateHz) / time.Second)
	time.Sleep(d)
}

func TestComfortNoiseIsHeard(t *testing.T) {
	for _, c := range []struct {
		name     string
		from, to media.Codec
		kind     string
		mixed    bool
	}{
		{"PCMU to a phone", media.PCMU, media.PCMA, KindPhone, false},
		{"PCMU untouched", media.PCMU, media.PCMU, KindPhone, false},
		{"G722 to a phone", media.G722, media.PCMA, KindPhone, false},
		{"PCMU to G722", media.PCMU, media.G722, KindPhone, false},
		{"PCMU to Opus", media.PCMU, media.Opus, KindWHEP, false},
		{"PCMU in a mix", media.PCMU, media.PCMU, KindPhone, true},
	} {
		withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
			w := &wire{}
			join(t, r, "phone", c.kind).Listen(w, c.to, 0)
			rateHz := rateOf(c.from, true)
			v := newVoiceAt(t, join(t, r, "a", KindPhone), c.from, 400, rateHz/50, rateHz)
			if c.mixed {
				quiet := newVoice(t, join(t, r, "b", KindPhone), media.PCMA, 0, 160)
				done := make(chan struct{})
				go func() { defer close(done); quiet.say(12 * time.Second) }()
				defer func() { <-done }()
			}
			v.say(time.Second)
			v.hush(4*time.Second, 50)
			v.hush(2*time.Second, 60)
			rate := 8000
			if c.to == media.G722 {
				rate = 16000
			}
			pcm := decodedAt(t, w.all(), rate)
			first, second := pcm[len(pcm)-5*rate:len(pcm)-3*rate], pcm[len(pcm)-rate:]
			if c.mixed { // after two seconds without a packet, the other one is heard alone
				first, second = pcm[len(pcm)-5*rate-rate/2:len(pcm)-4*rate-rate/4], nil
			}
			for _, part := range []struct {
				pcm  []int16
				want float64
			}{{first, -50}, {second, -60}} {
				low, high := levels(part.pcm)
				if part.pcm != nil && (low < part.want-4 || high > part.want+3) {
					t.Errorf("%s: the pause sounds at %.1f to %.1f dBov, want %.0f", c.name, low, high, part.want)
				}
			}
			if made := v.src.Hearing().Concealed; !c.mixed && made > 0 {
				t.Errorf("%s: %v count as made up", c.name, made)
			}
			n := len(w.all())
			v.say(time.Second)
			if got := len(w.all()) - n; got < 49 || got > 53 {
				t.Errorf("%s: %d packets in the second after the pause", c.name, got)
			}
			if c.to == media.G722 {
				return // toneDB knows 8 kHz alone
			}
			pcm = decoded(t, w.all())
			if db := toneDB(pcm[len(pcm)-4000:], 400); math.Abs(db-voiceDB) > 1 {
				t.Errorf("%s: after the pause the voice is at %.1f dB", c.name, db)
			}
		})
	}
}

func TestNobodyMutedIsMadeUp(t *testing.T) {
	withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
		w := &wire{}
		join(t, r, "phone", KindPhone).Listen(w, media.PCMU, 20*time.Millisecond)
		a := join(t, r, "a", KindBrowser)
		v := newVoice(t, a, media.Opus, 400, 160)
		v.say(time.Second)
		a.Mute(true)
		time.Sleep(2 * time.Second)
		a.Mute(false)
		v.ts += 2 * 48000
		v.say(time.Second)
		if h := v.src.Hearing(); h.Concealed > 0 {
			t.Errorf("%v were made up", h.Concealed)
		}
		continuous(t, w.all(), 160)
	})
}

func TestDiscontinuousTransmissionSendsNothingInPauses(t *testing.T) {
	for _, mixed := range []bool{false, true} {
		withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
			x.Opus = transcode.DefaultOpus()
			x.Opus.DTX = true
			w := &wire{}
			join(t, r, "trunk", KindPhone).Listen(w, media.Opus, 0)
			v := newVoice(t, join(t, r, "a", KindPhone), media.PCMU, 400, 160)
			v.hiss = 10
			if mixed {
				quiet := newVoice(t, join(t, r, "b", KindPhone), media.PCMA, 0, 160)
				done := make(chan struct{})
				go func() { defer close(done); quiet.say(8 * time.Second) }()
				defer func() { <-done }()
			}
			v.say(time.Second)
			v.freq = 0
			v.say(5 * time.Second)
			spoke := len(w.all())
			v.freq = 400
			v.say(time.Second)
			p := w.all()
			if spoke > 50+150 {
				t.Errorf("mixed %v: %d packets in a second of speech and five of pause", mixed, spoke)
			}
			if length := p[len(p)-1].Timestamp - p[0].Timestamp; length < 48000*69/10 || length > 48000*71/10 {
				t.Errorf("mixed %v: time went on by %d ms in 7 s", mixed, length/48)
			}
			quiet := 0
			for i := 1; i < len(p); i++ {
				step := p[i].Timestamp - p[i-1].Timestamp
				if p[i].SequenceNumber != p[i-1].SequenceNumber+1 {
					t.Fatalf("mixed %v: sequence broke at %d", mixed, i)
				}
				if step > 960 {
					quiet++
				}
				if step > 960 && !p[i].Marker || step > 48000/2 {
					t.Errorf("mixed %v: packet %d after %d ms: marker %v", mixed, i, step/48, p[i].Marker)
				}
			}
			if quiet < 5 {
				t.Errorf("mixed %v: only %d pauses on the wire", mixed, quiet)
			}
			sound := decoded(t, p[len(p)-40:])
			if db := toneDB(sound[len(sound)-4000:], 400); math.Abs(db-voiceDB) > 1 {
				t.Errorf("mixed %v: after the pause the voice is at %.1f dB", mixed, db)
			}
		})
	}
}
