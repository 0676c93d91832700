package main

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/phone"
	"github.com/roomline/roomline/web/chromium"
)

// TestPeerDefect03TwoCallsFromOneNumberAtTheDesk: a PBX's main number calls twice.
// A dispatcher has two participants on the page, hears both, presses keys for one
// and hangs up the other.
func TestPeerDefect03TwoCallsFromOneNumberAtTheDesk(t *testing.T) {
	const number = "+15550100"
	h := startHouse(t, "")
	events := h.follow()
	dana := h.visits("desk", "dana", bridge.RoleDispatcher, false, "", steady(t, 910))
	p := softphone(t, phone.Config{})
	one, two := h.calls(p, "desk", phone.DialOptions{From: number}), h.calls(p, "desk", phone.DialOptions{From: number})
	one.Speak(phone.Tone(440, -20))
	first, second := h.callers("desk", number, 2)
	dana.plays(first.ID)
	dana.plays(second.ID)
	dana.Wait(t, speaks(first.ID, true)+" && "+speaks(second.ID, false))
	if first.Person == second.Person || first.CallID == second.CallID {
		t.Errorf("two calls are one: %+v and %+v", first, second)
	}

	t.Run("keys of a phone", func(t *testing.T) {
		if err := two.SendDigits(within(t, 10*time.Second), "19*#"); err != nil {
			t.Fatal(err)
		}
		dana.Click(t, "tab-keypad")
		dana.Sees(t, "received-digits", "19*#")
		h.until("the events of four keys are told", func() bool { return len(events.keys(second.CallID)) >= 4 })
		if got := events.keys(second.CallID); got != "19*#" {
			t.Errorf("the events tell of %q", got)
		}
		if got := events.keys(first.CallID); got != "" {
			t.Errorf("keys %q of the phone that pressed none", got)
		}
	})
	t.Run("keys of the page", func(t *testing.T) {
		dana.Do(t, chromedp.Click(chromedp.CSS(row(first.ID, "row-keypad"))))
		for _, key := range []string{"5", "5", "star", "pound", "0"} {
			dana.Click(t, "key-"+key)
		}
		dana.Sees(t, "sent-digits", "55*#0")
		var got string
		for len(got) < 5 {
			select {
			case key := <-one.Digits():
				got += string(key)
			case <-time.After(10 * time.Second):
				t.Fatalf("the phone got %q", got)
			}
		}
		if got != "55*#0" {
			t.Errorf("the phone got %q", got)
		}
	})
	t.Run("mute", func(t *testing.T) {
		dana910 := func() float64 { // of the newest half second
			pcm := two.Heard()
			return media.ToneLevel(pcm[max(0, len(pcm)-4000):], media.NarrowbandHz, 910)
		}
		h.until("the phone hears dana", func() bool { return math.Abs(dana910()+20) < 1 })
		dana.Click(t, "mute")
		h.until("dana is muted", func() bool { p, _ := h.present("desk", "dana"); return p.Muted })
		h.until("the phone no longer hears dana", func() bool { return dana910() < -70 })
		hears(t, "the phone", two.Heard, 440, -20)
		dana.Click(t, "mute")
		h.until("the phone hears dana again", func() bool { return math.Abs(dana910()+20) < 1 })
	})
	t.Run("hang up", func(t *testing.T) {
		dana.Do(t, chromedp.Click(chromedp.CSS(row(first.ID, "hangup"))))
		dana.Click(t, "hangup-confirm")
		select {
		case <-one.Ended():
		case <-time.After(10 * time.Second):
			t.Fatal("the phone is not hung up")
		}
		dana.Wait(t, fmt.Sprintf(`!document.querySelector('[data-test="participant"][data-id=%q]')`, first.ID))
		h.callers("desk", number, 1)
		hears(t, "the phone that stays", two.Heard, 910, -20)
		dana.Click(t, "tab-events")
		dana.Sees(t, "event-line", "hung up by dana")
	})
	select { // every key came once: nothing came after it
	case key := <-one.Digits():
		if key != 0 {
			t.Errorf("a key more: %q", key)
		}
	default:
	}
	if got := two.Report().Digits; got != "" {
		t.Errorf("the other phone got the keys %q", got)
	}
	dana.Clean(t, h.url())
}

// callers waits until a number is in a room so many times, and returns the first
// and the last of them.
func (h *house) callers(room, number string, n int) (first, last bridge.ParticipantRecord) {
	h.t.Helper()
	h.until(fmt.Sprintf("%s is in %s %d times", number, room, n), func() bool {
		var found []bridge.ParticipantRecord
		for _, p := range h.everybody(room) {
			if p.Identity == number {
				found = append(found, p)
			}
		}
		if len(found) != n {
			return false
		}
		first, last = found[0], found[n-1]
		if last.JoinedAt.Before(first.JoinedAt) {
			first, last = last, first
		}
		return true
	})
	return first, last
}

// keys returns what a call's phone has pressed, as the events tell it.
func (n *news) keys(call string) (keys string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, e := range n.list {
		if e.CallID == call && e.Type == "dtmf.received" {
			keys += fmt.Sprint(e.Data["digit"])
		}
	}
	return keys
}

// TestTwoPagesWriteAndSeeEachOther: texts both ways, and one's camera on the
// other's screen.
func TestTwoPagesWriteAndSeeEachOther(t *testing.T) {
	h := startHouse(t, "")
	dana := h.visits("lobby", "dana", bridge.RoleDispatcher, false, "", steady(t, 910))
	ines := h.visits("lobby", "ines", bridge.RoleGuest, false, "", steady(t, 620))
	dana.plays(ines.id)
	ines.plays(dana.id)

	writes := func(v *visitor, text string) {
		v.Do(t, chromedp.Focus(chromium.At("chat-text")), chromedp.KeyEvent(text+"\r"))
	}
	writes(dana, "which floor?")
	ines.Sees(t, "chat-line", "which floor?")
	writes(ines, "the second, by the <stairs>")
	dana.Sees(t, "chat-line", "the second, by the <stairs>")
	for _, v := range []*visitor{dana, ines} {
		if n := chromium.Evaluate[int](t, v.Page, `document.querySelectorAll('[data-test="chat-line"]').length`); n != 2 {
			t.Errorf("%d lines of chat, want 2", n)
		}
	}

	ines.Click(t, "camera")
	seen := fmt.Sprintf(`[data-test="video"][data-id=%q] video`, ines.id)
	dana.Wait(t, fmt.Sprintf(`(document.querySelector('%s')?.videoWidth ?? 0) > 0`, seen))
	at := chromium.Evaluate[float64](t, dana.Page, fmt.Sprintf(`document.querySelector('%s').currentTime`, seen))
	dana.Wait(t, fmt.Sprintf(`document.querySelector('%s').currentTime > %f`, seen, at+0.5)) // it moves
	h.until("the camera is among ines' tracks", func() bool {
		p, _ := h.present("lobby", "ines")
		for _, track := range p.Tracks {
			if track.Kind == "video" {
				return true
			}
		}
		return false
	})
	ines.Click(t, "camera")
	dana.Wait(t, `document.querySelector('[data-test="videos"]').hidden`)

	// They hear each other, and nobody themselves.
	for _, c := range []struct {
		v          *visitor
		from       string
		own, other float64
	}{{dana, ines.id, 910, 620}, {ines, dana.id, 620, 910}} {
		got := c.v.hear(1500*time.Millisecond, c.from)[c.from]
		pcm := got.pcm[len(got.pcm)-got.rateHz:]
		own, other := media.ToneLevel(pcm, got.rateHz, c.own), media.ToneLevel(pcm, got.rateHz, c.other)
		t.Logf("%.0f Hz at %.1f dBov, own %.0f Hz at %.1f dBov", c.other, other, c.own, own)
		if other < -21 || other > -19 || own > -70 {
			t.Errorf("%.0f Hz at %.1f dBov, own %.0f Hz at %.1f dBov", c.other, other, c.own, own)
		}
	}
	dana.Clean(t, h.url())
	ines.Clean(t, h.url())
}
