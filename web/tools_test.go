package web

import (
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/roomline/roomline/web/chromium"
)

// tools is the folder with what package.json names.
func tools(t *testing.T) string {
	t.Helper()
	return chromium.Packages(t, ".")
}

func TestTypesAreSound(t *testing.T) {
	node := chromium.Need(t, "node", "apt-get install nodejs")
	tsc := exec.Command(node, filepath.Join(tools(t), "node_modules", "typescript", "bin", "tsc"), "-p", "jsconfig.json")
	if out, err := tsc.CombinedOutput(); err != nil {
		t.Errorf("tsc: %v\n%s", err, out)
	}
}

// screen is a size and a theme that people use.
type screen struct {
	name          string
	width, height int64
	scheme        string
}

var screens = []screen{
	{"desktop-light", 1280, 800, "light"},
	{"desktop-dark", 1280, 800, "dark"},
	{"phone-light", 390, 844, "light"},
	{"phone-dark", 390, 844, "dark"},
	{"zoomed-four-times", 320, 256, "light"}, // WCAG 1.4.10
}

func (s screen) put(t *testing.T, p *chromium.Page) {
	t.Helper()
	p.Do(t, chromedp.EmulateViewport(s.width, s.height))
	chromium.Call(t, p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: s.scheme}},
	})
}

// judge has axe look at the page in all sizes and themes, and leaves pictures.
func judge(t *testing.T, p *chromium.Page, what string) {
	t.Helper()
	axe, err := os.ReadFile(filepath.Join(tools(t), "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	p.Run(t, string(axe)+"; undefined")
	for _, s := range screens {
		s.put(t, p)
		p.Wait(t, `new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(true), 300)))`) // colours fade
		p.Picture(t, what+"-"+s.name+".png")
		accessible(t, p, what+" "+s.name)
		if wide := chromium.Evaluate[int64](t, p, "document.documentElement.scrollWidth"); wide > s.width {
			t.Errorf("%s %s: %d pixels wide on a screen of %d", what, s.name, wide, s.width)
		}
	}
}

// accessible reports what axe finds, as WCAG 2.2 AA and its best practices have it.
func accessible(t *testing.T, p *chromium.Page, where string) {
	t.Helper()
	raw := chromium.Evaluate[string](t, p, `axe.run(document, {resultTypes: ["violations"]}).then((r) => JSON.stringify(r.violations))`)
	var violations []struct {
		ID, Impact, Help string
		Nodes            []struct{ HTML, FailureSummary string }
	}
	if err := json.Unmarshal([]byte(raw), &violations); err != nil {
		t.Fatal(err)
	}
	for _, v := range violations {
		for _, n := range v.Nodes {
			t.Errorf("%s: %s (%s): %s\n\t%.160s\n\t%s", where, v.ID, v.Impact, v.Help, n.HTML, strings.ReplaceAll(n.FailureSummary, "\n", " "))
		}
	}
}

func TestEveryScreenIsAccessible(t *testing.T) {
	g, p := newGateway(t), chromium.Start(t, chromium.FakeMicrophone())
	tools(t)
	chromium.Call(t, p, cdppage.SetBypassCSP, cdppage.SetBypassCSPParams{Enabled: true}) // axe makes markup of strings
	open := func(path string) { p.Open(t, g.URL+path) }

	open("/")
	p.Sees(t, "health", "Ready")
	judge(t, p, "front")
	open("/nope")
	judge(t, p, "missing")
	open("/rooms/lobby")
	judge(t, p, "no-token")
	p.Do(t, chromedp.Navigate(link(g, "dispatcher")))
	p.Sees(t, "join", "Join")
	judge(t, p, "prejoin")

	s := crowd(t, g, p)
	judge(t, p, "room")
	p.Do(t, chromedp.Click(chromedp.CSS(`[data-test="participant"][data-id="ph1"] [data-test="quality"]`)))
	judge(t, p, "quality")
	p.Click(t, "tab-keypad")
	judge(t, p, "keypad")
	p.Click(t, "tab-events")
	judge(t, p, "events")
	p.Click(t, "devices")
	judge(t, p, "devices")
	p.Do(t, chromedp.KeyEvent("\x1b"))
	s.conn.CloseNow()
	p.Sees(t, "reconnecting", "Reconnecting")
	judge(t, p, "reconnecting")
	g.seated(t).expect(t, "resume")
	p.Click(t, "leave")
	p.Sees(t, "ended", "You left")
	judge(t, p, "ended")
}

// crowd fills the room with people, voices, texts and events.
func crowd(t *testing.T, g *gateway, p *chromium.Page) *seat {
	t.Helper()
	s := enter(t, g, p, "dispatcher")
	s.remember(t, map[string][]message{"ph1": badMinute(60), "me": badMinute(12)}, everyone(0)...)
	s.call(t, p,
		message{"participant": "ph1", "kind": "audio"}, message{"participant": "br2", "kind": "video"})
	p.Sees(t, "status", "Connected")
	event := func(kind, callID string, data message) {
		s.send(t, message{"type": "event", "event": message{
			"type": kind, "time": time.Now().UTC(), "call_id": callID, "data": data,
		}})
	}
	event("call.answered", "call_1", nil)
	event("participant.joined", "", message{"participant": "br2"})
	event("track.published", "", message{"participant": "br2", "kind": "video"})
	event("dtmf.received", "call_1", message{"digit": "4"})
	event("dtmf.received", "call_1", message{"digit": "2"})
	event("text", "", message{"participant": "br2", "text": "Second floor, the stairs are clear."})
	event("text", "", message{"participant": "br2", "text": "Crew is four minutes out."})
	p.Sees(t, "chat-line", "four minutes")
	p.Do(t, chromedp.Focus(chromium.At("chat-text")), chromedp.KeyEvent("Thank you. Tell them to use the north gate.\r"))
	p.Run(t, "document.activeElement.blur()")
	return s
}

// everyone is who is there at a second; figures move as on a real line.
func everyone(second int) []message {
	at := float64(second)
	wave := 0.04*math.Sin(at/9) + 0.03*math.Sin(at/3.1)
	if second%150 > 96 && second%150 < 112 {
		wave += 0.45 // a burst of loss
	}
	quality := func(mos, loss, jitter, roundTrip float64) message {
		return message{"mos": mos - wave, "loss_percent": loss, "jitter_ms": jitter + wave*20, "round_trip_ms": roundTrip,
			"packets_received": 50 * (second + 1), "packets_lost": int(loss*at/4) + max(0, min(15, second-96))}
	}
	audio := func(codec string) []message { return []message{{"id": "a", "kind": "audio", "codec": codec}} }
	return []message{
		someone("me", "Dana", "browser", "dispatcher", message{"quality": quality(4.4, 0, 2.1, 18), "tracks": audio("opus")}),
		someone("ph1", "+1 555 123 0000", "phone", "caller", message{"identity": "+15551230000", "call_id": "call_1",
			"joined_at": "2026-03-02T09:00:05Z", "tracks": audio("PCMU"), "quality": quality(4.31, .2, 3.4, 42)}),
		someone("br2", "Ines", "browser", "dispatcher", message{"joined_at": "2026-03-02T09:00:09Z",
			"tracks": []message{{"id": "a", "kind": "audio", "codec": "opus"}, {"id": "v", "kind": "video", "codec": "VP8"}},
			"muted":  true, "quality": quality(4.2, .4, 6, 61)}),
		someone("ag1", "Interpreter", "agent", "agent", message{"joined_at": "2026-03-02T09:00:20Z",
			"tracks": audio("opus"), "quality": quality(3.85, 1.1, 11, 96), "level_db": -60 + 38*math.Abs(math.Sin(at/2)), "speaking": second%40 > 20}),
		someone("ph2", "+1 555 123 0199", "phone", "caller", message{"call_id": "call_2", "away": true,
			"joined_at": "2026-03-02T09:00:41Z", "tracks": audio("PCMA"), "quality": quality(3.3, 4.2, 24, 140)}),
	}
}
