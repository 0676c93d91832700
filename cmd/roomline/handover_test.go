package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/coder/websocket"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/phone"
	"github.com/roomline/roomline/transcode"
	"github.com/roomline/roomline/web/chromium"
)

// toneAgent is an agent program over Twilio's protocol that says a tone.
type toneAgent struct {
	*httptest.Server
	mu    sync.Mutex
	keys  string
	heard []int16
	told  map[string]string // with the start
}

func startToneAgent(t *testing.T, freqHz float64) *toneAgent {
	t.Helper()
	a := &toneAgent{}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn, err := websocket.Accept(w, r, nil); err == nil {
			a.serve(r, conn, freqHz)
		}
	}))
	t.Cleanup(a.Close)
	return a
}

// twilioMessage is what the test reads and writes of Twilio's messages.
type twilioMessage struct {
	Event     string            `json:"event"`
	StreamSID string            `json:"streamSid,omitempty"`
	Media     map[string]string `json:"media,omitempty"`
	DTMF      map[string]string `json:"dtmf,omitempty"`
	Start     *struct {
		CustomParameters map[string]string `json:"customParameters"`
	} `json:"start,omitempty"`
}

func (a *toneAgent) serve(r *http.Request, conn *websocket.Conn, freqHz float64) {
	defer conn.CloseNow()
	conn.SetReadLimit(1 << 20)
	mouth, err := transcode.NewEncoder(media.PCMU, media.NarrowbandHz, transcode.OpusSettings{})
	if err != nil {
		return
	}
	ear, err := transcode.NewDecoder(media.PCMU, media.NarrowbandHz)
	if err != nil {
		return
	}
	for {
		_, text, err := conn.Read(r.Context())
		if err != nil {
			return
		}
		var m twilioMessage
		if json.Unmarshal(text, &m) != nil {
			continue
		}
		switch m.Event {
		case "start":
			a.mu.Lock()
			a.told = m.Start.CustomParameters
			a.mu.Unlock()
			pcm, ulaw := make([]int16, 60*media.NarrowbandHz), make([]byte, 60*media.NarrowbandHz)
			phone.Tone(freqHz, -20).Read(pcm)
			if _, err := mouth.Encode(pcm, ulaw); err != nil {
				return
			}
			out, _ := json.Marshal(twilioMessage{Event: "media", StreamSID: m.StreamSID, Media: map[string]string{"payload": base64.StdEncoding.EncodeToString(ulaw)}})
			if conn.Write(r.Context(), websocket.MessageText, out) != nil {
				return
			}
		case "media":
			ulaw, _ := base64.StdEncoding.DecodeString(m.Media["payload"])
			pcm := make([]int16, len(ulaw))
			n, _ := ear.Decode(ulaw, pcm)
			a.mu.Lock()
			a.heard = append(a.heard, pcm[:n]...)
			a.mu.Unlock()
		case "dtmf":
			a.mu.Lock()
			a.keys += m.DTMF["digit"]
			a.mu.Unlock()
		}
	}
}

func (a *toneAgent) Heard() []int16 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.heard
}

// steered is a baresip that answers nothing by itself, and what is told to it.
type steered struct {
	*baresipPhone
	t       *testing.T
	control string
}

func startSteered(t *testing.T) *steered {
	t.Helper()
	control, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	return &steered{startBaresip(t, 440, -20, "answermode=manual", "ctrl_tcp.so", "ctrl_tcp_listen "+control, "call_max_calls 1"), t, control}
}

// command gives baresip a command of its menu, as a netstring of JSON.
func (s *steered) command(name, parameters string) {
	s.t.Helper()
	conn, err := net.DialTimeout("tcp", s.control, 5*time.Second)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	text := fmt.Sprintf(`{"command":%q,"params":%q}`, name, parameters)
	fmt.Fprintf(conn, "%d:%s,", len(text), text)
	conn.SetReadDeadline(time.Now().Add(time.Second))
	conn.Read(make([]byte, 4096))
}

// desk is a house where an agent answers, with a caller on its line.
type desk struct {
	*house
	t      *testing.T
	agent  *toneAgent
	events *news
	caller *phone.Call
	id     string // of the caller's call
	target string // of the steered phone
}

const guideHz, personHz = 600, 910

func openDesk(t *testing.T, s *steered) *desk {
	t.Helper()
	d := &desk{t: t, agent: startToneAgent(t, guideHz)}
	port := "9"
	if s != nil {
		_, port, _ = net.SplitHostPort(s.addr)
	}
	d.target = "sip:desk@127.0.0.1:" + port
	d.house = startHouse(t, fmt.Sprintf(`
trunks:
  - {name: desks, outbound: {servers: ["127.0.0.1:%s"]}}
routes:
  - {name: help, to: help, agent: helper}
  - {name: desks, from_room: true, to: "sip:*", trunk: desks}
agents:
  - {name: helper, url: "%s/media", probe: "off"}
  - {name: billing, url: "%s/media", probe: "off"}
`, port, strings.Replace(d.agent.URL, "http", "ws", 1), strings.Replace(startToneAgent(t, 1200).URL, "http", "ws", 1)))
	d.events = d.follow()
	return d
}

// calledUp has a caller speak with the agent.
func (d *desk) calledUp() {
	d.t.Helper()
	d.caller = d.calls(softphone(d.t, phone.Config{}), "help", phone.DialOptions{From: "+15550100"})
	d.caller.Speak(phone.Tone(personHz, -20))
	hears(d.t, "the caller", d.caller.Heard, guideHz, -20)
	hears(d.t, "the agent", d.agent.Heard, personHz, -20)
	var list struct{ Items []bridge.CallRecord }
	d.ask("GET", "/v1/calls?room=&state=active", nil, &list)
	d.id = list.Items[0].ID
}

func (d *desk) transfer(body map[string]any) {
	d.t.Helper()
	body["mode"] = "warm"
	var rec bridge.CallRecord
	if status := d.ask("POST", "/v1/calls/"+d.id+"/transfer", body, &rec); status != http.StatusOK || rec.Transfer == nil || rec.Transfer.ID == "" {
		d.t.Fatalf("a warm transfer: status %d, %+v", status, rec.Transfer)
	}
}

// comesTo waits until the transfer is in a state.
func (d *desk) comesTo(state string, cause bridge.Cause) {
	d.t.Helper()
	d.until("the transfer is "+state, func() bool { return d.call(d.id).Transfer.State == state })
	if got := d.call(d.id).Transfer.Cause; got != cause {
		d.t.Errorf("the transfer is %s by %q, want %q", state, got, cause)
	}
}

// heardLast is the level of a tone in the newest half second of what somebody hears.
func heardLast(pcm []int16, hz float64) float64 {
	return media.ToneLevel(pcm[max(0, len(pcm)-4000):], media.NarrowbandHz, hz)
}

// back holds the caller to speaking with the agent again.
func (d *desk) back() {
	d.t.Helper()
	hears(d.t, "the caller who is back", d.caller.Heard, guideHz, -20)
	hears(d.t, "the agent that is back", d.agent.Heard, personHz, -20)
}

// TestWarmTransferToBaresip speaks to a real phone: it is briefed by the agent,
// takes the call with 1, declines with 2, is busy, does not answer, and the caller
// hangs up meanwhile.
func TestWarmTransferToBaresip(t *testing.T) {
	s := startSteered(t)
	d := openDesk(t, s)
	d.calledUp()
	rings := func() {
		t.Helper()
		d.until("the phone rings", func() bool {
			leg := d.call(d.id).Transfer.CallID
			return leg != "" && d.call(leg).State == bridge.StateRinging
		})
		eventually(t, "the caller hears the hold sound and not the agent", 10*time.Second, func() bool {
			return heardLast(d.caller.Heard(), guideHz) < -50 && heardLast(d.caller.Heard(), 523.25) > -45
		})
	}
	ask := map[string]any{"to": d.target, "ring_timeout": 20, "summary": "wants a refund", "context": map[string]any{"order": 17}}
	ended := func(leg string) {
		d.until("the phone's call is over", func() bool { return d.call(leg).State == bridge.StateEnded })
	}

	d.transfer(ask)
	rings()
	s.command("hangup", "") // 486 in baresip
	d.comesTo(bridge.TransferFailed, bridge.CauseBusy)
	d.back()

	d.transfer(map[string]any{"to": d.target, "ring_timeout": 2})
	rings()
	d.comesTo(bridge.TransferFailed, bridge.CauseNoAnswer)
	d.back()

	d.transfer(ask)
	rings()
	s.command("accept", "")
	d.comesTo(bridge.TransferBriefing, "")
	s.command("sndcode", "2")
	d.comesTo(bridge.TransferFailed, bridge.CauseRejected)
	d.back()
	ended(d.call(d.id).Transfer.CallID)

	d.transfer(ask)
	rings()
	s.command("accept", "")
	d.comesTo(bridge.TransferBriefing, "")
	hears(t, "the agent that briefs", d.agent.Heard, 440, -20)
	mark := len(d.caller.Heard())
	s.command("sndcode", "1")
	d.comesTo(bridge.TransferAccepted, "")
	hears(t, "the caller who was handed over", d.caller.Heard, 440, -20)
	if gap := longestSilence(d.caller.Heard()[mark:]); gap > 200*time.Millisecond {
		t.Errorf("the caller heard nothing for %v at the merge", gap)
	} else {
		t.Logf("the longest silence at the merge: %v", gap)
	}
	if d.agent.keys != "" {
		t.Errorf("the agent was told the keys %q of who was briefed", d.agent.keys)
	}
	leg := d.call(d.id).Transfer.CallID
	d.caller.Hangup()
	ended(leg)
	rec := d.cdr(d.id)
	if e, ok := d.events.last(d.id, "transfer.accepted"); !ok || !strings.Contains(fmt.Sprint(e.Data["handover"]), "refund") || !heardIn(rec, "desk", "+15550100") && !heardIn(rec, d.target, "+15550100") {
		t.Errorf("accepted %v; who heard whom: %+v", e.Data, rec.Hearing)
	}
	if strings.Contains(d.log.all(), "refund") {
		t.Error("what was handed over is in the log")
	}
}

// longestSilence is the longest time in which hardly anything was heard.
func longestSilence(pcm []int16) (longest time.Duration) {
	const step = 80
	run := 0
	for i := 0; i+step <= len(pcm); i += step {
		var sum float64
		for _, v := range pcm[i : i+step] {
			sum += float64(v) * float64(v)
		}
		if run++; math.Sqrt(sum/step) > 40 {
			run = 0
		}
		longest = max(longest, time.Duration(run)*10*time.Millisecond)
	}
	return longest
}

// heardIn reports whether a record says that one was heard by the other.
func heardIn(rec bridge.CDR, speaker, listener string) bool {
	for _, s := range rec.Hearing {
		for _, l := range s.HeardBy {
			if s.Identity == speaker && l.Identity == listener {
				return true
			}
		}
	}
	return false
}

func TestTheCallerHangsUpOnABriefing(t *testing.T) {
	s := startSteered(t)
	d := openDesk(t, s)
	d.calledUp()
	d.transfer(map[string]any{"to": d.target})
	d.until("the phone rings", func() bool { return d.call(d.call(d.id).Transfer.CallID).State == bridge.StateRinging })
	s.command("accept", "")
	d.comesTo(bridge.TransferBriefing, "")
	leg := d.call(d.id).Transfer.CallID
	d.caller.Hangup()
	d.until("the phone is hung up", func() bool { return d.call(leg).State == bridge.StateEnded })
	if rec := d.cdr(d.id); rec.Transfer.Cause != bridge.CauseCallerLeft {
		t.Errorf("%+v", rec.Transfer)
	}
}

// TestWarmTransferToAnAgentAndToAPage: another agent comes in place of the first;
// then a dispatcher in a real browser talks to it first, and takes the call.
func TestWarmTransferToAnAgentAndToAPage(t *testing.T) {
	d := openDesk(t, nil)
	d.calledUp()
	d.transfer(map[string]any{"agent": "billing"})
	d.comesTo(bridge.TransferAccepted, "")
	hears(t, "the caller of the other agent", d.caller.Heard, 1200, -20)

	dana := d.visits("desk", "dana", bridge.RoleDispatcher, false, "", steady(t, 440))
	ask := map[string]any{"participant": "dana", "summary": "wants a refund", "context": map[string]any{"order": 17}}
	d.transfer(ask)
	dana.Sees(t, "offered-summary", "wants a refund")
	dana.Sees(t, "offered-context", "17")
	dana.Click(t, "offered-decline")
	d.comesTo(bridge.TransferFailed, bridge.CauseRejected)
	hears(t, "the caller who is back", d.caller.Heard, 1200, -20)

	d.transfer(ask)
	dana.Click(t, "offered-brief")
	d.comesTo(bridge.TransferBriefing, "")
	agentSeat := d.seatOf("consult-"+d.id, "billing")
	dana.plays(agentSeat.ID)
	dana.Click(t, "offered-accept")
	d.comesTo(bridge.TransferAccepted, "")
	hears(t, "the caller of the dispatcher", d.caller.Heard, 440, -20)

	sue := d.supervises("call-"+d.id, "sue", steady(t, 1500))
	hz := func() float64 { return heardLast(d.caller.Heard(), 1500) }
	sue.Do(t, chromedp.Click(chromedp.CSS(row(dana.id, "whisper"))))
	dana.plays(sue.id)
	dana.heardNow(sue.id, 1500)
	if db := hz(); db > -50 {
		t.Errorf("the caller hears a whisper at %.0f dB", db)
	}
	sue.Click(t, "barge")
	eventually(t, "the caller hears who barges in", 15*time.Second, func() bool { return hz() > -25 })
	sue.Click(t, "listen")
	eventually(t, "the caller hears who listens no more", 15*time.Second, func() bool { return hz() < -50 })
	for _, v := range []*visitor{dana, sue} {
		v.Clean(t, d.url())
	}
}

// supervises opens the room page for a supervisor, who comes without a microphone
// and then turns it on.
func (d *desk) supervises(room, identity string, voice chromium.Option) *visitor {
	d.t.Helper()
	v := &visitor{Page: chromium.Start(d.t, voice, chromium.FakeMicrophone()), t: d.t, h: d.house, room: room}
	v.Before(d.t, strings.ReplaceAll(earScript, "PLAIN", "true"))
	_, link := d.token(room, identity, bridge.RoleSupervisor)
	v.Open(d.t, link)
	v.Click(d.t, "join")
	v.Sees(d.t, "status", "Connected")
	v.Click(d.t, "mute")
	d.until(identity+" speaks", func() bool {
		p, ok := d.present(room, identity)
		v.id = p.ID
		return ok && len(p.Tracks) > 0 && !p.Muted
	})
	return v
}

// seatOf waits for somebody to be in a room.
func (d *desk) seatOf(room, identity string) (p bridge.ParticipantRecord) {
	d.t.Helper()
	d.until(identity+" is in "+room, func() (ok bool) { p, ok = d.present(room, identity); return ok })
	return p
}
