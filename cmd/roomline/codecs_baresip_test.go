package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/phone"
)

// wideBaresip are codecs with what baresip makes of a tone of -20 dBov when it
// converts it from 8000 Hz to the codec's rate.
var wideBaresip = []struct {
	codec, module, account string
	level                  float64
}{
	{"G722", "g722.so", "audio_codecs=g722", -19.2},
	{"opus", "opus.so", "audio_codecs=opus", -21.3},
}

// narrowSound lets baresip read and play files of 8000 Hz whatever the codec.
var narrowSound = []string{"ausrc_srate 8000", "auplay_srate 8000", "ausrc_channels 1", "auplay_channels 1"}

func TestBaresipWithG722AndOpusIsHeardBothWays(t *testing.T) {
	for _, c := range wideBaresip {
		t.Run(c.codec+" out", func(t *testing.T) {
			desk := startBaresip(t, 440, -20, "answermode=auto;"+c.account, append(narrowSound, c.module)...)
			h := startHouse(t, fmt.Sprintf(`
trunks:
  - {name: desks, outbound: {servers: ["%s"]}, codecs: [G722, opus, PCMU]}
routes:
  - {name: desks, from_room: true, to: "sip:*", trunk: desks}
`, desk.addr))
			guest := h.enter("lobby", "ann")
			guest.Speak(phone.Tone(700, -18))
			rec := h.dial(map[string]any{"to": "sip:desk@" + desk.addr, "room": "lobby", "from": "ann"})
			h.awaitState(rec.ID, bridge.StateActive)
			hears(t, "the room", guest.Heard, 440, c.level)
			desk.hasHeardFor(t, h, rec.ID, 2*time.Second)
			h.endsWith(t, desk, rec.ID, c.codec)
		})
		t.Run(c.codec+" in", func(t *testing.T) {
			h := startHouse(t, `
trunks:
  - {name: desks, addresses: [127.0.0.1], codecs: [G722, opus, PCMU]}
routes:
  - {name: all, trunk: desks, room: lobby}
`)
			guest := h.enter("lobby", "ann")
			guest.Speak(phone.Tone(700, -18))
			desk := startBaresip(t, 440, -20, c.account, append(narrowSound, c.module, "/dial sip:lobby@"+h.ua.Addr().String())...)
			hears(t, "the room", guest.Heard, 440, c.level)
			id := h.onlyCall(t)
			desk.hasHeardFor(t, h, id, 2*time.Second)
			h.endsWith(t, desk, id, c.codec)
		})
	}
}

// endsWith hangs up and proves the codec and what baresip heard.
func (h *house) endsWith(t *testing.T, desk *baresipPhone, id, codec string) {
	t.Helper()
	if status := h.ask("DELETE", "/v1/calls/"+id, nil, nil); status != 204 {
		t.Errorf("hang up: status %d", status)
	}
	if c := h.cdr(id); c.Codec != codec || c.Quality == nil || c.Quality.PacketsLost != 0 {
		t.Errorf("CDR %+v, quality %+v", c, c.Quality)
	}
	pcm, rateHz := desk.decoded(t)
	if len(pcm) < rateHz {
		t.Fatalf("baresip heard %d samples at %d Hz", len(pcm), rateHz)
	}
	freq, level, ok := phone.FindTone(pcm[len(pcm)-rateHz/2:]) // as if it were at 8000 Hz
	freq *= float64(rateHz) / media.NarrowbandHz
	if !ok || freq < 697 || freq > 703 || level < -19 || level > -17 {
		t.Errorf("baresip heard %.0f Hz at %.1f dBov (a tone: %v)", freq, level, ok)
	}
}

// decoded returns the left channel of what baresip heard, at the codec's rate; the
// file is whole after the call.
func (b *baresipPhone) decoded(t *testing.T) (pcm []int16, rateHz int) {
	t.Helper()
	eventually(t, "baresip has written what it heard", 10*time.Second, func() bool {
		files, _ := filepath.Glob(filepath.Join(b.dir, "dump-*-dec.wav"))
		if len(files) != 1 {
			return false
		}
		wav, err := os.ReadFile(files[0])
		_, data, ok := bytes.Cut(wav, []byte("data"))
		if err != nil || !ok || len(wav) < 44 || len(data) < 8 {
			return false
		}
		channels := int(binary.LittleEndian.Uint16(wav[22:]))
		rateHz = int(binary.LittleEndian.Uint32(wav[24:]))
		pcm = pcm[:0]
		for data = data[4:]; len(data) >= 2*channels; data = data[2*channels:] {
			pcm = append(pcm, int16(binary.LittleEndian.Uint16(data)))
		}
		return len(pcm) > 0
	})
	return pcm, rateHz
}
