package main

import (
	"strings"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/phone"
)

// Linphone's SRTP is libsrtp's, with keys of its own making and suites in an
// order of its own.
func TestLinphoneWithSRTPIsHeard(t *testing.T) {
	for _, c := range []struct{ how, record string }{{"srtp", "sdes "}, {"dtls", "dtls "}} {
		t.Run(c.how, func(t *testing.T) {
			h := startHouse(t, `
trunks:
  - {name: desks, addresses: [127.0.0.1], srtp: required}
routes:
  - {name: all, trunk: desks, room: lobby}
`)
			guest := h.enter("lobby", "ann")
			guest.Speak(phone.Tone(700, -18))
			pcm := make([]int16, 30*media.NarrowbandHz)
			phone.Tone(440, -20).Read(pcm)
			desk := startLinphone(t, "media_encryption="+c.how, "[misc]", "user_certificates_path="+t.TempDir())
			desk.tell("call sip:lobby@" + h.ua.Addr().String())
			desk.says("Event: LinphoneCallStreamsRunning", 1)
			desk.tell("incall-player-start " + writeWAVFile(t, pcm, media.NarrowbandHz) + " 1")
			hears(t, "the room", guest.Heard, 440, -20)
			id := h.onlyCall(t)
			// Its report on our stream shows that it could read what we sent.
			eventually(t, "linphone reports", 20*time.Second, func() bool {
				q := h.call(id).Quality
				return q != nil && q.RoundTripMS > 0 && q.RemoteLoss == 0
			})
			desk.tell("terminate 1")
			rec := h.cdr(id)
			if rec.Cause != bridge.CauseNormal || !strings.HasPrefix(rec.Security, c.record) {
				t.Errorf("CDR %+v", rec)
			}
		})
	}
}
