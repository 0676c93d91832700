package agent

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
	"github.com/roomline/roomline/media"
)

// A tone keeps its pitch and its level on the way through the rates, and what
// would alias is gone.
func TestRatesKeepTones(t *testing.T) {
	for _, times := range []int{1, 2, 3} {
		up, down := newUpsampler(times), newDownsampler(times)
		for _, c := range []struct{ hz, loss float64 }{{440, 0.5}, {1000, 0.5}, {3000, 1}} {
			in := tone(c.hz, media.NarrowbandHz, 8000)
			wide := up.process(in, nil)
			if len(wide) != times*len(in) {
				t.Fatalf("×%d: %d samples of %d", times, len(wide), len(in))
			}
			want := media.ToneLevel(in, media.NarrowbandHz, c.hz)
			if got := media.ToneLevel(wide[100:], times*media.NarrowbandHz, c.hz); math.Abs(got-want) > c.loss {
				t.Errorf("×%d up, %v Hz: %.1f dB instead of %.1f", times, c.hz, got, want)
			}
			if image := media.ToneLevel(wide[100:], times*media.NarrowbandHz, media.NarrowbandHz-c.hz); times > 1 && image > want-40 {
				t.Errorf("×%d up, %v Hz: an image of %.1f dB", times, c.hz, image)
			}
			var back []int16
			for at := 0; at < len(wide); at += 97 { // pieces that are no multiple of anything
				back = down.process(wide[at:min(at+97, len(wide))], back)
			}
			if got := media.ToneLevel(back[100:], media.NarrowbandHz, c.hz); math.Abs(got-want) > 2*c.loss {
				t.Errorf("×%d there and back, %v Hz: %.1f dB instead of %.1f", times, c.hz, got, want)
			}
		}
	}
	down := newDownsampler(3)
	if got := media.ToneLevel(down.process(tone(6000, 24000, 24000), nil)[100:], 8000, 2000); got > -60 {
		t.Errorf("6 kHz comes back as 2 kHz at %.1f dB", got)
	}
}

func tone(hz float64, rateHz, n int) []int16 {
	pcm := make([]int16, n)
	for i := range pcm {
		pcm[i] = int16(8000 * math.Sin(2*math.Pi*hz*float64(i)/float64(rateHz)))
	}
	return pcm
}

func TestL16AgentRepeatsWhatItHears(t *testing.T) {
	marked := make(chan struct{})
	url := program(t, func(ctx context.Context, ws *websocket.Conn, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" {
			t.Errorf("the key went as %q", r.Header.Get("Authorization"))
		}
		_, text, err := ws.Read(ctx)
		var start struct {
			Type, Agent string
			RateHz      int `json:"rate_hz"`
			Parameters  map[string]string
		}
		if err != nil || json.Unmarshal(text, &start) != nil || start.Type != "start" || start.RateHz != 24000 || start.Parameters["to_number"] != "+15559990000" {
			t.Errorf("it started with %s (%v)", text, err)
		}
		var pcm []byte
		for _, v := range tone(1000, 24000, 24000) {
			pcm = binary.LittleEndian.AppendUint16(pcm, uint16(v))
		}
		_ = ws.Write(ctx, websocket.MessageBinary, pcm)
		_ = tell(ws, `{"type":"mark","name":"m"}`)
		for {
			kind, message, err := ws.Read(ctx)
			switch {
			case err != nil:
				return
			case kind == websocket.MessageBinary && len(message) != 960:
				t.Errorf("a frame has %d bytes", len(message))
			case kind == websocket.MessageText && string(message) == `{"name":"m","type":"mark"}`:
				close(marked)
				_ = tell(ws, `{"type":"stop"}`)
			}
		}
	})
	s := newStage(t, dialplan.Agent{Name: "bot", URL: url, Key: "secret", Protocol: dialplan.WebSocketL16, RateHz: 24000})
	leg := s.send("bot")
	await(t, leg, bridge.AgentSpoke)
	select {
	case <-marked:
	case <-time.After(20 * time.Second):
		t.Fatal("the mark did not come back")
	}
	if e := await(t, leg, bridge.AgentEnded); e.Fault != bridge.FaultNone {
		t.Errorf("ended by %q %s", e.Fault, e.Reason)
	}
	if level := media.ToneLevel(s.ear.pcm(t), media.NarrowbandHz, 1000); level < -25 {
		t.Errorf("the caller heard 1 kHz at %.1f dB", level)
	}
}
