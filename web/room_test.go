package web

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/roomline/roomline/web/chromium"
)

// ticket looks like a room token; only the gateway would verify it.
func ticket(role string, expires time.Time) string {
	claims := fmt.Sprintf(`{"sub":"dana","name":"Dana","room":"lobby","role":%q,"exp":%d}`, role, expires.Unix())
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
}

func link(g *gateway, role string) string {
	return g.URL + "/rooms/lobby#" + ticket(role, time.Now().Add(time.Hour))
}

// enter opens the room and joins; the caller's phone is there too.
func enter(t *testing.T, g *gateway, p *chromium.Page, role string) *seat {
	t.Helper()
	p.Open(t, link(g, role))
	p.Wait(t, `document.querySelector('[data-test="microphone"]').options.length > 0`)
	p.Click(t, "join")
	s := g.seated(t)
	join := s.expect(t, "join")
	if join["name"] != "Dana" || !strings.HasPrefix(join["token"].(string), "e30.") {
		t.Fatalf("joined as %v", join)
	}
	s.welcome(t, "me", role)
	s.present(t, dana(role), caller())
	p.Sees(t, "participant", "+15551230000")
	return s
}

func dana(role string) message { return someone("me", "Dana", "browser", role, nil) }

func caller() message {
	return someone("ph1", "+15551230000", "phone", "caller", message{
		"call_id": "call_1", "joined_at": "2026-03-02T09:00:05Z",
		"tracks":  []message{{"id": "a", "kind": "audio", "codec": "PCMU"}},
		"quality": message{"mos": 4.31, "loss_percent": 0.2, "jitter_ms": 3.4, "round_trip_ms": 42, "packets_received": 1000, "packets_lost": 2, "live": moment(0, 0)},
	})
}

func TestJoinSpeakHearAndSee(t *testing.T) {
	g, p := newGateway(t), chromium.Start(t, chromium.FakeMicrophone())
	s := enter(t, g, p, "dispatcher")
	p.Sees(t, "count", "2 here")
	p.Sees(t, "road", "mixed")
	p.Sees(t, "quality", "4.3")

	s.call(t, p, message{"participant": "ph1", "kind": "audio"}, message{"participant": "ph1", "kind": "video"})
	p.Sees(t, "status", "Connected")
	p.Wait(t, `far.receives().then((r) => r.audio > 0.001)`) // our voice arrives
	p.Wait(t, `document.querySelectorAll('audio').length === 1`)
	p.Wait(t, `document.querySelector('[data-test="participant"][data-id="ph1"]').classList.contains("speaking")`) // its tone is measured
	p.Wait(t, `document.querySelector('[data-test="video"] video').videoWidth > 0`)

	p.Do(t, chromedp.Click(chromedp.CSS(`[data-id="ph1"] [data-test="quality"]`)))
	p.Sees(t, "quality-chart", "42 ms")
	p.Wait(t, `document.querySelector('[data-id="ph1"] .chart-line').getAttribute("d").length > 10`)
	p.Clean(t, g.URL)
}

func TestMuteByKeyAndCameraByButton(t *testing.T) {
	g, p := newGateway(t), chromium.Start(t, chromium.FakeMicrophone())
	s := enter(t, g, p, "dispatcher")
	s.call(t, p, message{"participant": "ph1", "kind": "audio"})
	muted := func(kind string, want bool) {
		t.Helper()
		for {
			m := s.expect(t, "mute")
			if m["kind"] == kind && m["muted"] == want {
				return
			}
		}
	}
	muted("video", true) // said on joining
	p.Do(t, chromedp.KeyEvent("m"))
	muted("audio", true)
	p.Sees(t, "mute", "Unmute")
	p.Wait(t, `far.receives().then((r) => r.audio < 0.0001)`)
	p.Click(t, "mute")
	muted("audio", false)
	p.Wait(t, `far.receives().then((r) => r.audio > 0.001)`)

	p.Click(t, "camera")
	muted("video", false)
	p.Wait(t, `far.receives().then((r) => r.video > 2)`)
	p.Sees(t, "video", "You")
	p.Click(t, "camera")
	muted("video", true)
	p.Wait(t, `document.querySelector('[data-test="videos"]').hidden`)

	p.Do(t, chromedp.Focus(chromium.At("chat-text")), chromedp.KeyEvent("mmm")) // typing is not muting
	p.Sees(t, "mute", "Mute")
	p.Clean(t, g.URL)
}

func TestKeypadSendsAndShowsDigits(t *testing.T) {
	g, p := newGateway(t), chromium.Start(t, chromium.FakeMicrophone())
	s := enter(t, g, p, "dispatcher")
	p.Do(t, chromedp.Click(chromedp.CSS(`[data-id="ph1"] [data-test="row-keypad"]`)))
	p.Click(t, "key-5")
	if m := s.expect(t, "dtmf"); m["call_id"] != "call_1" || m["digits"] != "5" {
		t.Errorf("dtmf %v", m)
	}
	p.Do(t, chromedp.KeyEvent("#"))
	if m := s.expect(t, "dtmf"); m["digits"] != "#" {
		t.Errorf("dtmf %v", m)
	}
	p.Sees(t, "sent-digits", "5#")
	for _, digit := range []string{"4", "2"} {
		s.send(t, message{"type": "event", "event": message{
			"id": "evt_" + digit, "type": "dtmf.received", "time": "2026-03-02T09:01:00Z", "call_id": "call_1",
			"data": message{"digit": digit},
		}})
	}
	p.Sees(t, "received-digits", "42")
	p.Clean(t, g.URL)
}

func TestTextsGoOverDataChannelOrWebSocket(t *testing.T) {
	g, p := newGateway(t), chromium.Start(t, chromium.FakeMicrophone())
	s := enter(t, g, p, "guest")
	say := func(text string) {
		p.Do(t, chromedp.Focus(chromium.At("chat-text")), chromedp.KeyEvent(text+"\r"))
		p.Sees(t, "chat-line", text)
	}
	say("over the socket")
	m := s.expect(t, "event")["event"].(message)
	if m["type"] != "text" || m["data"].(message)["text"] != "over the socket" {
		t.Errorf("event %v", m)
	}
	s.call(t, p)
	p.Wait(t, `far.channel.readyState === "open"`)
	say("over the channel")
	p.Wait(t, `far.heard.some((m) => m.type === "event" && m.event.data.text === "over the channel")`)

	event := message{"id": "evt_9", "type": "text", "data": message{"participant": "ph1", "text": "<b>hello</b>"}}
	s.send(t, message{"type": "event", "event": event})
	p.Run(t, "far.channel.send(JSON.stringify("+marshal(t, message{"type": "event", "event": event})+"))")
	p.Sees(t, "chat-line", "<b>hello</b>")
	event["id"], event["data"] = "evt_10", message{"participant": "ph1", "text": "last"}
	s.send(t, message{"type": "event", "event": event})
	p.Sees(t, "chat-line", "last")
	p.Wait(t, `document.querySelectorAll('[data-test="chat-line"]').length === 4`) // nothing twice
	p.Clean(t, g.URL)
}

func TestWordsThatWereSaidAreShown(t *testing.T) {
	g, p := newGateway(t), chromium.Start(t, chromium.FakeMicrophone())
	s := enter(t, g, p, "dispatcher")
	said := func(id, kind, text string, final bool) {
		s.send(t, message{"type": "event", "event": message{"id": id, "type": "transcript." + kind, "call_id": "call_1", "data": message{
			"utterance": message{"seq": 1, "participant": "ph1", "identity": "+15550100", "text": text, "final": final, "start_ms": 61_000, "end_ms": 62_000},
		}}})
	}
	said("evt_1", "partial", "there is", false)
	p.Sees(t, "spoken-line", "there is")
	said("evt_2", "partial", "there is smoke", false)
	said("evt_3", "final", "There is smoke in <the> kitchen.", true)
	p.Sees(t, "spoken-line", "There is smoke in <the> kitchen.")
	p.Sees(t, "spoken-line", "1:01")
	p.Wait(t, `document.querySelectorAll('[data-test="spoken-line"]').length === 1`) // the last word replaces those before
	p.Wait(t, `document.querySelectorAll('[data-test="event-line"][data-type^="transcript"]').length === 0`)
	p.Clean(t, g.URL)
}

func TestOnlyWhoMayHangsUp(t *testing.T) {
	g, p := newGateway(t), chromium.Start(t, chromium.FakeMicrophone())
	s := enter(t, g, p, "dispatcher")
	p.Do(t, chromedp.Click(chromedp.CSS(`[data-id="ph1"] [data-test="hangup"]`)))
	p.Click(t, "hangup-confirm")
	if m := s.expect(t, "hangup"); m["participant"] != "ph1" {
		t.Errorf("hangup %v", m)
	}
	s.send(t, message{"type": "event", "event": message{"id": "evt_1", "type": "call.ended", "call_id": "call_1", "data": message{"call": message{"from": "+15551230000", "cause": "normal", "reason": "hung up by Dana"}}}})
	s.present(t, dana("dispatcher"))
	p.Wait(t, `document.querySelectorAll('[data-test="participant"]').length === 1`)
	p.Click(t, "tab-events")
	p.Sees(t, "event-line", "hung up by Dana")
	p.Clean(t, g.URL)

	guest := chromium.Start(t, chromium.FakeMicrophone())
	enter(t, g, guest, "guest")
	guest.Wait(t, `[...document.querySelectorAll('[data-test="hangup"], [data-test="row-keypad"]')].every((n) => n.hidden)`)
	guest.Click(t, "tab-keypad")
	guest.Sees(t, "keypad", "Your role does not send digits")
}

func TestALostSocketIsResumed(t *testing.T) {
	g, p := newGateway(t), chromium.Start(t, chromium.FakeMicrophone())
	s := enter(t, g, p, "dispatcher")
	s.call(t, p, message{"participant": "ph1", "kind": "audio"})
	p.Sees(t, "status", "Connected")
	s.conn.CloseNow()
	p.Sees(t, "status", "Reconnecting")
	again := g.seated(t)
	if m := again.expect(t, "resume"); m["session"] != "resume-me" {
		t.Errorf("resume %v", m)
	}
	again.welcome(t, "me", "dispatcher")
	p.Sees(t, "status", "Connected")
	p.Wait(t, `far.receives().then((r) => r.audio > 0.001)`) // the same media connection

	again.conn.CloseNow() // and now the seat is gone
	third := g.seated(t)
	third.expect(t, "resume")
	third.send(t, message{"type": "error", "code": "not_found", "message": "this seat was given up"})
	fourth := g.seated(t)
	fourth.expect(t, "join")
	fourth.welcome(t, "me2", "dispatcher")
	fourth.call(t, p, message{"participant": "ph1", "kind": "audio"})
	fourth.present(t, someone("me2", "Dana", "browser", "dispatcher", nil), caller())
	p.Sees(t, "status", "Connected")
	p.Wait(t, `document.querySelectorAll("audio").length === 1`)
	p.Clean(t, g.URL)
}

func TestWithoutAMicrophonePeopleListen(t *testing.T) {
	g, p := newGateway(t), chromium.Start(t, chromium.DeniedMicrophone())
	p.Do(t, chromedp.Navigate(link(g, "guest")))
	p.Sees(t, "mic-note", "told not to use the microphone")
	p.Sees(t, "join", "Join to listen")
	s := enter(t, g, p, "guest")
	if m := s.expect(t, "mute"); m["kind"] != "audio" || m["muted"] != true {
		t.Errorf("mute %v", m)
	}
	s.call(t, p, message{"participant": "ph1", "kind": "audio"})
	p.Wait(t, `document.querySelector('[data-test="participant"][data-id="ph1"]').classList.contains("speaking")`)
	p.Sees(t, "mute", "No microphone")
	p.Clean(t, g.URL)
}

func TestBlockedSoundHasAButton(t *testing.T) {
	g, p := newGateway(t), chromium.Start(t, chromium.FakeMicrophone())
	s := enter(t, g, p, "guest")
	p.Run(t, `{ const play = HTMLMediaElement.prototype.play;
		HTMLMediaElement.prototype.play = () => Promise.reject(new DOMException("", "NotAllowedError"));
		window.allow = () => { HTMLMediaElement.prototype.play = play; } }`)
	s.call(t, p, message{"participant": "ph1", "kind": "audio"})
	p.Sees(t, "sound-blocked", "holds back the sound")
	p.Run(t, "allow()")
	p.Click(t, "sound-on")
	p.Wait(t, `document.querySelector('[data-test="sound-blocked"]').hidden && !document.querySelector("audio").paused`)
}

func TestWhoSpeaksIsShownBeforeMediaIsThere(t *testing.T) {
	g, p := newGateway(t), chromium.Start(t, chromium.FakeMicrophone())
	s := enter(t, g, p, "guest")
	speaking := func(on bool) {
		s.send(t, message{"type": "event", "event": message{"id": "", "type": "participant.speaking",
			"data": message{"participant": "ph1", "speaking": on}}})
		p.Wait(t, fmt.Sprintf(`document.querySelector('[data-test="participant"][data-id="ph1"]').classList.contains("speaking") === %v`, on))
	}
	speaking(true)
	speaking(false)
	p.Wait(t, `document.querySelectorAll('[data-test="event-line"]').length === 0`)
	p.Clean(t, g.URL)
}

func TestLeavingAndBeingSentAway(t *testing.T) {
	g, p := newGateway(t), chromium.Start(t, chromium.FakeMicrophone())
	s := enter(t, g, p, "guest")
	p.Click(t, "leave")
	s.expect(t, "leave")
	p.Sees(t, "ended", "You left the room")
	p.Click(t, "rejoin") // reloads: the token is still there
	p.Sees(t, "prejoin", "Join lobby")

	s = enter(t, g, p, "guest")
	s.send(t, message{"type": "leave", "reason": "The dispatcher hung up."})
	p.Sees(t, "ended-words", "The dispatcher hung up.")
	p.Clean(t, g.URL)
}

func TestALinkThatCannotWorkSaysWhatToDo(t *testing.T) {
	g, p := newGateway(t), chromium.Start(t, chromium.FakeMicrophone())
	p.Do(t, chromedp.Navigate(g.URL+"/rooms/lobby"))
	p.Sees(t, "no-token", "Ask the person who invited you")
	p.Open(t, g.URL+"/rooms/lobby#"+ticket("guest", time.Now().Add(-time.Hour)))
	p.Sees(t, "ended-words", "expired")
	p.Open(t, link(g, "guest"))
	p.Click(t, "join")
	s := g.seated(t)
	s.expect(t, "join")
	s.send(t, message{"type": "error", "code": "forbidden", "message": "This token is for another room."})
	p.Sees(t, "ended-words", "another room")
	p.Clean(t, g.URL)
}
