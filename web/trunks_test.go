package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/roomline/roomline/web/chromium"
)

// serveTrunks answers the requests of the page of trunks and calls as the API does.
func (g *gateway) serveTrunks() {
	answer := func(pattern string, items ...message) {
		g.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer secret" {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			json.NewEncoder(w).Encode(message{"items": append([]message{}, items...)})
		})
	}
	answer("GET /v1/trunk-states",
		message{"name": "carrier", "registration": "registered", "servers": []message{
			{"server": "sip.example.net", "address": "tls:192.0.2.1:5061", "state": "up", "rtt_ms": 11.4},
			{"server": "sip2.example.net", "address": "tls:192.0.2.2:5061", "state": "down", "reason": "no answer to OPTIONS"}}},
		message{"name": "pbx", "registration": "failed", "register_error": "403: your address is not allowed there"})
	answer("GET /v1/calls",
		message{"id": "call_1", "state": "ended", "from": "+15551230001", "to": "+15551230002", "trunk": "carrier", "created_at": "2026-03-02T09:00:00Z",
			"cause": "busy", "reason": "486 Busy Here", "verstat": "TN-Validation-Passed-A", "quality": message{"mos": 3.4, "mos_avg": 3.9}})
	g.mux.HandleFunc("GET /v1/calls/call_1/quality", func(w http.ResponseWriter, r *http.Request) {
		json.NewEncoder(w).Encode(message{"call_id": "call_1", "quality": message{"mos": 3.4, "mos_avg": 3.9, "mos_min": 2.5}, "items": badMinute(50)})
	})
	answer("GET /v1/refused",
		message{"time": "2026-03-02T09:00:00Z", "source": "203.0.113.9:5060", "from": "100", "to": "9011442012345678", "sip_code": 403,
			"reason": "the source is not trusted", "sip_call_id": "abc"})
	g.mux.HandleFunc("GET /v1/calls/call_1/trace", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("format") == "pcap" {
			w.Write([]byte("a capture"))
			return
		}
		step := func(after float64, sent bool, peer int, label string) message {
			return message{"time": "2026-03-02T09:00:00Z", "after": after, "sent": sent, "peer": peer, "transport": "udp", "label": label,
				"message": label + "\r\nCall-ID: abc\r\nAuthorization: ********\r\n"}
		}
		again := step(1.5, true, 0, "486 Busy Here")
		again["again"] = true
		json.NewEncoder(w).Encode(message{"calls": []string{"call_1"}, "peers": []string{"198.51.100.7:5060", "192.0.2.1:5061"}, "items": []message{
			step(0, false, 0, "INVITE with SDP"), step(.001, true, 0, "100 Trying"), step(.004, true, 1, "INVITE with SDP"),
			step(.9, false, 1, "486 Busy Here"), step(.91, true, 1, "ACK"), step(.911, true, 0, "486 Busy Here"), again, step(1.52, false, 0, "ACK")}})
	})
	g.mux.HandleFunc("POST /v1/trunks/carrier/test", func(w http.ResponseWriter, r *http.Request) {
		var m message
		json.NewDecoder(r.Body).Decode(&m)
		line := func(name, result, words, hint string) {
			json.NewEncoder(w).Encode(message{"name": name, "result": result, "words": words, "hint": hint, "ms": 3})
			http.NewResponseController(w).Flush()
		}
		line("dns", "ok", "sip.example.net leads to 192.0.2.1", "")
		line("register", "skipped", "this trunk does not register", "")
		line("call", "failed", fmt.Sprintf("%v was refused: 403 Forbidden", m["to"]), "your address is not allowed at the carrier: add 203.0.113.5 there")
	})
}

func TestTheTrunkPageSaysWhatIsWrong(t *testing.T) {
	g, p := newGateway(t), chromium.Start(t)
	tools(t)
	g.serveTrunks()
	open := func(path, key string) {
		p.Open(t, g.URL+path)
		p.Do(t, chromedp.SetValue(chromium.At("key"), key))
		p.Click(t, "open")
	}
	chromium.Call(t, p, cdppage.SetBypassCSP, cdppage.SetBypassCSPParams{Enabled: true}) // axe makes markup of strings
	open("/trunks", "wrong")
	p.Sees(t, "problem", "does not know this key")
	judge(t, p, "trunks-locked")
	open("/trunks", "secret")
	p.Sees(t, "trunks", "sip2.example.net is down")
	p.Sees(t, "trunks", "failed: 403: your address is not allowed there")
	p.Sees(t, "call", "busy: 486 Busy Here")
	p.Sees(t, "refusal", "the source is not trusted")

	p.Do(t, chromedp.SetValue(chromium.At("to"), "+15551234567"))
	p.Click(t, "test")
	p.Sees(t, "steps", "+15551234567 was refused: 403 Forbidden")
	p.Sees(t, "steps", "add 203.0.113.5 there")
	judge(t, p, "trunks")
}

func TestTheLadderShowsACall(t *testing.T) {
	g, p := newGateway(t), chromium.Start(t)
	tools(t)
	g.serveTrunks()
	folder := t.TempDir()
	chromium.Call(t, p, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{Behavior: "allow", DownloadPath: folder})
	p.Do(t, chromedp.Navigate(g.URL+"/calls/call_1"))
	p.Do(t, chromedp.SetValue(chromium.At("key"), "secret"))
	p.Click(t, "open")
	p.Sees(t, "ladder", "INVITE with SDP")
	p.Sees(t, "call", "sound fair, MOS 3.9")
	p.Sees(t, "sound", "2.50")
	p.Wait(t, `document.querySelector('[data-test="sound"] .chart-line').getAttribute("d").split("L").length === 50`)
	if n := chromium.Evaluate[int](t, p, `document.querySelectorAll('[data-test="rung"]').length`); n != 8 {
		t.Errorf("%d rungs, want 8", n)
	}
	p.Run(t, `document.querySelector('[data-test="rung"] summary').click()`)
	p.Sees(t, "ladder", "Authorization: ********")
	p.Click(t, "save")
	deadline := time.Now().Add(chromium.Patience)
	for {
		text, err := os.ReadFile(filepath.Join(folder, "sip.pcap"))
		if err == nil && string(text) == "a capture" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the capture was not saved: %v", err)
		}
		p.Wait(t, `new Promise((done) => setTimeout(() => done(true), 50))`)
	}
	stored := chromium.Evaluate[bool](t, p, `JSON.stringify([{...sessionStorage}, {...localStorage}]).includes("secret")`)
	if stored {
		t.Error("the key was stored")
	}
	p.Clean(t, g.URL)
	chromium.Call(t, p, cdppage.SetBypassCSP, cdppage.SetBypassCSPParams{Enabled: true})
	p.Do(t, chromedp.Navigate(g.URL+"/calls/call_1"))
	p.Do(t, chromedp.SetValue(chromium.At("key"), "secret"))
	p.Click(t, "open")
	p.Sees(t, "ladder", "INVITE with SDP")
	p.Sees(t, "sound", "We hear")
	judge(t, p, "ladder")
	p.Run(t, `document.getElementById("sound").scrollIntoView()`)
	p.Picture(t, "sound-of-a-call.png")
}
