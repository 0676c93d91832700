package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/phone"
)

// baresipPhone is a baresip that answers every call, says a tone, and records both sides.
type baresipPhone struct {
	*program
	addr, dir string
}

// baresipPort finds a loopback port whose next one is free too: baresip takes
// that for TLS, whether it is asked to or not.
func baresipPort() (addr string, err error) {
	for range 20 {
		if addr, err = freePort(); err != nil {
			return "", err
		}
		ap := netip.MustParseAddrPort(addr)
		l, busy := net.Listen("tcp", netip.AddrPortFrom(ap.Addr(), ap.Port()+1).String())
		if busy == nil {
			l.Close()
			return addr, nil
		}
	}
	return "", errors.New("no two free ports in a row on 127.0.0.1")
}

// more are modules, like opus.so, commands, like /dial URI, and lines of its
// configuration.
func startBaresip(t *testing.T, freqHz, levelDB float64, account string, more ...string) *baresipPhone {
	t.Helper()
	addr, err := baresipPort()
	if err != nil {
		t.Fatal(err)
	}
	b := &baresipPhone{addr: addr, dir: t.TempDir()}
	pcm := make([]int16, 60*media.NarrowbandHz)
	phone.Tone(freqHz, levelDB).Read(pcm)
	mic, err := os.Create(filepath.Join(b.dir, "mic.wav"))
	if err != nil {
		t.Fatal(err)
	}
	if err := media.WriteWAV(mic, pcm, media.NarrowbandHz); err != nil {
		t.Fatal(err)
	}
	mic.Close()
	modules := filepath.Dir(baresipModule(t))
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
`, addr, modules, mic.Name(), b.dir)
	args := []string{"-4", "-f", b.dir, "-t", "60"}
	for _, m := range more {
		switch {
		case strings.HasPrefix(m, "/"):
			args = append(args, "-e", m)
		case strings.HasSuffix(m, ".so"):
			config += "module " + m + "\n"
		default:
			config += m + "\n"
		}
	}
	for name, text := range map[string]string{
		"config": config, "contacts": "",
		"accounts": fmt.Sprintf("<sip:desk@%s>;regint=0;%s\n", addr, account),
	} {
		if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b.program = startProgram(t, b.dir, "baresip", args...)
	eventually(t, "baresip is ready", 15*time.Second, func() bool { return strings.Contains(b.out.all(), "baresip is ready.") })
	return b
}

// baresipModule finds where Debian keeps baresip's modules.
func baresipModule(t *testing.T) string {
	t.Helper()
	tool(t, "baresip")
	found, _ := filepath.Glob("/usr/lib/baresip/modules/g711.so")
	if more, _ := filepath.Glob("/usr/lib/*/baresip/modules/g711.so"); len(found) == 0 {
		found = more
	}
	if len(found) == 0 {
		t.Fatal("baresip's modules are not where they are expected")
	}
	return found[0]
}

// recorded returns what baresip heard; the file is whole after the call.
func (b *baresipPhone) recorded(t *testing.T) (pcm []int16) {
	t.Helper()
	eventually(t, "baresip has written what it heard", 10*time.Second, func() bool {
		files, _ := filepath.Glob(filepath.Join(b.dir, "dump-*-dec.wav"))
		if len(files) != 1 {
			return false
		}
		f, err := os.Open(files[0])
		if err != nil {
			return false
		}
		defer f.Close()
		pcm, _, err = media.ReadWAV(f)
		return err == nil && len(pcm) > 0
	})
	return pcm
}

func TestOutboundCallBringsBaresipIntoARoom(t *testing.T) {
	desk := startBaresip(t, 440, -20, "answermode=auto")
	_, port, _ := net.SplitHostPort(desk.addr)
	h := startHouse(t, fmt.Sprintf(`
trunks:
  - {name: desks, outbound: {servers: ["127.0.0.1:%s"]}}
routes:
  - {name: desks, from_room: true, to: "sip:*", trunk: desks}
`, port))
	events := h.follow()
	guest := h.enter("lobby", "ann")
	guest.Speak(phone.Tone(700, -18))

	rec := h.dial(map[string]any{"to": "sip:desk@127.0.0.1:" + port, "room": "lobby", "from": "ann"})
	if rec.State != bridge.StateQueued && rec.State != bridge.StateDialing || rec.Direction != bridge.Outbound || rec.Trunk != "desks" || rec.Room != "lobby" {
		t.Errorf("created %+v", rec)
	}
	live := h.awaitState(rec.ID, bridge.StateActive)
	if live.AnsweredAt == nil || live.Codec != "PCMU" && live.Codec != "PCMA" || live.SIPCallID == "" {
		t.Errorf("live %+v", live)
	}
	hears(t, "the room", guest.Heard, 440, -20)
	desk.hasHeardFor(t, h, rec.ID, 2*time.Second)

	if status := h.ask("DELETE", "/v1/calls/"+rec.ID, nil, nil); status != 204 {
		t.Errorf("hang up: status %d", status)
	}
	c := h.cdr(rec.ID)
	if c.Cause != bridge.CauseNormal || c.DurationMS < 1500 || c.Room != "lobby" || c.Direction != bridge.Outbound || c.Quality == nil || c.Quality.PacketsLost != 0 {
		t.Errorf("CDR %+v, quality %+v", c, c.Quality)
	}
	if got := events.of(rec.ID); !ordered(got, "call.created", "call.ringing", "participant.joined", "call.answered", "participant.left", "call.ended") &&
		!ordered(got, "call.created", "participant.joined", "call.answered", "participant.left", "call.ended") {
		t.Errorf("events %v", got)
	}
	pcm := desk.recorded(t)
	if len(pcm) < 3*media.NarrowbandHz/2 {
		t.Fatalf("baresip heard %d samples", len(pcm))
	}
	freq, level, ok := phone.FindTone(pcm[len(pcm)-media.NarrowbandHz:])
	if !ok || freq < 698 || freq > 702 || level < -19 || level > -17 {
		t.Errorf("baresip heard %.0f Hz at %.1f dBov (a tone: %v)", freq, level, ok)
	}
}

// hasHeardFor waits until the gateway has sent a call so much sound.
func (b *baresipPhone) hasHeardFor(t *testing.T, h *house, id string, d time.Duration) {
	t.Helper()
	h.until("the phone was sent sound", func() bool {
		q := h.call(id).Quality
		return q != nil && q.PacketsSent >= uint64(d/media.FrameDuration)
	})
}

// ordered reports whether want is in got in this order, other things between.
func ordered(got []string, want ...string) bool {
	for _, w := range want {
		i := slices.Index(got, w)
		if i < 0 {
			return false
		}
		got = got[i+1:]
	}
	return true
}

func TestBaresipWithoutACommonCodecEndsWithItsOwnCause(t *testing.T) {
	desk := startBaresip(t, 440, -20, "answermode=auto;audio_codecs=pcma")
	h := startHouse(t, fmt.Sprintf(`
trunks:
  - {name: desks, outbound: {servers: ["%s"]}, codecs: [PCMU]}
routes:
  - {name: desks, from_room: true, to: "sip:*", trunk: desks}
`, desk.addr))
	rec := h.dial(map[string]any{"to": "sip:desk@" + desk.addr, "room": "lobby"})
	c := h.cdr(rec.ID)
	if c.Cause != bridge.CauseIncompatible || c.Reason == "" || c.SIPCode != 488 || c.AnsweredAt != nil {
		t.Errorf("CDR %+v", c)
	}
}
