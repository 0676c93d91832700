package main

import (
	"fmt"
	"math"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/zaf/g711"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/web/chromium"
)

const (
	callerHz = 1000.0
	pageHz   = 700.0
	mostLag  = 800 * time.Millisecond // on a machine that does much else
)

var (
	callerSays = []string{"billing question", "cancel my order"}
	pageSays   = []string{"opening hours", "talk to an operator"}
)

// TestRealPhonesAndAPageHearEachOther is the main job on real clients: SIPp, then
// baresip, call into a room in which Chromium is through the page. Both sides say
// tone bursts and sentences.
func TestRealPhonesAndAPageHearEachOther(t *testing.T) {
	net := newWire()
	h := startHouse(t, "", func(s *settings) { s.Listen = net.listen })
	said := speechWith(t, callerHz, "en-us+klatt2", callerSays...)
	microphone := writeWAVFile(t, speechWith(t, pageHz, "en-us+klatt2", pageSays...), media.NarrowbandHz)
	dana := h.visits("lobby", "dana", bridge.RoleDispatcher, true, "", chromium.Saying(microphone))
	loop := samplesAt(len(said), media.NarrowbandHz) + 2*time.Second

	t.Run("SIPp", func(t *testing.T) {
		sipp := h.sippSpeaks(t, said)
		p := dana.arrives("+15550101")
		in, out := dana.talksWith(t, net, p, loop)
		dana.hangsUp(p)
		sipp.wait(t, 20*time.Second)
		in.judge(t, "SIPp to the page")
		out.judge(t, "the page to SIPp")
	})
	t.Run("baresip", func(t *testing.T) {
		net.forget()
		b := startBaresipSpeaking(t, said, "sip:lobby@"+h.ua.Addr().String())
		p := dana.arrives("baresip")
		in, out := dana.talksWith(t, net, p, loop)
		dana.hangsUp(p)
		in.judge(t, "baresip to the page")
		out.judge(t, "the page to baresip")
		tones, speech := b.heard(t).understood(pageHz)
		if len(tones) < bursts-1 {
			t.Errorf("baresip has recorded %d bursts", len(tones))
		}
		recognises(t, "baresip's own recording", speech, pageSays...)
	})
	dana.Clean(t, h.url())
	for _, c := range h.cdrs(2) {
		if c.Cause != bridge.CauseNormal || c.Room != "lobby" || c.AnsweredAt == nil {
			t.Errorf("CDR %+v", c)
		}
	}
}

// way is one direction of a conversation: the sound at both ends.
type way struct {
	from, to *heard
	toneHz   float64
	phrases  []string
}

// talksWith records both directions between the page and a caller's wire, which
// is the gateway's socket: the phone's own buffers are not in the delays. Those
// of Chromium are. To the page: our encoder's look-ahead of 6.5 ms, its jitter
// buffer, which grows on a busy machine, and a block of 10 ms to play. From it:
// the packet of 20 ms that it fills, and the 6.5 ms of its own encoder.
func (v *visitor) talksWith(t *testing.T, net *wire, p bridge.ParticipantRecord, d time.Duration) (in, out *way) {
	t.Helper()
	all := v.hear(d, p.ID)
	t.Logf("Chromium's jitter buffer holds %.1f ms on average", chromium.Evaluate[float64](t, v.Page, "ear.buffered()"))
	coming, going := net.streams(false), net.streams(true)
	if len(coming) != 1 || len(going) != 1 {
		t.Fatalf("%d streams came from the phone, %d went to it", len(coming), len(going))
	}
	in = &way{coming[0].sound(), all[p.ID], callerHz, callerSays}
	out = &way{all["us"], going[0].sound(), pageHz, pageSays}
	return in, out
}

// judge looks for the tone at the level that it was said with, for the words,
// and for the delay.
func (w *way) judge(t *testing.T, name string) {
	t.Helper()
	said, _ := w.from.understood(w.toneHz)
	heard, speech := w.to.understood(w.toneHz)
	var delays []time.Duration
	var levels []string
	for _, s := range said {
		for _, h := range heard {
			if d := h.at.Sub(s.at); d > -20*time.Millisecond && d < mostLag {
				delays = append(delays, d.Round(100*time.Microsecond))
				levels = append(levels, fmt.Sprintf("%.1f→%.1f", s.level, h.level))
				if math.Abs(s.level-h.level) > 1 {
					t.Errorf("%s: a tone of %.2f dBov is heard at %.2f, want within 1 dB", name, s.level, h.level)
				}
			}
		}
	}
	if len(delays) < bursts-1 {
		t.Errorf("%s: of %d bursts said and %d heard, %d are one within %s", name, len(said), len(heard), len(delays), mostLag)
	}
	t.Logf("%s: %.0f Hz at %s dBov; delay %s, of %v", name, w.toneHz, strings.Join(levels, ", "), median(delays), delays)
	recognises(t, name, speech, w.phrases...)
}

// hangsUp ends a participant's call by the buttons of the page.
func (v *visitor) hangsUp(p bridge.ParticipantRecord) {
	v.t.Helper()
	v.Do(v.t, chromedp.Click(chromedp.CSS(row(p.ID, "hangup"))))
	v.Click(v.t, "hangup-confirm")
	v.h.until(p.Identity+" is gone", func() bool { _, still := v.h.present(v.room, p.Identity); return !still })
	v.Wait(v.t, fmt.Sprintf(`!document.querySelector('[data-test="participant"][data-id=%q]')`, p.ID))
}

// sippSpeaks has SIPp call the lobby and say something again and again.
func (h *house) sippSpeaks(t *testing.T, pcm []int16) *program {
	t.Helper()
	dir := t.TempDir()
	raw := make([]byte, len(pcm))
	for i, s := range pcm {
		raw[i] = g711.EncodeUlawFrame(s)
	}
	if err := os.WriteFile(filepath.Join(dir, "speech.ul"), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	scenario, err := filepath.Abs("testdata/speech.xml")
	if err != nil {
		t.Fatal(err)
	}
	local, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(local)
	n, _ := strconv.Atoi(port)
	return startProgram(t, dir, "sipp", h.ua.Addr().String(), "-sf", scenario, "-s", "lobby", "-m", "1", "-i", "127.0.0.1", "-p", port,
		"-mi", "127.0.0.1", "-mp", strconv.Itoa(n+2), "-nostdin", "-timeout", "90")
}

// caller is a baresip that calls, speaks and records what it hears.
type caller struct {
	*program
	dir string
}

func startBaresipSpeaking(t *testing.T, pcm []int16, target string) *caller {
	t.Helper()
	addr, err := baresipPort()
	if err != nil {
		t.Fatal(err)
	}
	c := &caller{dir: t.TempDir()}
	var long []int16
	for len(long) < 90*media.NarrowbandHz {
		long = append(long, pcm...)
	}
	config := fmt.Sprintf(`sip_listen %s
net_interface 127.0.0.1
module_path %s
audio_source aufile,%s
audio_player aubridge,sink
audio_alert aubridge,alert
module g711.so
module aufile.so
module aubridge.so
module sndfile.so
snd_path %s
module_tmp account.so
module_app menu.so
`, addr, filepath.Dir(baresipModule(t)), writeWAVFile(t, long, media.NarrowbandHz), c.dir)
	for name, text := range map[string]string{"config": config, "contacts": "", "accounts": "<sip:baresip@127.0.0.1>;regint=0\n"} {
		if err := os.WriteFile(filepath.Join(c.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c.program = startProgram(t, c.dir, "baresip", "-4", "-f", c.dir, "-e", "/dial "+target, "-t", "90")
	return c
}

// heard returns what baresip has recorded, once the call is over.
func (c *caller) heard(t *testing.T) *heard {
	t.Helper()
	h := &heard{origins: make([]origin, 1)}
	eventually(t, "baresip has written what it heard", 10*time.Second, func() bool {
		files, _ := filepath.Glob(filepath.Join(c.dir, "dump-*-dec.wav"))
		if len(files) != 1 {
			return false
		}
		f, err := os.Open(files[0])
		if err != nil {
			return false
		}
		defer f.Close()
		h.pcm, h.rateHz, err = media.ReadWAV(f)
		return err == nil && len(h.pcm) > 0
	})
	return h
}
