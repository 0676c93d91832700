package main

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/phone"
	"github.com/roomline/roomline/web/chromium"
)

// steady makes a microphone that says one tone for ever.
func steady(t *testing.T, freqHz float64) chromium.Option {
	t.Helper()
	pcm := make([]int16, 10*media.NarrowbandHz)
	media.Sine(freqHz, media.NarrowbandHz, -20).Fill(pcm)
	return chromium.Saying(writeWAVFile(t, pcm, media.NarrowbandHz))
}

// roads waits until everybody of a kind in a room is on a road.
func (h *house) roads(room, kind, road string) {
	h.t.Helper()
	h.until("every "+kind+" in "+room+" is on the road "+road, func() bool {
		for _, p := range h.everybody(room) {
			if p.Kind == kind && p.Road != road {
				return false
			}
		}
		return true
	})
}

// TestEveryoneHearsEveryoneElseAndNobodyThemselves: two phones and a browser, each
// with a tone of its own.
func TestEveryoneHearsEveryoneElseAndNobodyThemselves(t *testing.T) {
	const annHz, bobHz, danaHz = 440, 620, 910
	h := startHouse(t, "")
	dana := h.visits("lobby", "dana", bridge.RoleDispatcher, false, "", steady(t, danaHz))
	p := softphone(t, phone.Config{})
	ann, bob := h.calls(p, "lobby", phone.DialOptions{From: "ann"}), h.calls(p, "lobby", phone.DialOptions{From: "bob"})
	ann.Speak(phone.Tone(annHz, -20))
	bob.Speak(phone.Tone(bobHz, -20))
	annID, bobID := dana.arrives("ann").ID, dana.arrives("bob").ID
	h.roads("lobby", bridge.KindPhone, "mixed")

	dana.startHearing(annID, bobID)
	// The jitter buffers of the mix may still be settling, which turns the phase
	// of a tone: each tone has to be heard for one whole second.
	both := func(call *phone.Call, other float64) func() bool {
		return func() bool {
			pcm := call.Heard()
			pcm = pcm[max(0, len(pcm)-media.NarrowbandHz):]
			a, b := media.ToneLevel(pcm, media.NarrowbandHz, other), media.ToneLevel(pcm, media.NarrowbandHz, danaHz)
			return math.Abs(a+20) < 1 && math.Abs(b+20) < 1
		}
	}
	h.until("ann hears bob and dana", both(ann, bobHz))
	h.until("bob hears ann and dana", both(bob, annHz))
	page := dana.heardAll(3*time.Second, annID, bobID)
	annHeard, bobHeard := &heard{rateHz: media.NarrowbandHz, pcm: ann.Heard()}, &heard{rateHz: media.NarrowbandHz, pcm: bob.Heard()}
	annHeard.lacks(t, "ann's phone", annHz)
	bobHeard.lacks(t, "bob's phone", bobHz)
	page[annID].has(t, "the page, from ann", annHz)
	page[annID].lacks(t, "the page, from ann", bobHz)
	page[annID].lacks(t, "the page, from ann", danaHz)
	page[bobID].has(t, "the page, from bob", bobHz)
	page[bobID].lacks(t, "the page, from bob", annHz)
	page[bobID].lacks(t, "the page, from bob", danaHz)
	page["us"].has(t, "the page's microphone", danaHz)

	// The page shows who speaks, each in their own row.
	dana.Wait(t, speaks(annID, true)+" && "+speaks(bobID, true))
	ann.Speak(nil)
	dana.Wait(t, speaks(annID, false)+" && "+speaks(bobID, true))
	ann.Speak(phone.Tone(annHz, -20))
	bob.Speak(nil)
	dana.Wait(t, speaks(annID, true)+" && "+speaks(bobID, false))
	dana.Clean(t, h.url())
}

// has expects a second with the tone at -20 dBov, within 1 dB.
func (h *heard) has(t *testing.T, who string, freqHz float64) {
	t.Helper()
	best := math.Inf(-1)
	for _, level := range h.levels(freqHz) {
		if math.Abs(level+20) < math.Abs(best+20) {
			best = level
		}
	}
	t.Logf("%s: %.0f Hz at %.1f dBov", who, freqHz, best)
	if math.Abs(best+20) > 1 {
		t.Errorf("%s: %.0f Hz at %.1f dBov, want -20 within 1 dB", who, freqHz, best)
	}
}

// lacks expects the tone at least 50 dB below what was said. A second in which
// another tone begins, or turns its phase, has a little of every frequency.
func (h *heard) lacks(t *testing.T, who string, freqHz float64) {
	t.Helper()
	levels := h.levels(freqHz)
	slices.Sort(levels)
	usual, loudest := levels[len(levels)/2], levels[len(levels)-1]
	t.Logf("%s: %.0f Hz at %.1f dBov, at most %.1f", who, freqHz, usual, loudest)
	if usual > -70 || loudest > -60 {
		t.Errorf("%s: %.0f Hz at %.1f dBov, at most %.1f; want at least 50 dB below what was said", who, freqHz, usual, loudest)
	}
}

// levels are the tone's in every second.
func (h *heard) levels(freqHz float64) (all []float64) {
	for at := len(h.pcm) - h.rateHz; at >= 0; at -= h.rateHz {
		all = append(all, media.ToneLevel(h.pcm[at:at+h.rateHz], h.rateHz, freqHz))
	}
	return all
}

// speaks is whether the page shows somebody as speaking.
func speaks(id string, on bool) string {
	not := ""
	if !on {
		not = "!"
	}
	return not + `document.querySelector('[data-test="participant"][data-id="` + id + `"]').classList.contains("speaking")`
}

// TestASecondVoiceComesAndGoesUnheard: while one speaks to a phone, a second
// source comes and goes: the phone's stream goes on without a seam.
func TestASecondVoiceComesAndGoesUnheard(t *testing.T) {
	t.Run("a phone speaks", func(t *testing.T) {
		h := startHouse(t, "")
		speaker := h.calls(softphone(t, phone.Config{}), "lobby", phone.DialOptions{From: "speaker"})
		speaker.Speak(phone.Tone(440, -20))
		h.comesAndGoes(t, speaker.Sendings)
	})
	t.Run("a browser speaks", func(t *testing.T) {
		h := startHouse(t, "")
		speaker := h.enter("lobby", "speaker")
		speaker.Speak(phone.Tone(440, -20))
		h.comesAndGoes(t, speaker.Sendings)
	})
}

func (h *house) comesAndGoes(t *testing.T, sendings func() []phone.Packet) {
	t.Helper()
	net := newWire()
	listener := h.calls(softphone(t, phone.Config{Listen: net.listen}), "lobby", phone.DialOptions{From: "listener"})
	road := func(want string) {
		t.Helper()
		h.until("the listener is on the road "+want, func() bool { p, _ := h.present("lobby", "listener"); return p.Road == want })
	}
	road("direct")
	hears(t, "the listener", listener.Heard, 440, -20)
	began := time.Now()
	second := h.calls(softphone(t, phone.Config{}), "lobby", phone.DialOptions{From: "second"})
	road("mixed")
	hears(t, "the listener", listener.Heard, 440, -20)
	second.Hangup()
	road("direct")
	hears(t, "the listener", listener.Heard, 440, -20)

	streams := net.streams(false)
	if len(streams) != 1 {
		t.Fatalf("the phone got %d SSRCs, want one for the whole call", len(streams))
	}
	packets := streams[0].packets
	unbroken(t, packets, sendings())
	packets = slices.DeleteFunc(packets, func(p wirePacket) bool { return p.at.Before(began) })
	noClick(t, stream{packets}, 440, -20)
}

// unbroken expects numbers that follow each other, and no gap over 40 ms: neither
// in the timestamps nor, beyond what the speaker's packets show this machine to
// hesitate, in arrival.
func unbroken(t *testing.T, packets []wirePacket, sent []phone.Packet) {
	t.Helper()
	var longest, apart, hesitated time.Duration
	for i := 1; i < len(sent); i++ {
		hesitated = max(hesitated, sent[i].At.Sub(sent[i-1].At))
	}
	for i := 1; i < len(packets); i++ {
		was, is := packets[i-1], packets[i]
		if is.sequence != was.sequence+1 {
			t.Errorf("packet %d: sequence number %d after %d", i, is.sequence, was.sequence)
		}
		step := samplesAt(int(int32(is.timestamp-was.timestamp)), media.NarrowbandHz)
		if step <= 0 {
			t.Errorf("packet %d: timestamp %d after %d", i, is.timestamp, was.timestamp)
		}
		longest, apart = max(longest, step-media.FrameDuration), max(apart, is.at.Sub(was.at))
	}
	t.Logf("%d packets; longest gap by timestamp %s, arrivals at most %s apart, sendings %s", len(packets), longest, apart, hesitated)
	if longest > 40*time.Millisecond {
		t.Errorf("a gap of %s in the timestamps", longest)
	}
	if apart > 40*time.Millisecond+hesitated {
		t.Errorf("%s without a packet", apart)
	}
}

// noClick expects a steady tone without jumps: no step between two samples much
// larger than the tone's own, which a cross-fade may add a little to; and without
// silence of 40 ms. Where the timestamps leave a hole (when this machine hesitates
// at the seam), a phone conceals: what is beside it is no step.
func noClick(t *testing.T, s stream, freqHz, levelDB float64) {
	t.Helper()
	peak := 32768 * math.Sqrt2 * math.Pow(10, levelDB/20)
	tone := peak * 2 * math.Sin(math.Pi*freqHz/media.NarrowbandHz)
	worst, silence, longest := 0.0, 0, 0
	pcm := s.sound().pcm
	for i := range s.packets {
		sound := s.packets[i].sound()
		if i > 0 && s.packets[i].timestamp == s.packets[i-1].timestamp+uint32(len(s.packets[i-1].payload)) {
			before := s.packets[i-1].sound()
			sound = append(before[len(before)-1:], sound...)
		}
		for j := 1; j < len(sound); j++ {
			worst = max(worst, math.Abs(float64(sound[j])-float64(sound[j-1])))
		}
	}
	for at := 0; at+40 <= len(pcm); at += 40 {
		if silence += 40; media.Level(pcm[at:at+40]) > levelDB-20 {
			silence = 0
		}
		longest = max(longest, silence)
	}
	t.Logf("%.1f s of sound; largest step %.0f, the tone itself has %.0f; longest silence %s", float64(len(pcm))/media.NarrowbandHz, worst, tone, samplesAt(longest, media.NarrowbandHz))
	if worst > 1.3*tone {
		t.Errorf("a click: a step of %.0f, want at most %.0f", worst, 1.3*tone)
	}
	if samplesAt(longest, media.NarrowbandHz) > 40*time.Millisecond {
		t.Errorf("silence of %s", samplesAt(longest, media.NarrowbandHz))
	}
}
