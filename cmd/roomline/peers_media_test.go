package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/phone"
)

// TestPeerDefect02LongPacketsSoundWhole: packets of 10 to 60 ms are heard without
// gaps, and answered with packets of the same length.
func TestPeerDefect02LongPacketsSoundWhole(t *testing.T) {
	h := startHouse(t, "")
	for _, ptime := range []time.Duration{10, 40, 60} {
		ptime *= time.Millisecond
		t.Run(ptime.String(), func(t *testing.T) {
			h := &house{gateway: h.gateway, t: t, log: h.log}
			room := fmt.Sprint("long-", ptime.Milliseconds())
			guest := h.enter(room, "ann")
			guest.Speak(phone.Tone(guestHz, guestDB))
			sound, w := newRTPPeer(t), h.newPeer()
			sound.ptime = ptime
			d := w.invite(room, sound.port())
			d.body = peerSDP("127.0.0.1", 0, fmt.Sprintf("m=audio %d RTP/AVP 0\r\na=ptime:%d\r\n", sound.port(), ptime.Milliseconds()))
			w.sendDraft(d)
			ok := w.response(200, "INVITE")
			w.sendDraft(d.within("ACK", ok))
			if !strings.Contains(ok.body, fmt.Sprintf("a=ptime:%d\r\n", ptime.Milliseconds())) {
				t.Errorf("answered %q", ok.body)
			}
			sound.says(sdpPort(t, ok.body), phone.Tone(phoneHz, phoneDB))
			hears(t, "the guest", guest.Heard, phoneHz, phoneDB)
			hears(t, "the phone", sound.Heard, guestHz, guestDB)
			if n := len(guest.Heard()); n < 4000 || guest.heard.Quality().PacketsLost != 0 {
				t.Errorf("heard %d samples, quality %+v", n, guest.heard.Quality())
			}
			w.bye(&d, ok)
		})
	}
}

func TestPeerDefect04CallerWithoutAName(t *testing.T) {
	h := startHouse(t, "routes:\n  - {name: premium, from: \"+1900*\", reject: rejected}\n  - {name: all, to: \"*\", room: lobby}\n")
	for i, from := range []string{"<sip:127.0.0.1>", "<sip:@127.0.0.1>", "\"\" <sip:anonymous.invalid>", "Anonymous <sip:anonymous@anonymous.invalid>"} {
		w := h.newPeer()
		d := w.invite("lobby", 40000)
		w.send(strings.Replace(w.text(d), `"Bob" <sip:bob@example.com>`, from, 1))
		m := w.final("INVITE")
		if m.code == 400 && i == 1 { // "sip:@host" has no user where there must be one
			w.ack(d, m)
			continue
		}
		if m.code != 200 {
			t.Fatalf("%s: %q", from, m.start)
		}
		w.sendDraft(d.within("ACK", m))
		h.until("the nameless caller sits in the room", func() bool {
			r, ok := h.exchange.Room("lobby")
			return ok && len(r.Record().Participants) == 1 && strings.Contains("anonymous", r.Record().Participants[0].Identity)
		})
		w.bye(&d, m)
		h.until("the room is empty", func() bool { _, ok := h.exchange.Room("lobby"); return !ok })
	}
}

// TestPeerDefect06FirstTimestamps: the first packet is heard at once and every
// number is as good as any other.
func TestPeerDefect06FirstTimestamps(t *testing.T) {
	h := startHouse(t, "")
	for _, c := range []struct {
		sequence  uint16
		timestamp uint32
	}{{0, 0}, {65535, 65535}, {65530, 1<<32 - 160*10}, {1, 1 << 31}} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			h := &house{gateway: h.gateway, t: t, log: h.log}
			room := fmt.Sprint("first-", c.timestamp)
			guest := h.enter(room, "ann")
			sound, w := newRTPPeer(t), h.newPeer()
			sound.sequence, sound.timestamp = c.sequence, c.timestamp
			d, ok := w.call(room, sound.port())
			mouth := sound.says(sdpPort(t, ok.body), phone.Bursts(phoneHz, phoneDB, 400*time.Millisecond))
			h.until("bursts are heard", func() bool { return len(guest.Ear.Onsets()) >= 4 })
			if q := guest.heard.Quality(); q.PacketsLost != 0 {
				t.Errorf("quality %+v", q)
			}
			delays := phone.Delays(mouth.Onsets(), guest.Ear.Onsets(), 300*time.Millisecond)
			if len(delays) < 3 {
				t.Fatalf("only %d of the bursts are heard again", len(delays))
			}
			if best := slices.Min(delays); best > 80*time.Millisecond { // the defect held every packet for 120 ms
				t.Errorf("the quickest burst came after %v", best)
			}
			w.bye(&d, ok)
		})
	}
}

func TestPeerDefect08HoldAndAnotherCodecAreFollowedInTheRoom(t *testing.T) {
	h := startHouse(t, "")
	guest := h.enter("lobby", "ann")
	guest.Speak(phone.Tone(guestHz, guestDB))
	sound, w := newRTPPeer(t), h.newPeer()
	d, ok := w.call("lobby", sound.port())
	port := sdpPort(t, ok.body)
	sound.says(port, phone.Tone(phoneHz, phoneDB))
	hears(t, "the guest", guest.Heard, phoneHz, phoneDB)
	hears(t, "the phone", sound.Heard, guestHz, guestDB)
	if sound.lastType() != 0 {
		t.Errorf("payload type %d before the change", sound.lastType())
	}
	id := h.exchange.Calls()[0].ID
	offer := func(rest string) string { return peerSDP("127.0.0.1", 0, fmt.Sprintf(rest, sound.port())) }
	direction := func(m sipMessage) string {
		for _, dir := range []string{"sendonly", "recvonly", "inactive", "sendrecv"} {
			if strings.Contains(m.body, "a="+dir) {
				return dir
			}
		}
		return "sendrecv"
	}
	for _, c := range []struct {
		offer, answer string
		state         bridge.State
	}{
		{"m=audio %d RTP/AVP 0 8\r\na=sendonly\r\n", "recvonly", bridge.StateHeld},
		{"m=audio %d RTP/AVP 0 8\r\na=sendrecv\r\n", "sendrecv", bridge.StateActive},
		{"m=audio %d RTP/AVP 0 8\r\na=inactive\r\n", "inactive", bridge.StateHeld},
	} {
		m := w.reinvite(&d, ok, offer(c.offer))
		if m.code != 200 || direction(m) != c.answer {
			t.Errorf("%q was answered %q %s", c.offer, m.start, direction(m))
		}
		h.awaitState(id, c.state)
	}
	m := w.reinvite(&d, ok, offer("m=audio %d RTP/AVP 8\r\na=sendrecv\r\n"))
	if m.code != 200 || !strings.Contains(m.body, "RTP/AVP 8\r\n") {
		t.Fatalf("the change of codec was answered %q %q", m.start, m.body)
	}
	sound.aim(sdpPort(t, m.body), media.PCMA)
	h.awaitState(id, bridge.StateActive)
	h.until("the new codec is sent", func() bool { return sound.lastType() == 8 })
	hears(t, "the phone after the change", sound.Heard, guestHz, guestDB)
	hears(t, "the guest after the change", guest.Heard, phoneHz, phoneDB)
	if rec := h.call(id); rec.Codec != "PCMA" {
		t.Errorf("the call says %s", rec.Codec)
	}
	if m := w.reinvite(&d, ok, offer("m=audio %d RTP/AVP 9\r\n")); m.code != 488 {
		t.Errorf("an offer of G.722 was answered %q", m.start)
	}
	hears(t, "the phone after a refused change", sound.Heard, guestHz, guestDB)
	w.bye(&d, ok)
}

func TestPeerDefect14LateOfferIsHeardBothWays(t *testing.T) {
	h := startHouse(t, "")
	guest := h.enter("lobby", "ann")
	guest.Speak(phone.Tone(guestHz, guestDB))
	sound, w := newRTPPeer(t), h.newPeer()
	d := w.invite("lobby", sound.port())
	d.body = ""
	w.sendDraft(d)
	ok := w.response(200, "INVITE")
	ack := d.within("ACK", ok)
	ack.body = peerSDP("127.0.0.1", 0, fmt.Sprintf("m=audio %d RTP/AVP 8\r\n", sound.port()))
	w.sendDraft(ack)
	sound.says(sdpPort(t, ok.body), phone.Tone(phoneHz, phoneDB))
	sound.aim(sdpPort(t, ok.body), media.PCMA)
	hears(t, "the guest", guest.Heard, phoneHz, phoneDB)
	hears(t, "the phone", sound.Heard, guestHz, guestDB)
	if rec := h.exchange.Calls()[0]; rec.Codec != "PCMA" {
		t.Errorf("the call says %s", rec.Codec)
	}
	w.bye(&d, ok)
}

func TestPeerDefect14IPv6OfferToIPv4IsRefusedInWords(t *testing.T) {
	h := startHouse(t, "")
	w := h.newPeer()
	d := w.invite("lobby", 40000)
	d.body = peerSDP("2001:db8::1", 40000, "")
	w.sendDraft(d)
	m := w.final("INVITE")
	w.ack(d, m)
	if m.code != 488 || !strings.Contains(m.start+m.value("Warning"), "IP6") {
		t.Errorf("answered %q, warning %q", m.start, m.value("Warning"))
	}
	h.listed(d.callID, bridge.CauseIncompatible, "2001:db8::1", "IP6")
}

// listed waits until a refused INVITE is in GET /v1/refused, with words.
func (h *house) listed(sipCallID string, cause bridge.Cause, words ...string) bridge.Refusal {
	h.t.Helper()
	var found bridge.Refusal
	h.until("the refused INVITE is listed", func() bool {
		var page struct{ Items []bridge.Refusal }
		h.ask("GET", "/v1/refused?limit=100", nil, &page)
		for _, r := range page.Items {
			if r.SIPCallID == sipCallID {
				found = r
				return true
			}
		}
		return false
	})
	if found.Cause != cause {
		h.t.Errorf("listed as %s, want %s: %s", found.Cause, cause, found.Reason)
	}
	for _, word := range words {
		if !strings.Contains(found.Reason, word) {
			h.t.Errorf("%q is not in the reason %q", word, found.Reason)
		}
	}
	return found
}

// TestPeerDefect14ForkedAnswers: a proxy rings two phones and both answer; one
// is talked to, the other is hung up.
func TestPeerDefect14ForkedAnswers(t *testing.T) {
	first, second := newRTPPeer(t), newRTPPeer(t)
	acks, byes := make(chan string, 8), make(chan string, 8)
	server := serve(t, func(w *sipPeer, m sipMessage) {
		switch m.method {
		case "INVITE":
			w.reply(m, "180 Ringing", "one", "", "")
			w.reply(m, "180 Ringing", "two", "", "")
			w.reply(m, "200 OK", "one", "", peerSDP("127.0.0.1", first.port(), ""))
			w.reply(m, "200 OK", "two", "", peerSDP("127.0.0.1", second.port(), ""))
		case "ACK":
			acks <- m.tag("To")
		case "BYE":
			w.reply(m, "200 OK", "", "", "")
			byes <- m.tag("To")
		}
	})
	var plan exits
	plan.add("+15550007000", server, "", "")
	h := startHouse(t, plan.String())
	guest := h.enter("lobby", "ann")
	guest.Speak(phone.Tone(guestHz, guestDB))
	rec := h.dial(map[string]any{"to": "+15550007000", "room": "lobby"})
	h.awaitState(rec.ID, bridge.StateActive)
	refused := awaitTag(t, byes) // whichever came second
	talking, other, kept := first, second, "one"
	if refused == "one" {
		talking, other, kept = second, first, "two"
	}
	if a, b := awaitTag(t, acks), awaitTag(t, acks); a == b && len(acks) == 0 {
		t.Errorf("both ACKs went to %q", a)
	}
	hears(t, "the phone that is talked to", talking.Heard, guestHz, guestDB)
	if n := len(other.Heard()); n > media.NarrowbandHz/2 {
		t.Errorf("the other phone goes on hearing: %d samples", n)
	}
	h.ask("DELETE", "/v1/calls/"+rec.ID, nil, nil)
	if got := awaitTag(t, byes); got != kept {
		t.Errorf("BYE to %q, want %q", got, kept)
	}
	h.cdr(rec.ID)
}

// awaitTag waits for a request of ours and says whom it went to.
func awaitTag(t *testing.T, from <-chan string) string {
	t.Helper()
	select {
	case tag := <-from:
		return tag
	case <-time.After(10 * time.Second):
		t.Fatal("nothing was sent to a fork")
		return ""
	}
}

// TestPeerDefect14Glare: both sides change the session at once.
func TestPeerDefect14Glare(t *testing.T) {
	h := startHouse(t, "")
	sound, w := newRTPPeer(t), h.newPeer()
	d, ok := w.call("lobby", sound.port())
	id := h.exchange.Calls()[0].ID
	h.awaitState(id, bridge.StateActive)
	held := make(chan int, 1)
	go func() { held <- h.ask("POST", "/v1/calls/"+id+"/hold", "{}", nil) }()
	ours := w.request("INVITE")
	if m := w.reinvite(&d, ok, peerSDP("127.0.0.1", sound.port(), "")); m.code != 491 {
		t.Errorf("their re-INVITE was answered %q", m.start)
	}
	w.reply(ours, "491 Request Pending", "", "", "")
	again := w.await("re-INVITE anew", func(m sipMessage) bool { return m.method == "INVITE" && m.value("CSeq") != ours.value("CSeq") })
	w.reply(again, "200 OK", "", "", peerSDP("127.0.0.1", sound.port(), fmt.Sprintf("m=audio %d RTP/AVP 0\r\na=recvonly\r\n", sound.port())))
	w.request("ACK")
	if status := <-held; status < 200 || status > 299 {
		t.Errorf("hold: status %d", status)
	}
	w.bye(&d, ok)
}
