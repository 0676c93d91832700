package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/prompts"
	"github.com/roomline/roomline/media/speech"
	"github.com/roomline/roomline/phone"
	"github.com/roomline/roomline/web/chromium"
)

// TestACallerWaitsUntilAClickTakesThem: a caller hears that they wait, and as which
// one; somebody opens the queue's page, clicks Accept, and the two talk.
func TestACallerWaitsUntilAClickTakesThem(t *testing.T) {
	h := startHouse(t, `
routes:
  - {name: help, to: help, queue: desk}
queues:
  - {name: desk}
`, holdTone(t))
	events := h.follow()
	caller := h.calls(softphone(t, phone.Config{}), "help", phone.DialOptions{From: "+15550100"})
	var id string
	h.until("the caller waits", func() bool {
		var list struct{ Items []bridge.QueuedCall }
		h.ask("GET", "/v1/queues/desk/calls", nil, &list)
		if len(list.Items) != 1 {
			return false
		}
		id = list.Items[0].Call.ID
		return list.Items[0].Position == 1 && list.Items[0].Call.State == bridge.StateActive
	})
	eventually(t, "the caller hears the hold sound", 15*time.Second, func() bool {
		pcm := caller.Heard()
		return len(pcm) > 5*8000 && media.ToneLevel(pcm[len(pcm)-2*8000:], media.NarrowbandHz, 700) > -22
	})
	h.understood(caller.Heard(), "you are next please hold")

	v := &visitor{Page: chromium.Start(t, chromium.FakeMicrophone(), steady(t, 910)), t: t, h: h, room: "call-" + id}
	v.Before(t, strings.ReplaceAll(earScript, "PLAIN", "true"))
	v.Open(t, h.url()+"/queues/desk#"+h.adminKey)
	v.Do(t, chromedp.SetValue(chromium.At("who"), "Ann"))
	v.Click(t, "open")
	v.Sees(t, "queued", "+15550100")
	caller.Speak(phone.Tone(440, -20))
	v.Click(t, "accept")
	v.Sees(t, "status", "Connected")
	hears(t, "the caller", caller.Heard, 910, -20)
	seamless(t, caller.Heard(), 910)
	var rec bridge.ParticipantRecord
	h.until("the caller is in the room", func() (ok bool) { rec, ok = h.present(v.room, "+15550100"); return ok })
	v.plays(rec.ID)
	h.until("it is settled who took the call", func() bool { _, ok := events.last(id, "queue.left"); return ok })
	caller.Hangup()
	if c := h.cdr(id); c.Queue != "desk" || c.AcceptedBy != "Ann" || c.WaitedMS <= 0 || c.Cause != bridge.CauseNormal {
		t.Errorf("CDR: queue %q, accepted by %q after %d ms, %s", c.Queue, c.AcceptedBy, c.WaitedMS, c.Cause)
	}
	if got := events.of(id); !ordered(got, "call.created", "queue.joined", "call.answered", "queue.position", "queue.accepted", "queue.left", "call.ended") {
		t.Errorf("events %v", got)
	}
	v.Clean(t, h.url())
}

// understood holds what somebody has heard to words that were said in it, a hold
// sound before or after them.
func (h *house) understood(pcm []int16, want string) {
	h.t.Helper()
	phrases := []string{want, "you are number three please hold", "press one to take the call"}
	length := prompts.Position(1).Samples()
	for start := 0; start+length <= len(pcm); start += media.NarrowbandHz / 2 {
		got, err := speech.Recognize(h.t.Context(), phrases, pcm[start:min(len(pcm), start+length+media.NarrowbandHz/2)])
		if err != nil {
			h.t.Fatal(err)
		}
		if got == want {
			return
		}
		if start > 3*media.NarrowbandHz {
			break
		}
	}
	h.t.Errorf("%q was not understood in %d s of sound", want, len(pcm)/media.NarrowbandHz)
}

// TestAPhoneTakesAQueuedCallByKey: the queue rings a baresip, which answers by
// itself, and takes the caller when 1 is pressed there, not before.
func TestAPhoneTakesAQueuedCallByKey(t *testing.T) {
	control, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	desk := startBaresip(t, 440, -20, "answermode=auto", "ctrl_tcp.so", "ctrl_tcp_listen "+control)
	h := startHouse(t, fmt.Sprintf(`
trunks:
  - {name: desks, outbound: {servers: ["%[1]s"]}}
routes:
  - {name: help, to: help, queue: desk}
  - {name: desks, from_room: true, to: "sip:*", trunk: desks}
queues:
  - {name: desk, accept: key, announce: off, members: [{number: "sip:desk@%[1]s", name: Bob}]}
`, desk.addr), holdTone(t))
	events := h.follow()
	caller := h.calls(softphone(t, phone.Config{}), "help", phone.DialOptions{From: "+15550100"})
	var leg, id bridge.CallRecord
	h.until("the phone is up", func() bool {
		var list struct{ Items []bridge.CallRecord }
		h.ask("GET", "/v1/calls", nil, &list)
		for _, c := range list.Items {
			if c.Direction == bridge.Outbound {
				leg = c
			} else {
				id = c
			}
		}
		return leg.State == bridge.StateActive
	})
	desk.hasHeardFor(t, h, leg.ID, 3*time.Second)
	if got := h.call(id.ID); got.AcceptedBy != "" || len(h.everybody(got.Room)) != 1 {
		t.Errorf("before a key was pressed the caller is with %q", got.AcceptedBy)
	}
	desk.command(t, control, "sndcode", "1")
	hears(t, "the caller", caller.Heard, 440, -20)
	seamless(t, caller.Heard(), 440)
	h.until("it is settled who took the call", func() bool { _, ok := events.last(id.ID, "queue.left"); return ok })
	if status := h.ask("DELETE", "/v1/calls/"+leg.ID, nil, nil); status != 204 {
		t.Errorf("hang up: status %d", status)
	}
	select {
	case <-caller.Ended():
	case <-time.After(10 * time.Second):
		t.Error("the caller stays alone")
	}
	if c := h.cdr(id.ID); c.AcceptedBy != "Bob" || c.Queue != "desk" {
		t.Errorf("CDR: queue %q, accepted by %q", c.Queue, c.AcceptedBy)
	}
	if c := h.cdr(leg.ID); c.ParentID != id.ID {
		t.Errorf("the phone's call belongs to %q", c.ParentID)
	}
	h.understood(desk.recorded(t), "press one to take the call")
}

// command has baresip do something: a netstring of JSON to its ctrl_tcp.
func (b *baresipPhone) command(t *testing.T, control, name, params string) {
	t.Helper()
	conn, err := net.Dial("tcp", control)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	text, _ := json.Marshal(map[string]string{"command": name, "params": params})
	if _, err := fmt.Fprintf(conn, "%d:%s,", len(text), text); err != nil {
		t.Fatal(err)
	}
	conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	for in := bufio.NewReader(conn); ; {
		size, err := in.ReadString(':')
		if err != nil {
			t.Fatalf("baresip did not answer: %v", err)
		}
		n, err := strconv.Atoi(strings.Trim(size, ":"))
		if err != nil {
			t.Fatal(err)
		}
		answer := make([]byte, n+1)
		if _, err := io.ReadFull(in, answer); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(answer), `"response":true`) {
			return
		}
	}
}

// holdTone has callers wait with a tone of 700 Hz.
func holdTone(t *testing.T) func(*settings) {
	t.Helper()
	hold := make([]int16, 10*media.NarrowbandHz)
	media.Sine(700, media.NarrowbandHz, -20).Fill(hold)
	music := writeWAVFile(t, hold, media.NarrowbandHz)
	return func(s *settings) { s.HoldMusic = music }
}

// seamless holds a caller to having heard whoever took them as soon as the hold
// sound had ended.
func seamless(t *testing.T, heard []int16, freqHz float64) {
	t.Helper()
	gap := between(heard, 700, freqHz)
	t.Logf("%v without sound after the hold sound", gap)
	if gap < 0 || gap > 200*time.Millisecond {
		t.Errorf("the caller heard nothing for %v", gap)
	}
}

// between is how long it is silent after the last of one tone until another one
// begins, to 20 ms; negative if one was not heard.
func between(pcm []int16, first, then float64) time.Duration {
	last, begins := -1, -1
	for i := 0; i+media.FrameSamples <= len(pcm); i += media.FrameSamples {
		frame := pcm[i : i+media.FrameSamples]
		if media.ToneLevel(frame, media.NarrowbandHz, first) > -30 {
			last, begins = i, -1
		} else if begins < 0 && media.ToneLevel(frame, media.NarrowbandHz, then) > -30 {
			begins = i
		}
	}
	if last < 0 || begins < 0 {
		return -1
	}
	return time.Duration(begins-last-media.FrameSamples) * time.Second / media.NarrowbandHz
}
