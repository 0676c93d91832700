package agent

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
	"github.com/roomline/roomline/media"
)

// What an agent says before it is admitted waits, marks and all.
func TestWithheldAgentIsHeardOnceItIsAdmitted(t *testing.T) {
	t.Parallel()
	marked := make(chan struct{})
	url := program(t, func(ctx context.Context, ws *websocket.Conn, _ *http.Request) {
		until(t, ws, "start")
		_ = tell(ws, mediaOf(time.Second))
		_ = tell(ws, `{"event":"mark","mark":{"name":"m"}}`)
		until(t, ws, "mark")
		close(marked)
		drain(ctx, ws)
	})
	s := newStage(t, dialplan.Agent{Name: "bot", URL: url})
	leg, err := s.house.Send(bridge.AgentSpec{Agent: "bot", Room: testRoom, Withheld: true})
	if err != nil {
		t.Fatal(err)
	}
	await(t, leg, bridge.AgentReady)
	if p := leg.Participant(); p == nil || !p.Record().Held {
		t.Error("the agent is not withheld")
	}
	select {
	case <-marked:
		t.Error("the mark came back before anybody heard the agent")
	case <-time.After(200 * time.Millisecond):
	}
	if n := s.ear.count(0x34); n > 0 {
		t.Errorf("the caller heard %d bytes", n)
	}
	leg.Admit()
	await(t, leg, bridge.AgentSpoke)
	<-marked
	if n := s.ear.count(0x34); n < media.NarrowbandHz-2*media.FrameSamples {
		t.Errorf("the caller heard %d bytes of a second", n)
	}
	leg.End("enough")
	await(t, leg, bridge.AgentEnded)
}

// Its patience ends once after every turn of the others that it does not answer.
func TestPatienceEndsOncePerTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lost atomic.Int32
		p := newPatience("3s", func() { lost.Add(1) })
		after := func(d time.Duration, want int32) {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			if n := lost.Load(); n != want {
				t.Fatalf("lost %d times, not %d", n, want)
			}
		}
		after(time.Minute, 0) // nobody has spoken
		p.turn()
		after(2*time.Second, 0)
		p.answered()
		after(time.Minute, 0)
		p.turn()
		after(2*time.Second, 0)
		p.turn() // they went on
		after(2*time.Second, 0)
		after(2*time.Second, 1)
		after(time.Minute, 1)
		p.turn()
		after(4*time.Second, 2)
		p.turn()
		p.close()
		p.turn()
		after(time.Minute, 2)
		off := newPatience("off", func() { lost.Add(1) })
		off.turn()
		after(time.Hour, 2)
	})
}

// Ending a leg twice, early or from many sides ends it once.
func TestEndingIsFinal(t *testing.T) {
	t.Parallel()
	url := program(t, func(ctx context.Context, ws *websocket.Conn, _ *http.Request) { drain(ctx, ws) })
	s := newStage(t, dialplan.Agent{Name: "bot", URL: url})
	for range 20 {
		leg := s.send("bot")
		leg.End("first")
		leg.End("second")
		leg.Admit()
		ends := 0
		for e := range leg.Events() {
			if e.Kind == bridge.AgentEnded {
				ends++
			}
		}
		if ends != 1 {
			t.Fatalf("ended %d times", ends)
		}
	}
}
