package agent

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
	"github.com/roomline/roomline/media"
)

func mediaOf(d time.Duration) string {
	sound := bytes.Repeat([]byte{0x34}, int(d.Seconds()*media.NarrowbandHz))
	return `{"event":"media","media":{"payload":"` + base64.StdEncoding.EncodeToString(sound) + `"}}`
}

// Whatever an agent sends ends its leg with a fault that says what it was, and
// the caller stays where they are.
func TestHostileAgentsEndTheirLegAlone(t *testing.T) {
	t.Parallel()
	says := func(messages ...string) func(context.Context, *websocket.Conn) {
		return func(ctx context.Context, ws *websocket.Conn) {
			var reading sync.WaitGroup
			reading.Go(func() { drain(ctx, ws) }) // else it answers no pings on a slow machine
			for _, m := range messages {
				if tell(ws, m) != nil {
					break
				}
			}
			reading.Wait()
		}
	}
	hour := make([]string, 60)
	for i := range hour {
		hour[i] = mediaOf(time.Minute)
	}
	for name, c := range map[string]struct {
		protocol string
		serve    func(context.Context, *websocket.Conn)
		fault    bridge.Fault
		words    string
	}{
		"no JSON":              {"", says(`hello`), bridge.FaultGarbage, "no JSON"},
		"half JSON":            {"", says(`{"event":"media","media":{`), bridge.FaultGarbage, "no JSON"},
		"a number":             {"", says(`5`), bridge.FaultGarbage, "number"},
		"no event":             {"", says(`{}`), bridge.FaultGarbage, "names no event"},
		"wrong base64":         {"", says(`{"event":"media","media":{"payload":"%%%"}}`), bridge.FaultGarbage, "base64"},
		"a payload of numbers": {"", says(`{"event":"media","media":{"payload":{"a":1}}}`), bridge.FaultGarbage, "expected"},
		"an hour of sound":     {"", says(hour...), bridge.FaultFlood, "waits to be played"},
		"a message of 9 MiB":   {"", says(`{"event":"` + strings.Repeat("x", 9<<20) + `"}`), bridge.FaultTooLarge, "larger than 8 MiB"},
		"an odd sample": {dialplan.WebSocketL16, func(ctx context.Context, ws *websocket.Conn) {
			ws.Write(ctx, websocket.MessageBinary, []byte{1, 2, 3})
			drain(ctx, ws)
		}, bridge.FaultGarbage, "2 bytes each"},
		"binary for text": {"", func(ctx context.Context, ws *websocket.Conn) {
			ws.Write(ctx, websocket.MessageBinary, []byte{1})
			drain(ctx, ws)
		}, bridge.FaultGarbage, "binary"},
		"endless nothing": {"", func(ctx context.Context, ws *websocket.Conn) { flood(ws, `{"event":"x"}`) }, bridge.FaultFlood, "more messages"},
		"endless marks": {"", func(ctx context.Context, ws *websocket.Conn) {
			flood(ws, `{"event":"mark","mark":{"name":"m"}}`, mediaOf(9*time.Minute))
		}, bridge.FaultFlood, "marks wait"},
		"goodbye":             {"", func(ctx context.Context, ws *websocket.Conn) { ws.Close(websocket.StatusNormalClosure, "") }, bridge.FaultNone, "goodbye"},
		"its program broke":   {"", func(ctx context.Context, ws *websocket.Conn) { ws.Close(websocket.StatusInternalError, "") }, bridge.FaultGone, "1011"},
		"gone without a word": {"", func(ctx context.Context, ws *websocket.Conn) { ws.CloseNow() }, bridge.FaultGone, "broke"},
		"goodbye in L16":      {dialplan.WebSocketL16, says(`{"type":"stop"}`), bridge.FaultNone, "goodbye"},
		"no JSON in L16":      {dialplan.WebSocketL16, says(`[1`), bridge.FaultGarbage, "no JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := program(t, func(ctx context.Context, ws *websocket.Conn, _ *http.Request) { c.serve(ctx, ws) })
			endsBy(t, dialplan.Agent{Name: "bot", URL: url, Protocol: c.protocol}, c.fault, c.words)
		})
	}
}

// endsBy sends an agent, and looks how its leg ends and that the caller stays.
func endsBy(t *testing.T, a dialplan.Agent, f bridge.Fault, words string) {
	t.Helper()
	s := newStage(t, a)
	leg := s.send(a.Name)
	e := await(t, leg, bridge.AgentEnded)
	// A machine that a flood keeps busy may find sound or pings late before the flood is full.
	drowned := f == bridge.FaultFlood && (e.Fault == bridge.FaultSlow || e.Fault == bridge.FaultSilent)
	if !drowned && (e.Fault != f || !strings.Contains(e.Reason, words)) {
		t.Errorf("ended by %q: %s", e.Fault, e.Reason)
	}
	if strings.Contains(e.Reason, "hidden") {
		t.Errorf("a secret is told: %s", e.Reason)
	}
	room, open := s.x.Room(testRoom)
	if !open || len(room.Record().Participants) != 1 {
		t.Errorf("the caller is not alone in the room")
	}
}

// drain reads until the connection ends.
func drain(ctx context.Context, ws *websocket.Conn) {
	for {
		if _, _, err := ws.Read(ctx); err != nil {
			return
		}
	}
}

// flood sends some messages first, then one for ever. It reads meanwhile.
func flood(ws *websocket.Conn, text string, first ...string) {
	var reading sync.WaitGroup
	reading.Go(func() { drain(context.Background(), ws) })
	for _, m := range first {
		_ = tell(ws, m)
	}
	for tell(ws, text) == nil {
	}
	ws.CloseNow()
	reading.Wait()
}

// Agents that cannot be reached are refused in words that say why.
func TestAgentsThatCannotBeReached(t *testing.T) {
	t.Parallel()
	answers := func(status int) string {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "http://elsewhere.example/")
			w.WriteHeader(status)
		}))
		t.Cleanup(srv.Close)
		return "ws" + strings.TrimPrefix(srv.URL, "http") + "/?token=hidden"
	}
	listens := func(serve func(net.Conn)) string {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ln.Close() })
		go func() {
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				serve(c)
			}
		}()
		return ln.Addr().String()
	}
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(secure.Close)
	for name, c := range map[string]struct {
		url   string
		fault bridge.Fault
		words string
	}{
		"401":                  {answers(401), bridge.FaultRefused, "answered 401 Unauthorized"},
		"404":                  {answers(404), bridge.FaultRefused, "answered 404 Not Found"},
		"302":                  {answers(302), bridge.FaultRefused, "redirects are not followed"},
		"200":                  {answers(200), bridge.FaultRefused, "answered 200"},
		"nobody listens":       {"ws://127.0.0.1:1/?token=hidden", bridge.FaultRefused, "refused"},
		"an unknown authority": {strings.Replace(secure.URL, "https", "wss", 1), bridge.FaultRefused, "certificate"},
		"no HTTP":              {"ws://" + listens(func(c net.Conn) { fmt.Fprint(c, "220 mail\r\n"); c.Close() }), bridge.FaultRefused, ""},
		"no answer":            {"ws://" + listens(func(c net.Conn) { t.Cleanup(func() { c.Close() }) }), bridge.FaultTimeout, "within 3s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			endsBy(t, dialplan.Agent{Name: "bot", URL: c.url}, c.fault, c.words)
		})
	}
}

// An agent that has stopped, as by SIGSTOP, keeps its connection and answers nothing.
func TestSilentAgentIsNoticed(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	url := program(t, func(context.Context, *websocket.Conn, *http.Request) { <-release })
	t.Cleanup(func() { close(release) })
	begun := time.Now()
	endsBy(t, dialplan.Agent{Name: "bot", URL: url}, bridge.FaultSilent, "ping")
	if took := time.Since(begun); took < pingPatience {
		t.Errorf("noticed after %s", took)
	}
}

// Sound that nobody takes is not kept for ever.
func TestUnsentSoundIsBounded(t *testing.T) {
	b := inbox{wake: make(chan struct{}, 1)}
	sound := make([]byte, media.FrameSamples)
	for n := range mostFrames {
		if !b.take(sound, int64(n)) {
			t.Fatalf("no room for frame %d", n)
		}
	}
	if b.take(sound, mostFrames) || !b.behind() {
		t.Error("more than 2 s of sound wait")
	}
	var f frame
	for n := range mostFrames {
		if !b.fetch(&f) || f.n != int64(n) {
			t.Fatalf("fetched frame %d for %d", f.n, n)
		}
	}
	if b.fetch(&f) {
		t.Error("there is a frame too many")
	}
}

// Five minutes of sound in one second are kept, all of them.
func TestMinutesOfSoundMayComeAtOnce(t *testing.T) {
	t.Parallel()
	url := program(t, func(ctx context.Context, ws *websocket.Conn, _ *http.Request) {
		frame := mediaOf(20 * time.Millisecond)
		for range 5 * 60 * 50 {
			if tell(ws, frame) != nil {
				return
			}
		}
		tell(ws, `{"event":"mark","mark":{"name":"all"}}`)
		tell(ws, `{"event":"clear"}`)
		if e := until(t, ws, "mark"); e.Mark.Name != "all" {
			t.Errorf("the mark is %q", e.Mark.Name)
		}
	})
	s := newStage(t, dialplan.Agent{Name: "bot", URL: url})
	sub := s.x.Subscribe("")
	defer sub.Close()
	leg := s.send("bot")
	defer leg.End("")
	for e := range sub.Events {
		if e.Type == "agent.interrupted" {
			if dropped := e.Data["dropped_ms"].(int64); dropped < 290_000 || dropped > 300_000 {
				t.Errorf("%d ms were dropped", dropped)
			}
			return
		}
		if e.Type == "agent.failed" {
			t.Fatal(errors.New(fmt.Sprint(e.Data)))
		}
	}
}

// The names and the figures of what happened go to everybody.
func TestAgentsComingsAndGoingsAreEvents(t *testing.T) {
	t.Parallel()
	url := program(t, func(ctx context.Context, ws *websocket.Conn, _ *http.Request) {
		ws.Close(websocket.StatusInternalError, "")
	})
	s := newStage(t, dialplan.Agent{Name: "bot", URL: url})
	sub := s.x.Subscribe("")
	defer sub.Close()
	await(t, s.send("bot"), bridge.AgentEnded)
	var kinds []string
	for e := range sub.Events {
		if !strings.HasPrefix(e.Type, "agent.") || strings.HasPrefix(e.Type, "agent.worker") {
			continue
		}
		if kinds = append(kinds, e.Type); e.Data["agent"] != "bot" || strings.Contains(fmt.Sprint(e.Data), "hidden") {
			t.Errorf("%s: %v", e.Type, e.Data)
		}
		if e.Type == "agent.joined" && e.Data["waited_ms"] == nil || e.Type == "agent.failed" && e.Data["fault"] != bridge.FaultGone {
			t.Errorf("%s: %v", e.Type, e.Data)
		}
		if e.Type == "agent.failed" {
			break
		}
	}
	if got := strings.Join(kinds, " "); got != "agent.joined agent.failed" {
		t.Errorf("told %s", got)
	}
}
