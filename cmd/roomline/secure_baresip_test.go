package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/phone"
)

// securities are the ways in which baresip protects media, and what our record
// says of them.
var securities = []struct{ name, module, menc, keying, record string }{
	{"SDES", "srtp.so", "srtp-mand", "sdes", "sdes AES_CM_128_HMAC_SHA1_80"},
	{"DTLS", "dtls_srtp.so", "dtls_srtp", "dtls", "dtls "},
}

func TestBaresipWithSRTPRequiredIsHeardBothWays(t *testing.T) {
	for _, s := range securities {
		t.Run(s.name+" out", func(t *testing.T) {
			desk := startBaresip(t, 440, -20, "answermode=auto;mediaenc="+s.menc, s.module)
			h := startHouse(t, fmt.Sprintf(`
trunks:
  - {name: desks, outbound: {servers: ["%s"]}, srtp: required, keying: %s}
routes:
  - {name: desks, from_room: true, to: "sip:*", trunk: desks}
`, desk.addr, s.keying))
			guest := h.enter("lobby", "ann")
			guest.Speak(phone.Tone(700, -18))
			rec := h.dial(map[string]any{"to": "sip:desk@" + desk.addr, "room": "lobby", "from": "ann"})
			h.awaitState(rec.ID, bridge.StateActive)
			hears(t, "the room", guest.Heard, 440, -20)
			desk.hasHeardFor(t, h, rec.ID, 2*time.Second)
			h.endsProtected(t, desk, rec.ID, s.record)
		})
		t.Run(s.name+" in", func(t *testing.T) {
			h := startHouse(t, `
trunks:
  - {name: desks, addresses: [127.0.0.1], srtp: required}
routes:
  - {name: all, trunk: desks, room: lobby}
`)
			guest := h.enter("lobby", "ann")
			guest.Speak(phone.Tone(700, -18))
			desk := startBaresip(t, 440, -20, "mediaenc="+s.menc, s.module, "/dial sip:lobby@"+h.ua.Addr().String())
			hears(t, "the room", guest.Heard, 440, -20)
			id := h.onlyCall(t)
			desk.hasHeardFor(t, h, id, 2*time.Second)
			h.endsProtected(t, desk, id, s.record)
		})
	}
}

// Signalling over TLS keeps SDES keys from whoever reads the wire.
func TestBaresipOverTLSWithSRTPRequired(t *testing.T) {
	dir := t.TempDir()
	ours, theirs := filepath.Join(dir, "gateway.pem"), filepath.Join(dir, "desk.pem")
	for _, cert := range []string{ours, theirs} {
		writeCertificate(t, cert, cert+".key", "127.0.0.1", time.Now().Add(time.Hour))
	}
	both := filepath.Join(dir, "desk-both.pem") // baresip wants key and certificate in one file
	var pem []byte
	for _, part := range []string{theirs + ".key", theirs} {
		b, err := os.ReadFile(part)
		if err != nil {
			t.Fatal(err)
		}
		pem = append(pem, b...)
	}
	if err := os.WriteFile(both, pem, 0o600); err != nil {
		t.Fatal(err)
	}
	secure := func(s *settings) {
		s.SIPTLS, s.SIPTLSCert, s.SIPTLSKey, s.SIPTLSCA = []string{"127.0.0.1:0"}, ours, ours+".key", theirs
	}
	t.Run("out", func(t *testing.T) {
		desk := startBaresip(t, 440, -20, "answermode=auto;mediaenc=srtp-mand", "srtp.so", "sip_certificate "+both)
		host, port, _ := net.SplitHostPort(desk.addr)
		n, _ := strconv.Atoi(port)
		h := startHouse(t, fmt.Sprintf(`
trunks:
  - {name: desks, outbound: {servers: ["%s:%d"], transport: tls}, srtp: required}
routes:
  - {name: desks, from_room: true, to: "sip:*", trunk: desks}
`, host, n+1), secure)
		guest := h.enter("lobby", "ann")
		guest.Speak(phone.Tone(700, -18))
		rec := h.dial(map[string]any{"to": fmt.Sprintf("sip:desk@%s:%d", host, n+1), "room": "lobby", "from": "ann"})
		h.awaitState(rec.ID, bridge.StateActive)
		hears(t, "the room", guest.Heard, 440, -20)
		desk.hasHeardFor(t, h, rec.ID, 2*time.Second)
		h.endsProtected(t, desk, rec.ID, "sdes ")
	})
	t.Run("in", func(t *testing.T) {
		h := startHouse(t, `
trunks:
  - {name: desks, addresses: [127.0.0.1], srtp: required}
routes:
  - {name: all, trunk: desks, room: lobby}
`, secure)
		guest := h.enter("lobby", "ann")
		guest.Speak(phone.Tone(700, -18))
		desk := startBaresip(t, 440, -20, "mediaenc=srtp-mand", "srtp.so", "sip_certificate "+both, "sip_cafile "+ours,
			"/dial sip:lobby@"+h.ua.TLSAddr().String()+";transport=tls")
		hears(t, "the room", guest.Heard, 440, -20)
		id := h.onlyCall(t)
		desk.hasHeardFor(t, h, id, 2*time.Second)
		h.endsProtected(t, desk, id, "sdes ")
	})
}

// onlyCall is the id of the one call there is.
func (h *house) onlyCall(t *testing.T) string {
	t.Helper()
	var page struct{ Items []bridge.CallRecord }
	h.until("there is a call", func() bool {
		return h.ask("GET", "/v1/calls", nil, &page) == 200 && len(page.Items) == 1
	})
	return page.Items[0].ID
}

// shownKey is an SDES key that can be read.
var shownKey = regexp.MustCompile(`inline:[A-Za-z0-9+/]{8}`)

// endsProtected hangs up and proves what baresip heard, what the record says, and
// that no key was logged or kept.
func (h *house) endsProtected(t *testing.T, desk *baresipPhone, id, security string) {
	t.Helper()
	if status := h.ask("DELETE", "/v1/calls/"+id, nil, nil); status != 204 {
		t.Errorf("hang up: status %d", status)
	}
	c := h.cdr(id)
	if !strings.HasPrefix(c.Security, security) || c.Quality == nil || c.Quality.PacketsLost != 0 {
		t.Errorf("CDR %+v, quality %+v", c, c.Quality)
	}
	pcm := desk.recorded(t)
	if len(pcm) < 3*media.NarrowbandHz/2 {
		t.Fatalf("baresip heard %d samples", len(pcm))
	}
	freq, level, ok := phone.FindTone(pcm[len(pcm)-media.NarrowbandHz:])
	if !ok || freq < 698 || freq > 702 || level < -19 || level > -17 {
		t.Errorf("baresip heard %.0f Hz at %.1f dBov (a tone: %v)", freq, level, ok)
	}
	var kept struct{ Items []struct{ Message string } }
	if status := h.ask("GET", "/v1/calls/"+id+"/trace", nil, &kept); status != 200 || len(kept.Items) == 0 {
		t.Errorf("trace: status %d, %d messages", status, len(kept.Items))
	}
	for _, m := range kept.Items {
		if shownKey.MatchString(m.Message) {
			t.Errorf("the trace holds a key:\n%s", m.Message)
		}
	}
	if log := h.log.all(); strings.Contains(log, "inline:") || strings.Contains(log, "a=crypto") {
		t.Error("the log holds keys")
	}
}
