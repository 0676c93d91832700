package web

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
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
func enter(t *testing.T, g *gateway, p *page, role string) *seat {
	t.Helper()
	p.do(t, chromedp.Navigate("about:blank"), chromedp.Navigate(link(g, role)))
	p.wait(t, `document.querySelector('[data-test="microphone"]').options.length > 0`)
	p.click(t, "join")
	s := g.seated(t)
	join := s.expect(t, "join")
	if join["name"] != "Dana" || !strings.HasPrefix(join["token"].(string), "e30.") {
		t.Fatalf("joined as %v", join)
	}
	s.welcome(t, "me", role)
	s.present(t, dana(role), caller())
	p.sees(t, "participant", "+15551230000")
	return s
}

func dana(role string) message { return someone("me", "Dana", "browser", role, nil) }

func caller() message {
	return someone("ph1", "+15551230000", "phone", "caller", message{
		"call_id": "call_1", "joined_at": "2026-03-02T09:00:05Z",
		"tracks":  []message{{"id": "a", "kind": "audio", "codec": "PCMU"}},
		"quality": message{"mos": 4.31, "loss_percent": 0.2, "jitter_ms": 3.4, "round_trip_ms": 42, "packets_received": 1000, "packets_lost": 2},
	})
}

func TestJoinSpeakHearAndSee(t *testing.T) {
	g, p := newGateway(t), browse(t, fakeMicrophone...)
	s := enter(t, g, p, "dispatcher")
	p.sees(t, "count", "2 here")
	p.sees(t, "road", "mixed")
	p.sees(t, "quality", "4.3")

	s.call(t, p, message{"participant": "ph1", "kind": "audio"}, message{"participant": "ph1", "kind": "video"})
	p.sees(t, "status", "Connected")
	p.wait(t, `far.receives().then((r) => r.audio > 0.001)`) // our voice arrives
	p.wait(t, `document.querySelectorAll('audio').length === 1`)
	p.wait(t, `document.querySelector('[data-test="participant"][data-id="ph1"]').classList.contains("speaking")`) // its tone is measured
	p.wait(t, `document.querySelector('[data-test="video"] video').videoWidth > 0`)

	p.do(t, chromedp.Click(chromedp.CSS(`[data-id="ph1"] [data-test="quality"]`)))
	p.sees(t, "quality-chart", "42 ms")
	p.wait(t, `document.querySelector('[data-id="ph1"] .chart-line').getAttribute("d").length > 10`)
	p.clean(t, g.URL)
}

func TestMuteByKeyAndCameraByButton(t *testing.T) {
	g, p := newGateway(t), browse(t, fakeMicrophone...)
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
	p.do(t, chromedp.KeyEvent("m"))
	muted("audio", true)
	p.sees(t, "mute", "Unmute")
	p.wait(t, `far.receives().then((r) => r.audio < 0.0001)`)
	p.click(t, "mute")
	muted("audio", false)
	p.wait(t, `far.receives().then((r) => r.audio > 0.001)`)

	p.click(t, "camera")
	muted("video", false)
	p.wait(t, `far.receives().then((r) => r.video > 2)`)
	p.sees(t, "video", "You")
	p.click(t, "camera")
	muted("video", true)
	p.wait(t, `document.querySelector('[data-test="videos"]').hidden`)

	p.do(t, chromedp.Focus(at("chat-text")), chromedp.KeyEvent("mmm")) // typing is not muting
	p.sees(t, "mute", "Mute")
	p.clean(t, g.URL)
}

func TestKeypadSendsAndShowsDigits(t *testing.T) {
	g, p := newGateway(t), browse(t, fakeMicrophone...)
	s := enter(t, g, p, "dispatcher")
	p.do(t, chromedp.Click(chromedp.CSS(`[data-id="ph1"] [data-test="row-keypad"]`)))
	p.click(t, "key-5")
	if m := s.expect(t, "dtmf"); m["call_id"] != "call_1" || m["digits"] != "5" {
		t.Errorf("dtmf %v", m)
	}
	p.do(t, chromedp.KeyEvent("#"))
	if m := s.expect(t, "dtmf"); m["digits"] != "#" {
		t.Errorf("dtmf %v", m)
	}
	p.sees(t, "sent-digits", "5#")
	for _, digit := range []string{"4", "2"} {
		s.send(t, message{"type": "event", "event": message{
			"id": "evt_" + digit, "type": "dtmf.received", "time": "2026-03-02T09:01:00Z", "call_id": "call_1",
			"data": message{"digit": digit},
		}})
	}
	p.sees(t, "received-digits", "42")
	p.clean(t, g.URL)
}

func TestTextsGoOverDataChannelOrWebSocket(t *testing.T) {
	g, p := newGateway(t), browse(t, fakeMicrophone...)
	s := enter(t, g, p, "guest")
	say := func(text string) {
		p.do(t, chromedp.Focus(at("chat-text")), chromedp.KeyEvent(text+"\r"))
		p.sees(t, "chat-line", text)
	}
	say("over the socket")
	m := s.expect(t, "event")["event"].(message)
	if m["type"] != "text" || m["data"].(message)["text"] != "over the socket" {
		t.Errorf("event %v", m)
	}
	s.call(t, p)
	p.wait(t, `far.channel.readyState === "open"`)
	say("over the channel")
	p.wait(t, `far.heard.some((m) => m.type === "event" && m.event.data.text === "over the channel")`)

	event := message{"id": "evt_9", "type": "text", "data": message{"participant": "ph1", "text": "<b>hello</b>"}}
	s.send(t, message{"type": "event", "event": event})
	p.run(t, "far.channel.send(JSON.stringify("+marshal(t, message{"type": "event", "event": event})+"))")
	p.sees(t, "chat-line", "<b>hello</b>")
	event["id"], event["data"] = "evt_10", message{"participant": "ph1", "text": "last"}
	s.send(t, message{"type": "event", "event": event})
	p.sees(t, "chat-line", "last")
	p.wait(t, `document.querySelectorAll('[data-test="chat-line"]').length === 4`) // nothing twice
	p.clean(t, g.URL)
}

func TestOnlyWhoMayHangsUp(t *testing.T) {
	g, p := newGateway(t), browse(t, fakeMicrophone...)
	s := enter(t, g, p, "dispatcher")
	p.do(t, chromedp.Click(chromedp.CSS(`[data-id="ph1"] [data-test="hangup"]`)))
	p.click(t, "hangup-confirm")
	if m := s.expect(t, "hangup"); m["participant"] != "ph1" {
		t.Errorf("hangup %v", m)
	}
	s.send(t, message{"type": "event", "event": message{"id": "evt_1", "type": "call.ended", "call_id": "call_1", "data": message{"call": message{"from": "+15551230000", "cause": "normal", "reason": "hung up by Dana"}}}})
	s.present(t, dana("dispatcher"))
	p.wait(t, `document.querySelectorAll('[data-test="participant"]').length === 1`)
	p.click(t, "tab-events")
	p.sees(t, "event-line", "hung up by Dana")
	p.clean(t, g.URL)

	guest := browse(t, fakeMicrophone...)
	enter(t, g, guest, "guest")
	guest.wait(t, `[...document.querySelectorAll('[data-test="hangup"], [data-test="row-keypad"]')].every((n) => n.hidden)`)
	guest.click(t, "tab-keypad")
	guest.sees(t, "keypad", "Your role does not send digits")
}

func TestALostSocketIsResumed(t *testing.T) {
	g, p := newGateway(t), browse(t, fakeMicrophone...)
	s := enter(t, g, p, "dispatcher")
	s.call(t, p, message{"participant": "ph1", "kind": "audio"})
	p.sees(t, "status", "Connected")
	s.conn.CloseNow()
	p.sees(t, "status", "Reconnecting")
	again := g.seated(t)
	if m := again.expect(t, "resume"); m["session"] != "resume-me" {
		t.Errorf("resume %v", m)
	}
	again.welcome(t, "me", "dispatcher")
	p.sees(t, "status", "Connected")
	p.wait(t, `far.receives().then((r) => r.audio > 0.001)`) // the same media connection

	again.conn.CloseNow() // and now the seat is gone
	third := g.seated(t)
	third.expect(t, "resume")
	third.send(t, message{"type": "error", "code": "not_found", "message": "this seat was given up"})
	fourth := g.seated(t)
	fourth.expect(t, "join")
	fourth.welcome(t, "me2", "dispatcher")
	fourth.call(t, p, message{"participant": "ph1", "kind": "audio"})
	fourth.present(t, someone("me2", "Dana", "browser", "dispatcher", nil), caller())
	p.sees(t, "status", "Connected")
	p.wait(t, `document.querySelectorAll("audio").length === 1`)
	p.clean(t, g.URL)
}

func TestWithoutAMicrophonePeopleListen(t *testing.T) {
	g, p := newGateway(t), browse(t, deniedMicrophone...)
	p.do(t, chromedp.Navigate(link(g, "guest")))
	p.sees(t, "mic-note", "told not to use the microphone")
	p.sees(t, "join", "Join to listen")
	s := enter(t, g, p, "guest")
	if m := s.expect(t, "mute"); m["kind"] != "audio" || m["muted"] != true {
		t.Errorf("mute %v", m)
	}
	s.call(t, p, message{"participant": "ph1", "kind": "audio"})
	p.wait(t, `document.querySelector('[data-test="participant"][data-id="ph1"]').classList.contains("speaking")`)
	p.sees(t, "mute", "No microphone")
	p.clean(t, g.URL)
}

func TestBlockedSoundHasAButton(t *testing.T) {
	g, p := newGateway(t), browse(t, fakeMicrophone...)
	s := enter(t, g, p, "guest")
	p.run(t, `{ const play = HTMLMediaElement.prototype.play;
		HTMLMediaElement.prototype.play = () => Promise.reject(new DOMException("", "NotAllowedError"));
		window.allow = () => { HTMLMediaElement.prototype.play = play; } }`)
	s.call(t, p, message{"participant": "ph1", "kind": "audio"})
	p.sees(t, "sound-blocked", "holds back the sound")
	p.run(t, "allow()")
	p.click(t, "sound-on")
	p.wait(t, `document.querySelector('[data-test="sound-blocked"]').hidden && !document.querySelector("audio").paused`)
}

func TestWhoSpeaksIsShownBeforeMediaIsThere(t *testing.T) {
	g, p := newGateway(t), browse(t, fakeMicrophone...)
	s := enter(t, g, p, "guest")
	speaking := func(on bool) {
		s.send(t, message{"type": "event", "event": message{"id": "", "type": "participant.speaking",
			"data": message{"participant": "ph1", "speaking": on}}})
		p.wait(t, fmt.Sprintf(`document.querySelector('[data-test="participant"][data-id="ph1"]').classList.contains("speaking") === %v`, on))
	}
	speaking(true)
	speaking(false)
	p.wait(t, `document.querySelectorAll('[data-test="event-line"]').length === 0`)
	p.clean(t, g.URL)
}

func TestLeavingAndBeingSentAway(t *testing.T) {
	g, p := newGateway(t), browse(t, fakeMicrophone...)
	s := enter(t, g, p, "guest")
	p.click(t, "leave")
	s.expect(t, "leave")
	p.sees(t, "ended", "You left the room")
	p.click(t, "rejoin") // reloads: the token is still there
	p.sees(t, "prejoin", "Join lobby")

	s = enter(t, g, p, "guest")
	s.send(t, message{"type": "leave", "reason": "The dispatcher hung up."})
	p.sees(t, "ended-words", "The dispatcher hung up.")
	p.clean(t, g.URL)
}

func TestALinkThatCannotWorkSaysWhatToDo(t *testing.T) {
	g, p := newGateway(t), browse(t, fakeMicrophone...)
	p.do(t, chromedp.Navigate(g.URL+"/rooms/lobby"))
	p.sees(t, "no-token", "Ask the person who invited you")
	p.do(t, chromedp.Navigate("about:blank"), chromedp.Navigate(g.URL+"/rooms/lobby#"+ticket("guest", time.Now().Add(-time.Hour))))
	p.sees(t, "ended-words", "expired")
	p.do(t, chromedp.Navigate("about:blank"), chromedp.Navigate(link(g, "guest")))
	p.click(t, "join")
	s := g.seated(t)
	s.expect(t, "join")
	s.send(t, message{"type": "error", "code": "forbidden", "message": "This token is for another room."})
	p.sees(t, "ended-words", "another room")
	p.clean(t, g.URL)
}
