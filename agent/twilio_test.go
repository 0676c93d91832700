package agent

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"testing"

	"github.com/coder/websocket"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
)

func TestAgentHearsAndIsHeard(t *testing.T) {
	const mine, theirs = 0x12, 0x34
	started, heard, marked, stopped := make(chan event, 1), make(chan int, 1), make(chan event, 1), make(chan event, 1)
	signature := ""
	url := program(t, func(ctx context.Context, ws *websocket.Conn, r *http.Request) {
		signature = r.Header.Get("X-Twilio-Signature")
		if e, _ := next(ctx, ws); e.Event != "connected" || e.Protocol != "Call" {
			t.Errorf("the first event is %+v", e)
		}
		start := until(t, ws, "start")
		started <- start
		sound := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{theirs}, 1000))
		_ = tell(ws, fmt.Sprintf(`{"event":"media","streamSid":%q,"media":{"payload":%q}}`, start.StreamSID, sound))
		_ = tell(ws, fmt.Sprintf(`{"event":"mark","streamSid":%q,"mark":{"name":"a \"name\""}}`, start.StreamSID))
		_ = tell(ws, `{"event":"somethingNew","data":[1,2]}`)
		count, n := 0, 0
		for {
			e, err := next(ctx, ws)
			if err != nil {
				return
			}
			switch e.Event {
			case "media":
				n++
				if e.Media.Chunk != strconv.Itoa(n) || e.Media.Timestamp != strconv.Itoa((n-1)*20) || len(e.Media.Payload) != 160 || e.Media.Track != "inbound" {
					t.Errorf("frame %d is chunk %s at %s of %d bytes", n, e.Media.Chunk, e.Media.Timestamp, len(e.Media.Payload))
				}
				if count += bytes.Count(e.Media.Payload, []byte{mine}); count >= 30*160 {
					heard <- count
					count = -1 << 30
				}
			case "mark":
				marked <- e
			case "stop":
				stopped <- e
			}
		}
	})
	a := dialplan.Agent{Name: "bot", URL: url, Key: "secret", Parameters: map[string]string{"greeting": "hello {{call.from}}"}}
	s := newStage(t, a)
	leg := s.send("bot")
	await(t, leg, bridge.AgentReady)
	start := <-started
	if p := start.Start.CustomParameters; p["from_number"] != "+15551230000" || p["to_number"] != "+15559990000" || p["greeting"] != "hello +15551230000" {
		t.Errorf("told %v", p)
	}
	if f := start.Start.MediaFormat; f["encoding"] != "audio/x-mulaw" || f["sampleRate"] != 8000.0 || f["channels"] != 1.0 {
		t.Errorf("the format is %v", f)
	}
	if start.Start.AccountSID != AccountSID(a) || start.Start.StreamSID != start.StreamSID || start.SequenceNumber != "1" {
		t.Errorf("started by %+v", start)
	}
	if signature != Signature("secret", url) {
		t.Errorf("signed %q", signature)
	}
	s.speak(0, 50, mine)
	<-heard
	if e := <-marked; e.Mark.Name != `a "name"` {
		t.Errorf("the mark is %q", e.Mark.Name)
	}
	if n := s.ear.count(theirs); n < 1000-160 {
		t.Errorf("the caller heard %d of 1000 bytes when the mark came back", n)
	}
	leg.End("enough")
	if e := await(t, leg, bridge.AgentEnded); e.Fault != bridge.FaultNone {
		t.Errorf("ended by %q %s", e.Fault, e.Reason)
	}
	<-stopped
}
